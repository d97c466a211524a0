"""Whatever an archive holds: it is read, or refused by the one error, and nothing else happens."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regexp.errors import ConfigError
from regexp.rerun.archive.archive import read_archive, write_archive
from tests.hostile.support import mutated, refused, searching
from tests.rerun.archives import original, pack, packed_in, shown, sweep, unpacked

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20).filter(
    lambda text: "${" not in text
)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.booleans()
PLAIN = st.recursive(
    st.none() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
MAPPINGS = st.dictionaries(TEXTS, PLAIN, max_size=4)
METRIC = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.floats(), max_size=4)


@searching()
@given(MAPPINGS, MAPPINGS, st.dictionaries(TEXTS, METRIC, max_size=3), TEXTS)
def test_whatever_goes_in_comes_out(
    tmp_path: Path, config: Any, options: Any, values: Any, text: str
) -> None:
    path = tmp_path / "any.zip"
    path.unlink(missing_ok=True)
    run = original(
        0,
        name=text,
        reason=text,
        config=config,
        metrics=values,
        tags={text: text},
        stack={"position": 0, "members": [options], "variants": [text]},
    )
    one = sweep(run, settings=options, name=text)
    write_archive(one, {}, path)
    assert shown(read_archive(path)) == shown(one)


SIGNATURES = (
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"../",
    b"\xff\xff\xff\xff",
)
YAML = (
    b"&a ", b"*a", b"!!python/name:os.system ", b"${oc.env:HOME}", b"- ", b": ", b"[", b"{", b"\n",
    b"? ", b"| ", b"<<: ", b"!!int ", b"1:", b"0x", b"---\n", b"'", b'"', b"\t", b"\xc2\x85",
    b"\x00", b"%YAML 1.1\n",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive in a folder of its own, which is the working and the temporary folder."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return packed_in(tmp_path).rename(folder / "a.zip")


def reads_or_refuses(place: Path) -> None:
    """Whatever the file holds: a sweep of the right types, or the one error; nothing on disk."""
    with refused(place.parent, ConfigError, naming=(str(place),)):
        for run in read_archive(place).runs:
            run.load_last()
            assert isinstance(run.config, dict)
            assert all(isinstance(value, str) for value in run.tags.values())
            assert all(
                type(step) is int and type(value) is float
                for values in run.metrics.values()
                for step, value in values.items()
            )


@searching()
@given(st.data())
def test_any_bytes_of_the_file_changed(place: Path, data: st.DataObject) -> None:
    content = place.read_bytes()
    try:
        place.write_bytes(data.draw(mutated(content, SIGNATURES)))
        reads_or_refuses(place)
    finally:
        place.write_bytes(content)


@searching()
@given(st.data())
def test_any_bytes_of_a_member_changed(place: Path, data: st.DataObject) -> None:
    """With the digest of the changed member, so that its content is looked at."""
    content, members = place.read_bytes(), unpacked(place)
    name = data.draw(st.sampled_from(sorted(members)))
    tokens = YAML if name.endswith(".yaml") else ()
    members[name] = data.draw(mutated(members[name], tokens))
    try:
        pack(place, members, listed=name != "sweep.json")
        reads_or_refuses(place)
    finally:
        place.write_bytes(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@searching()
@given(number=st.integers(0, 100), where=st.lists(st.integers(0, 50), max_size=5), value=JSON)
def test_any_value_of_a_document_replaced(
    place: Path, number: int, where: list[int], value: object
) -> None:
    content, members = place.read_bytes(), unpacked(place)
    documents = sorted(one for one in members if one.endswith((".json", ".yaml")))
    chosen = documents[number % len(documents)]
    as_json = chosen.endswith(".json")
    load: Callable[[bytes], Any] = json.loads if as_json else yaml.safe_load
    document = replaced(load(members[chosen]), where, value)
    text = json.dumps(document) if as_json else yaml.safe_dump(document)
    members[chosen] = text.encode()
    try:
        pack(place, members, listed=chosen != "sweep.json")
        reads_or_refuses(place)
    finally:
        place.write_bytes(content)


def replaced(document: Any, where: list[int], value: object) -> Any:
    """The document with one of its nodes replaced: the one that the numbers lead to."""
    if not where or not isinstance(document, dict | list) or not document:
        return value
    changed = copy.copy(document)
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = keys[where[0] % len(keys)]
    changed[key] = replaced(document[key], where[1:], value)
    return changed
