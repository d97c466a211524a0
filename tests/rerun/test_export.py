"""`regexp export` and `regexp rerun FILE.zip`, from a sweep to an identical one elsewhere."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pytest
import torch

from regexp.__main__ import run
from regexp.commands.export import shareable
from regexp.rerun import recorded
from regexp.rerun.archive.archive import read_archive
from regexp.tracking.stored import Reader
from tests.rerun.archives import METRICS, original, pack, shown, sweep, unpacked
from tests.sandbox import copy_runs

SWEEP = ["-m", "regularizer=none,ema", "seeds=2", "dataset=iris", "trainer.epochs=2"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """`paths.mlruns` with one sweep."""
    folder = tmp_path_factory.mktemp("store") / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    assert run([*SWEEP, f"paths.mlruns={folder}", "figures=false", "yardsticks=false"]) == 0
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another working directory, whose store is empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns")
    return tmp_path


@pytest.fixture(scope="module")
def sweep_id(store: Path) -> str:
    connection = sqlite3.connect(store / "mlflow.db")
    [[found]] = connection.execute("SELECT run_uuid FROM tags WHERE key = 'sweep.key'").fetchall()
    connection.close()
    return str(found)


@pytest.fixture(scope="module")
def exported(store: Path, sweep_id: str) -> Path:
    path = store.parent / "sweep.zip"
    assert run(["export", sweep_id, str(path), "--checkpoints", f"paths.mlruns={store}"]) == 0
    return path


@pytest.mark.parametrize("gone", ["config.yaml", "sweep.yaml", "stack.yaml"])
def test_what_is_not_there_is_named_and_nothing_is_written(
    store: Path, sweep_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    copy_runs(store, tmp_path / "mlruns")
    first, *_ = sorted((tmp_path / "mlruns" / "artifacts").rglob(gone))
    first.unlink()
    file = tmp_path / "sweep.zip"
    assert run(["export", sweep_id, str(file), f"paths.mlruns={tmp_path / 'mlruns'}"]) == 2
    told = capsys.readouterr().err
    missing = "2 artifacts" if gone == "stack.yaml" else "1 artifact"  # both runs of a stack
    assert f"nothing was exported: {missing} cannot be found where sqlite:///{tmp_path}" in told
    assert f"{gone} of the {'sweep' if gone == 'sweep.yaml' else 'run'}" in told
    assert not file.exists()


def test_a_sweep_of_the_store_goes_into_the_file(
    store: Path, sweep_id: str, exported: Path
) -> None:
    stored, left_out = shareable(recorded.read_sweep(Reader(None, store), sweep_id))
    assert not left_out
    assert len(stored.runs) == 4
    read = read_archive(exported)
    assert shown(read) == shown(stored)
    for one, other in zip(read.runs, stored.runs, strict=True):
        mine, theirs = one.load_last(), other.load_last()
        assert mine is not None
        assert theirs is not None
        assert mine["weights"]
        torch.testing.assert_close(mine["weights"], theirs["weights"], rtol=0, atol=0)
    [table] = store.rglob("comparison/comparison.csv")
    members = unpacked(exported)
    assert members["artifacts/comparison/comparison.csv"] == table.read_bytes()
    assert "artifacts/comparison/comparison.html" in members


def test_the_file_is_rerun_elsewhere(
    exported: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rerun", str(exported)]) == 0
    assert "4 identical" in capsys.readouterr().out
    assert list(elsewhere.glob("mlruns/artifacts/*/artifacts/config.yaml"))


def test_a_metric_that_was_changed_in_the_file_is_named(
    exported: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = unpacked(exported)
    metrics = json.loads(members[METRICS])
    metrics["val/loss"][1][1] = math.nextafter(metrics["val/loss"][1][1], math.inf)
    members[METRICS] = json.dumps(metrics).encode()
    assert run(["rerun", str(pack(elsewhere / "changed.zip", members))]) == 1
    told = capsys.readouterr().out
    assert "3 identical" in told
    assert "val/loss" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected SWEEP_ID FILE.zip"),
        (["SWEEP"], "expected SWEEP_ID FILE.zip"),
        (["SWEEP", "a.tar"], "expected SWEEP_ID FILE.zip"),
        (["SWEEP", "a.zip", "seeds=3"], "expected SWEEP_ID FILE.zip"),
        (["SWEEP", "a.zip", "--checkpoint"], "--checkpoint"),
        (["SWEEP", "a.zip", "paths.nothing=3"], "paths.nothing"),
        (["nothing", "a.zip"], "no run nothing"),
        (["RUN", "a.zip"], "not a sweep"),
        (["SWEEP", "there.zip"], "there.zip: there is such a file already"),
        (["SWEEP", "no/folder/a.zip"], "no/folder/a.zip: cannot be written"),
    ],
)
def test_mistakes_write_nothing(
    store: Path,
    sweep_id: str,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.zip").touch()
    ids = {"SWEEP": sweep_id, "RUN": read_archive(exported).runs[0].run_id}
    given = [ids.get(argument, argument) for argument in arguments]
    assert run(["export", *given, f"paths.mlruns={store}"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["there.zip"]


def test_who_recorded_it_stays_at_home() -> None:
    one = sweep(
        original(
            0,
            tags={"mlflow.user": "me", "host": "h", "pid": "1", "process": "{}", "seed": "0"},
            reason="\x1b[31mred",
        ),
        original(1, status="RUNNING"),
    )
    shared, lines = shareable(one)
    assert lines == ["left out: runs that have not ended (1)"]
    [run] = shared.runs
    assert run.tags == {"seed": "0"}
    assert run.reason == " [31mred"


def test_artifacts_that_do_not_fit_are_named(
    store: Path, sweep_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [table] = store.rglob("comparison/comparison.csv")
    odd = table.with_name("what?.csv")
    odd.touch()
    path = tmp_path / "a.zip"
    try:
        assert run(["export", sweep_id, str(path), f"paths.mlruns={store}"]) == 0
    finally:
        odd.unlink()
    assert "left out: the artifact 'comparison/what?.csv'" in capsys.readouterr().err
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
    assert not any("what" in name or name.endswith(".pt") for name in names)
