"""Databases that other versions of MLflow have made."""

from __future__ import annotations

import json
import logging
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from regexp.tracking import Tracker, TrackingError, store
from regexp.tracking.migration import follow_mlflow
from regexp.tracking.tables import installed


def revision(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """What MLflow made before its latest change of the tables, with an experiment in it."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    database = tmp_path_factory.mktemp("older") / "mlflow.db"
    address = f"sqlite:///{database}"
    config = _get_alembic_config(address)
    scripts = ScriptDirectory.from_config(config)
    before = scripts.get_revision(str(scripts.get_current_head())).down_revision
    engine = create_sqlalchemy_engine(address)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(before))
    engine.dispose()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage, workspace) "
            "VALUES ('of old', '', 'active', 'default')"
        )
    return database


def test_an_older_one_is_kept_and_then_changed(
    older: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(older.read_bytes())
    before = revision(older)
    with pytest.raises(TrackingError, match=r"made by an older MLflow.+keeps a copy"):
        store.open_client(store.resolve(None, tmp_path), tmp_path, follow=False)
    assert revision(database) == before, "who only looks changes nothing"
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with Tracker(None, "regexp", tmp_path) as tracker:
                assert tracker.client.get_experiment_by_name("of old")
    assert revision(database) != before
    [kept] = tmp_path.glob("*.backup")
    assert (kept.name, revision(kept)) == (f"mlflow.db.{before}.backup", before)
    assert caplog.text.count("was made by an older MLflow") == 1
    assert str(kept) in caplog.text


@pytest.mark.parametrize("form", ["older", "newer"])
def test_a_command_finds_what_a_library_that_waits_knows(
    form: str, older: Path, tmp_path: Path
) -> None:
    """A command has Alembic wait until a database's form is asked for."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(older.read_bytes())
    if form == "newer":
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'fedcba987654'")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from regexp.config.postponed import postpone\n"
        "postpone()\n"
        "from regexp.tracking import TrackingError, store\n"
        "folder = Path(sys.argv[1])\n"
        "try:\n"
        "    store.open_client(store.resolve(None, folder), folder)\n"
        "except TrackingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    kept = [*tmp_path.glob("*.backup")]
    if form == "newer":
        assert "made by a newer MLflow" in done.stdout
        assert not kept
    else:
        assert not done.stdout
        assert len(kept) == 1
        assert revision(database) != revision(older)


def test_who_went_back_to_a_copy_gets_another(older: Path, tmp_path: Path) -> None:
    """What was recorded after the first copy is in none but the second."""
    database = tmp_path / "mlflow.db"
    before = revision(older)
    contents = []
    for name in ("", "later"):
        database.write_bytes(older.read_bytes())
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE experiments SET name = name || ?", (name,))
        follow_mlflow(database, write=True)
        assert revision(database) != before
    for kept in sorted(tmp_path.glob("*.backup"), key=lambda path: len(path.name)):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        with closing(sqlite3.connect(kept)) as connection:
            contents += connection.execute("SELECT name FROM experiments").fetchall()
    assert contents == [("of old",), ("of oldlater",)]


@pytest.mark.parametrize("recorded", ["9.8.7", ""])
def test_of_a_newer_one_the_mlflow_to_install_is_said(fresh_store: Path, recorded: str) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        run = tracker.sweep("key", "sweep", {})
        run.text(json.dumps({"packages": {"mlflow": recorded}}), "environment.json")
    database = fresh_store / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fedcba987654'")
    cure = f"mlflow=={recorded}" if recorded else "--upgrade mlflow"
    told = f"newer MLflow than the one that is installed, {installed()}; pip install {cure}$"
    with pytest.raises(TrackingError, match=told):
        Tracker(None, "regexp", fresh_store)
    assert revision(database) == "fedcba987654"
    assert not list(fresh_store.glob("*.backup"))
