"""Archives that others made to do harm, or that were damaged: each is refused, in words."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from regexp.errors import ConfigError
from regexp.rerun.archive import layout, unpack
from regexp.rerun.archive.archive import read_archive
from tests.rerun.archives import (
    CONFIG,
    LAST,
    METRICS,
    RUN,
    STACK,
    pack,
    refused,
    unpacked,
)


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    refused(path, "No such file")
    refused(tmp_path, "Is a directory")
    for content in (b"", b"PK\x03\x04", b"no zip" * 100):
        path.write_bytes(content)
        refused(path, "damaged")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_truncated(packed: Path, part: float) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: int(part * len(content))])
    refused(packed)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt", "/etc/evil", "artifacts/../../evil", "artifacts\\..\\evil", "C:evil",
        "artifacts/", "artifacts//a", "artifacts/./a", "artifacts/a\nb", "artifacts/ a",
        "artifacts/\x1b[2J", "artifacts/" + "x" * 300, "evil.txt", "runs/00003/run.json",
        "runs/1/run.json", "runs/00001/evil.py", "runs/00001/../../evil", "sweep.json/a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("listed", [True, False])
def test_names_that_an_archive_may_not_have(packed: Path, name: str, listed: bool) -> None:
    refused(pack(packed, unpacked(packed) | {name: b"evil"}, listed=listed))


def test_members_that_are_not_listed(packed: Path) -> None:
    refused(pack(packed, unpacked(packed) | {"artifacts/a": b""}, listed=False), "not listed")


def test_members_of_one_name(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(CONFIG, b"seed: 1\n")
    refused(packed, "one name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_members_that_are_no_files(packed: Path, kind: int) -> None:
    members = unpacked(packed)
    target = members.pop(CONFIG)
    pack(packed, members, listed=False)
    link = zipfile.ZipInfo(CONFIG)
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(link, target)
    refused(packed, CONFIG, "no file")


def test_encrypted_members(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    packed.write_bytes(content)
    refused(packed, "encrypted")


def test_other_compression(packed: Path) -> None:
    members = unpacked(packed)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as file:
        for name, content in members.items():
            file.writestr(name, content)
    refused(packed, "compressed")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (CONFIG, layout.SETTINGS_BYTES),
        (METRICS, layout.DOCUMENT_BYTES),
        ("artifacts/comparison/table.csv", layout.ARTIFACT_BYTES),
    ],
)
def test_bombs(packed: Path, name: str, most: int) -> None:
    refused(pack(packed, unpacked(packed) | {name: bytes(most + 1)}), name, f"more than the {most}")


def test_a_bomb_whose_header_lies(packed: Path) -> None:
    size = layout.DOCUMENT_BYTES + 1
    pack(packed, unpacked(packed) | {METRICS: bytes(size)})
    content = packed.read_bytes()
    lie = content.replace(struct.pack("<L", size), struct.pack("<L", 10))
    assert lie != content
    packed.write_bytes(lie)
    refused(packed, METRICS)


def test_bombs_of_many_members(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(
        len(content) * (layout.YAML_WEIGHT if name.endswith(".yaml") else 1)
        for name, content in unpacked(packed).items()
        if name != LAST
    )
    monkeypatch.setattr(unpack, "TOTAL", size)
    read_archive(packed)
    monkeypatch.setattr(unpack, "TOTAL", size - 1)
    refused(packed, "more than")
    monkeypatch.setattr(unpack, "MEMBERS", 5)
    refused(packed, "members")


@pytest.mark.parametrize("name", ["README.txt", "sweep.yaml", CONFIG, METRICS, RUN])
def test_changed_content(packed: Path, name: str) -> None:
    members = unpacked(packed)
    members[name] = members[name].replace(b"e", b"E", 1)
    refused(pack(packed, members, listed=False), name, "SHA-256")


def test_a_changed_checkpoint(packed: Path) -> None:
    members = unpacked(packed)
    members[LAST] += b"more"
    pack(packed, members, listed=False)
    with pytest.raises(ConfigError, match=f"{LAST}: its SHA-256"):
        read_archive(packed).runs[0].load_last()


def test_a_checkpoint_that_is_none(packed: Path) -> None:
    pack(packed, unpacked(packed) | {LAST: b"no checkpoint"})
    with pytest.raises(ConfigError, match=LAST) as caught:
        read_archive(packed).runs[0].load_last()
    assert str(packed) in str(caught.value)
    assert "/tmp" not in str(caught.value).replace(str(packed), "")


def test_a_checkpoint_that_would_run_code(packed: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "evil",))

    file = tmp_path / "evil.pt"
    torch.save({"weights": Evil()}, file)
    pack(packed, unpacked(packed) | {LAST: file.read_bytes()})
    with pytest.raises(ConfigError, match=LAST):
        read_archive(packed).runs[0].load_last()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "name",
    [
        "sweep.json",
        "README.txt",
        "sweep.yaml",
        CONFIG,
        METRICS,
        RUN,
        "artifacts/comparison/table.csv",
    ],
)
def test_missing_members(packed: Path, name: str) -> None:
    members = unpacked(packed)
    del members[name]
    refused(pack(packed, members, listed=False), name, "missing")


def test_another_version(packed: Path) -> None:
    members = unpacked(packed)
    manifest = json.loads(members["sweep.json"])
    pack(packed, members | {"sweep.json": json.dumps(manifest | {"format": 2, "new": 1}).encode()})
    refused(packed, "version 2", "install another regexp")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB, "a: &a 1\nb: *a\n", "a: &a\n  b: *a\n", "a: !!python/object/apply:os.getcwd []\n",
        "a: !!binary aGk=\n", "a: !!set {x, y}\n", "a: 2020-01-01\n", "? [1, 2]\n: 3\n", "1.5: x\n",
        "true: x\n", "- a\n", "a\n", "", "a: [\n", "a: b: c\n", "a: \x00\n",
        'a: "\\e[2J"\n', 'a: "\\ud800"\n', "a: 1\n---\nb: 2\n",
        "%YAML 9.9\n---\na: 1\n",
        "[" * 100_000, "{a: " * 5_000, "- " * 100_000, "a: " + ":".join(["1"] * 100_000) + "\n",
        "a: " + "9" * 10_000 + "\n", "a: 1" + ":0" * 190 + ".5\n", "a: 2020-99-99\n", "a: 0x_\n",
        "<<: [1]\n", "<<: {a: !!int ''}\n", "=: =\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", [CONFIG, "sweep.yaml"])
def test_hostile_yaml(packed: Path, text: str, name: str) -> None:
    refused(pack(packed, unpacked(packed) | {name: text.encode()}), name)


@pytest.mark.parametrize("text", ["a: ${oc.env:HOME}\n", "${a}: b\n", "a: [{b: 'x${c}'}]\n"])
def test_nothing_is_looked_up(packed: Path, text: str) -> None:
    members = unpacked(packed)
    refused(pack(packed, members | {CONFIG: text.encode()}), CONFIG, "looked up")
    pack(packed, members | {"sweep.yaml": text.encode()})  # these are for people alone
    assert read_archive(packed).settings == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (METRICS, '{"a": [[1, NaN]]}'), (METRICS, '{"a": [[1, 1e999]]}'),
        (METRICS, '{"a": [[1, "nan"]]}'),
        (METRICS, '{"a": [[1, true]]}'), (METRICS, '{"a": [[true, 1]]}'),
        (METRICS, '{"a": [[1.0, 1]]}'),
        (METRICS, '{"a": [[1, 1], [1, 2]]}'), (METRICS, '{"a": [[9223372036854775808, 1]]}'),
        (METRICS, '{"a": [[1]]}'), (METRICS, '{"a": 1}'), (METRICS, '{"a": [], "a": []}'),
        (METRICS, "[]"),
        (METRICS, '{"a": [[1, ' + "9" * 1000 + "]]}"),
        (METRICS, '{"a": [[1, ' + "9" * 9000 + "]]}"),
        (METRICS, "[" * 100_000), (METRICS, '{"a": ' * 100_000), (METRICS, '{"\\ud800": []}'),
        (METRICS, '{"\\u001b[2J": []}'), (METRICS, "\ufeff{}"), (METRICS, ""),
        (RUN, "{}"), (RUN, "null"), ("runs/00001/environment.json", "1"),
        ("runs/00001/environment.json", '{"a": NaN}'), ("sweep.json", "[]"), ("sweep.json", "{}"),
        ("sweep.json", '{"format": "1"}'), ("sweep.json", '{"format": true}'),
        ("sweep.json", '{"format": 1}'),
    ],
)  # fmt: skip
def test_hostile_json(packed: Path, name: str, text: str) -> None:
    refused(
        pack(packed, unpacked(packed) | {name: text.encode()}, listed=name != "sweep.json"), name
    )


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (RUN, "run_id", "../evil"), (RUN, "run_id", 1), (RUN, "sweep_id", ""), (RUN, "name", None),
        (RUN, "status", "GOOD"), (RUN, "status", []), (RUN, "reason", "\x07"), (RUN, "more", 1),
        (RUN, "weights_sha256", "0"), (RUN, "tags", {"a": 1}), (RUN, "tags", []),
        (RUN, "tags", {"a": "\x00"}),
        (STACK, "position", -1), (STACK, "position", 2), (STACK, "position", True),
        (STACK, "more", 1),
        (STACK, "members", {}), (STACK, "members", [1, 2]), (STACK, "members", [{}]),
        (STACK, "members", [{"a": "${b}"}, {}]),
        (STACK, "members", [{"a": {"$number": "1"}}, {"\x00": 1}]),
        (STACK, "variants", [""]), (STACK, "variants", [1, 2]), (STACK, "variants", "ab"),
        ("sweep.json", "runs", 0), ("sweep.json", "runs", 3), ("sweep.json", "runs", 10**12),
        ("sweep.json", "runs", 1), ("sweep.json", "runs", True), ("sweep.json", "runs", "2"),
        ("sweep.json", "name", 1), ("sweep.json", "sweep_id", "a b"),
        ("sweep.json", "written_by", 1),
    ],
)  # fmt: skip
def test_wrong_fields(packed: Path, name: str, key: str, value: object) -> None:
    members = unpacked(packed)
    members[name] = json.dumps(json.loads(members[name]) | {key: value}).encode()
    refused(pack(packed, members), "damaged")
