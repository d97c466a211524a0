"""Archives: what goes in comes out."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from regexp.errors import ConfigError
from regexp.rerun.archive.archive import read_archive, write_archive
from tests.rerun.archives import CONFIG, FILES, METRICS, original, shown, sweep, unpacked

# --- what goes in comes out -------------------------------------------------------------------


def test_what_goes_in_comes_out(packed: Path) -> None:
    read = read_archive(packed)
    assert shown(read) == shown(sweep())
    assert read.source == str(packed)


def test_checkpoints_come_out_where_they_went_in(packed: Path) -> None:
    first, second = read_archive(packed).runs
    last = first.load_last()
    assert last is not None
    assert torch.equal(last["weights"]["w"], torch.arange(3.0))
    assert second.load_last() is None


def test_the_same_sweep_gives_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    contents = []
    backwards = replace(
        original(0),
        metrics={
            name: dict(reversed(values.items()))
            for name, values in reversed(original(0).metrics.items())
        },
    )
    for name, run, files in (
        ("a.zip", original(0), FILES),
        ("b.zip", backwards, dict(reversed(FILES.items()))),
    ):
        write_archive(sweep(run), files, tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    with zipfile.ZipFile(tmp_path / "a.zip") as file:  # nor does it depend on the time
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_files_may_lie_on_disk(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(b"a,b\n")
    write_archive(sweep(), {"table.csv": table}, tmp_path / "a.zip")
    write_archive(sweep(), {"table.csv": b"a,b\n"}, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_others_can_read_it_without_regexp(packed: Path) -> None:
    members = unpacked(packed)
    assert members["artifacts/comparison/table.csv"] == FILES["comparison/table.csv"]
    assert yaml.safe_load(members[CONFIG]) == original(0).config
    strict = json.loads(members[METRICS], parse_constant=pytest.fail)
    assert strict["train/loss"] == [[1, 0.1 + 0.2], [2, "NaN"], [3, "Infinity"], [10, "-Infinity"]]
    assert b"regexp rerun FILE.zip" in members["README.txt"]
    assert ("digits: " + "cd" * 32).encode() in members["README.txt"]
    digests = json.loads(members.pop("sweep.json"))["members"]
    assert digests == {
        name: hashlib.sha256(content).hexdigest() for name, content in members.items()
    }


# --- writing ----------------------------------------------------------------------------------


def test_nothing_is_overwritten(packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(ConfigError, match=r"sweep\.zip: there is such a file already"):
        write_archive(sweep(), {}, packed)
    assert packed.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": {"key": object()}}, "cannot be exported"),
        ({"config": {"key": "${oc.env:HOME}"}}, "runs/00001/config.yaml"),
        ({"environment": {"number": math.nan}}, "cannot be exported"),
        ({"name": "\x1b[2J"}, "control characters"),
        ({"run_id": "../../a"}, "run_id"),
    ],
)
def test_what_could_not_be_read_is_not_written(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        write_archive(sweep(original(0, **changes)), {}, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a\\b", "", "a\x00b", "x" * 300])
def test_files_of_bad_names_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="not written"):
        write_archive(sweep(), {name: b""}, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zipfile.ZipFile.writestr", full)
    with pytest.raises(ConfigError, match=r"a\.zip: cannot be written \(No space left on device\)"):
        write_archive(sweep(), {}, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []
