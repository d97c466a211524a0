"""Folders of runs that were moved or copied, against what MLflow's own client finds there."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from regexp.__main__ import run
from regexp.tracking import Tracker, moved, store
from regexp.tracking.stored import Reader
from tests.sandbox import SMALL, copy_runs
from tests.tracking.runs import start

TEXT = b"the whole configuration"


def record(folder: Path, key: str = "one", experiment: str = "regexp") -> list[str]:
    """A sweep with a run that has an artifact; the ids of both."""
    with Tracker(None, experiment, folder) as tracker:
        sweep = tracker.sweep(key, f"the sweep {key}", {"seeds": 1})
        run = start(tracker, sweep.id)
        run.text(TEXT.decode(), "config.txt")
        run.finish()
        sweep.finish()
        return [sweep.id, run.id]


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder of runs, but for what SQLite keeps beside the database in use."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(("mlflow.db", "."))
    }


def places(folder: Path) -> list[str]:
    """All places in a database."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        rows = connection.execute(
            "SELECT artifact_location FROM experiments UNION ALL SELECT artifact_uri FROM runs "
            "UNION ALL SELECT artifact_location FROM logged_models"
        )
        return [place for (place,) in rows]


def text_of(folder: Path, run_id: str) -> bytes | None:
    """The run's artifact as the folder's store finds it."""
    return Reader(None, folder).text(run_id, "config.txt")


@pytest.fixture
def first(fresh_store: Path) -> tuple[Path, list[str]]:
    return fresh_store, record(fresh_store)


NAMES = ["runs", "a b/100%41 #?ü/runs", "artifacts/artifacts"]


@pytest.mark.parametrize("name", NAMES)
def test_a_moved_folder_is_found_and_recorded_into(
    first: tuple[Path, list[str]], tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder, ids = first
    new = tmp_path / name
    new.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(new)
    assert text_of(new, ids[1]) == TEXT
    assert f"moved or copied to {new} from {folder}: the artifacts of 2 runs" in caplog.text
    wrong = [place for place in places(new) if not place.startswith((new / "artifacts").as_uri())]
    assert wrong == []
    caplog.clear()
    others = record(new, "two")
    assert text_of(new, others[1]) == TEXT
    assert caplog.text == "", "it is mended once"
    assert not folder.exists()
    assert {*ids, *others} <= {path.name for path in (new / "artifacts").iterdir()}


def test_a_copy_leaves_the_original_alone_and_both_go_on(
    first: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, ids = first
    copied = tmp_path / "copy"
    copy_runs(folder, copied)
    before = files(folder), places(folder)
    own = record(copied, "two")
    assert (files(folder), places(folder)) == before
    assert text_of(copied, ids[1]) == text_of(copied, own[1]) == TEXT
    assert (files(folder), places(folder)) == before

    later = record(folder, "three")
    assert text_of(folder, ids[1]) == text_of(folder, later[1]) == TEXT
    assert not (copied / "artifacts" / later[1]).exists()
    shutil.rmtree(folder)
    assert text_of(copied, ids[1]) == TEXT, "what it has is its own"


def test_copy_runs_leaves_what_this_process_has_open_to_it(
    fresh_store: Path, tmp_path: Path
) -> None:
    """Another process writes after the copy: SQLite's own connections here see it."""
    write = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).close()"
    database = fresh_store / "mlflow.db"
    with closing(sqlite3.connect(database)) as here, closing(sqlite3.connect(database)) as second:
        for connection in (here, second):
            connection.execute("SELECT * FROM runs").fetchall()
        copy_runs(fresh_store, tmp_path / "copy")
        for version in (7, 8):
            change = f"PRAGMA user_version = {version}"
            subprocess.run([sys.executable, "-c", write, str(database), change], check=True)
            for connection in (here, second):
                assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    assert places(tmp_path / "copy") == places(fresh_store)


def test_a_sweep_goes_on_in_the_moved_folder(first: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, ids = first
    folder.rename(tmp_path / "new")
    assert record(tmp_path / "new")[0] == ids[0]


def test_a_store_without_runs_is_recorded_into_where_it_is(
    fresh_store: Path, tmp_path: Path
) -> None:
    """Its experiment says where the runs to come keep their artifacts."""
    with Tracker(None, "regexp", fresh_store):
        pass
    for copied in (tmp_path / "copy", tmp_path / "moved"):
        if copied.name == "copy":
            copy_runs(fresh_store, copied)
        else:
            fresh_store.rename(copied)
        ids = record(copied)
        assert (copied / "artifacts" / ids[1] / "artifacts" / "config.txt").read_bytes() == TEXT
    assert list(fresh_store.rglob("*")) == []


def test_a_database_that_folders_share_has_not_moved(fresh_store: Path, tmp_path: Path) -> None:
    """Two folders of artifacts, one database: each run's artifacts stay where they are."""
    uri = store.resolve(None, fresh_store)
    ids = record(fresh_store)
    before = places(fresh_store)
    with Tracker(uri, "another", tmp_path / "second") as tracker:
        sweep = tracker.sweep("two", "two", {})
        sweep.text("x", "config.txt")
        sweep.finish()
    assert places(fresh_store)[: len(before) - 2] == before[:-2]
    assert Reader(uri, tmp_path / "second").text(ids[1], "config.txt") == TEXT
    assert Reader(uri, tmp_path / "third").text(sweep.id, "config.txt") == b"x"
    assert (tmp_path / "second" / "artifacts" / sweep.id).is_dir()


def test_a_database_beside_its_folder_moves_with_it(fresh_store: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (fresh_store / "mlflow.db").rename(tmp_path / "project" / "runs.db")
    uri = f"sqlite:///{tmp_path}/project/runs.db"
    with Tracker(uri, "regexp", tmp_path / "project" / "mlruns") as tracker:
        sweep = tracker.sweep("one", "one", {})
        sweep.text("x", "config.txt")
        sweep.finish()
    (tmp_path / "project").rename(tmp_path / "elsewhere")
    uri = f"sqlite:///{tmp_path}/elsewhere/runs.db"
    folder = tmp_path / "elsewhere" / "mlruns"
    assert Reader(uri, folder).text(sweep.id, "config.txt") == b"x"
    assert not (tmp_path / "project").exists()


def test_what_stayed_behind_or_lies_in_a_bucket_is_left(
    first: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, ids = first
    client = Reader(None, folder).client
    bucket = client.create_experiment("bucket", artifact_location="s3://bucket/artifacts")
    client.create_run(bucket)
    [_, late] = record(folder, "two")
    new = tmp_path / "new"
    copy_runs(folder, new)
    for run_id in (ids[0], late):
        shutil.rmtree(new / "artifacts" / run_id)
    shutil.rmtree(folder / "artifacts" / ids[0])
    assert text_of(new, ids[1]) == TEXT
    assert text_of(new, late) == TEXT, "its artifacts are in the old folder alone"
    found = Reader(None, new).client
    assert found.get_run(late).info.artifact_uri.startswith(folder.as_uri())
    for moved_one in ids:
        assert found.get_run(moved_one).info.artifact_uri.startswith(new.as_uri())
    assert found.get_experiment(bucket).artifact_location == "s3://bucket/artifacts"


def test_models_move_as_well(first: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, ids = first
    client = Reader(None, folder).client
    experiment = client.get_run(ids[1]).info.experiment_id
    model = client.create_logged_model(experiment, name="m", source_run_id=ids[1])
    assert model.artifact_location.startswith(folder.as_uri())
    folder.rename(tmp_path / "new")
    found = Reader(None, tmp_path / "new").client.get_logged_model(model.model_id)
    assert found.artifact_location.startswith((tmp_path / "new").as_uri())


def test_nothing_is_changed_where_the_change_fails(
    first: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = first
    folder.rename(tmp_path / "new")
    before = places(tmp_path / "new")
    monkeypatch.setattr(moved, "_PLACES", (("experiments", "artifact_location"), ("runs", "x")))
    monkeypatch.setattr(moved, "_present", lambda connection: moved._PLACES)
    with pytest.raises(sqlite3.OperationalError):
        moved.follow(tmp_path / "new" / "mlflow.db", tmp_path / "new")
    assert places(tmp_path / "new") == before


def test_the_commands_work_in_a_moved_folder(
    fresh_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    new = tmp_path / "100% mine" / "mlruns"
    new.parent.mkdir()
    sweep = ["-m", "regularizer=none,l1", "figures=false", *SMALL]
    assert run([*sweep, f"paths.mlruns={fresh_store}"]) == 0
    fresh_store.rename(new)
    where = f"paths.mlruns={new}"
    capsys.readouterr()
    assert run([*sweep, where]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 2
    sweep_id = re.findall("--sweep ([0-9a-f]{32})", printed)[0]
    assert run(["rerun", "--sweep", sweep_id, where]) == 0
    assert run(["export", sweep_id, "sweep.zip", "--checkpoints", where]) == 0
    assert "4 checkpoints" in capsys.readouterr().out
    assert list(fresh_store.rglob("*")) == []
