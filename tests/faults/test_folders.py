"""Folders that take no file: said before anything is trained, by the key that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regexp.__main__ import USAGE_ERROR, run
from regexp.tracking.store import INSIDE
from tests.sandbox import SMALL


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said of the fault; before it, nothing but what the data are."""
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert all(line.startswith("digits: ") for line in printed.out.splitlines() if line)
    return printed.err


@pytest.mark.parametrize("name", INSIDE)
def test_a_folder_of_mlruns_that_takes_no_file(
    fresh_store: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (fresh_store / name).write_text("in its place")
    before = sorted(path.name for path in fresh_store.iterdir())
    assert run([*SMALL, f"paths.mlruns={fresh_store}"]) == USAGE_ERROR
    assert told(capsys) == (
        f"regexp: paths.mlruns={fresh_store} cannot be used: no file can be made in the folder "
        f"{fresh_store / name} (it is a file). Choose another place, one that you may write.\n"
    )
    assert sorted(path.name for path in fresh_store.iterdir()) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that takes no file")
def test_mlruns_that_takes_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, "paths.mlruns=/proc"]) == USAGE_ERROR
    assert told(capsys).startswith("regexp: paths.mlruns=/proc cannot be used: no file can be made")


@pytest.mark.parametrize("place", ["/proc/data", "file"])
def test_data_that_takes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in its place")
    assert run(["dataset=wine_quality", f"paths.data={place}"]) == USAGE_ERROR
    assert "paths.data" in told(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_takes_nothing_more_fails_its_job_alone(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made unwritable while the sweep runs, and mended for the next command."""
    import regexp.sweeps.launched

    alone = regexp.sweeps.launched.alone

    def unwritable(config: Any, name: str, head: str) -> Any:
        if head.startswith("[2/3]"):
            raise PermissionError(13, "Permission denied", str(fresh_store / "locks"))
        return alone(config, name, head)

    command = [
        "-m",
        "regularizer=none,l1,l2",
        *SMALL,
        f"paths.mlruns={fresh_store}",
        "figures=false",
    ]
    with monkeypatch.context() as patch:
        patch.setattr(regexp.sweeps.launched, "alone", unwritable)
        assert run(command) == 1
    printed = capsys.readouterr().out
    assert "Permission denied" in printed.partition("1 failed")[2]
    assert "[3/3] l2: test accuracy" in printed
    assert run(command) == 0
    assert "[2/3] l1: test accuracy" in capsys.readouterr().out
