"""Folders with characters that mean something in addresses: `%41` is no `A`, `#` begins nothing."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from sqlalchemy.engine import make_url

from regexp.__main__ import run
from regexp.tracking import Tracker, places, store
from regexp.tracking.pasted import deliver_command
from regexp.tracking.stored import Reader

FOLDERS = ("x%41", "a b#c?d%", "it's, {e}=[%2F]&ü")

TABLE = "a,b,y\n" + "".join(f"{i % 7},{i * i % 11},{'pq'[i % 2]}\n" for i in range(60))


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the commands, alone in `tmp_path`."""
    folder: Path = tmp_path / request.param
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("REGEXP_DATA", raising=False)  # data/ of that folder, as by default
    return folder


def test_a_sweep_its_comparison_and_its_rerun(
    folder: Path, empty_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "t%41#.csv").write_text(TABLE)
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns")
    command = (
        "-m", "regularizer=none,l1", "dataset=table", "dataset.path='t%41#.csv'",
        "dataset.target=y", "model.hidden=[4]", "trainer.epochs=1",
        "trainer.batch_size=16", "figures=false", "yardsticks=false",
    )  # fmt: skip
    assert run(command) == 0
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database:
        parents = "SELECT run_uuid FROM tags WHERE key = 'sweep.key'"
        [(sweep_id,)] = database.execute(parents).fetchall()
    reader = Reader(None, folder / "mlruns")
    for child in reader.children(sweep_id):
        written = {path.name for path in (folder / "mlruns/artifacts").glob(f"{child.run_id}/**/*")}
        assert {Path(name).name for name in reader.files(child.run_id)} <= written
        assert b"t%41#.csv" in (reader.text(child.run_id, "config.yaml") or b"")
    assert run(["compare", sweep_id, "--folder", "page%41#", "figures=false"]) == 0
    assert (folder / "page%41#" / "comparison.html").is_file()
    assert run(["rerun", "--sweep", sweep_id]) == 0
    assert "2 identical" in capsys.readouterr().out
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    made = {path.name for path in folder.iterdir()}
    assert made == {"data", "mlruns", "page%41#"}


def test_a_new_store_and_its_address(folder: Path) -> None:
    address = store.resolve(None, folder)
    database = places.sqlite_file(address)
    assert database == folder / "mlflow.db"
    assert make_url(places.connectable(address)).database == str(database)
    assert store.resolve(address, folder) == address
    assert store.identity(address, folder) == "mlflow.db"
    with Tracker(None, "regexp", folder) as tracker:
        record = tracker.sweep("key", "name", {})
        record.finish("FINISHED")
    with Tracker(address, "regexp", folder) as tracker:
        assert tracker.text(record.id, "sweep.yaml") == b"{}\n"
    assert database.is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} >= {
        "artifacts", "mlflow.db",
    }  # fmt: skip


def test_the_query_of_a_database_is_no_part_of_its_name(tmp_path: Path) -> None:
    address = store.resolve(f"sqlite:///{tmp_path}/100%25/runs.db?timeout=20", tmp_path)
    assert address == f"sqlite:///{tmp_path}/100%25/runs.db?timeout=20"
    assert places.sqlite_file(address) == tmp_path / "100%" / "runs.db"
    url = make_url(places.connectable(address))
    assert (url.database, url.query["timeout"]) == (f"{tmp_path}/100%/runs.db", "20")


def test_the_command_that_delivers_can_be_copied(folder: Path) -> None:
    words = shlex.split(deliver_command(None, folder))
    [override] = OverridesParser.create().parse_overrides(words[-1:])
    assert override.value() == str(folder)


def test_a_tilde_is_the_home_folder(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    (home / "store").mkdir(parents=True)
    (home / "t.csv").write_text(TABLE)
    (home / "wine").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("REGEXP_DATA", "~/wine")
    monkeypatch.chdir(work)
    shutil.copy(empty_store, home / "store" / "runs.db")
    command = (
        "dataset=table", "dataset.path=~/t.csv", "dataset.target=y", "model.hidden=[4]",
        "trainer.epochs=1", "trainer.batch_size=16", "figures=false", "yardsticks=false",
        "paths.mlruns=~/runs",
        "tracking.uri=sqlite:///~/store/runs.db",
    )  # fmt: skip
    assert run(command) == 0
    assert (home / "runs" / "hydra").is_dir()
    assert list((home / "runs" / "artifacts").glob("*/artifacts/config.yaml"))
    with Tracker(f"sqlite:///{home}/store/runs.db", "regexp", home / "runs") as tracker:
        assert tracker.client.search_runs([tracker.experiment_id], "tags.seed = '0'")
    assert list(work.iterdir()) == []
