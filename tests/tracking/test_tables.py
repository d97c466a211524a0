"""The tables that a new store is made with, against those that MLflow makes.

After another version of MLflow: `python -m tests.tracking.test_tables` writes them again.
"""

import sqlite3
import tempfile
import warnings
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from regexp.tracking import tables
from regexp.tracking.store import open_client


def dumped(database: Path) -> str:
    """All statements that make a database again."""
    with closing(sqlite3.connect(database)) as connection:
        text = "\n".join(connection.iterdump())
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def made_by_mlflow(database: Path) -> str:
    """The statements of the tables that MLflow makes by itself."""
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{database}")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        _initialize_tables(engine)
    engine.dispose()
    return f"-- MLflow {version('mlflow')}\n{dumped(database)}"


def statements(text: str) -> list[list[str]]:
    """What a text makes: MLflow puts constraints and indices in another order each time."""
    return sorted(
        sorted(line.rstrip(",") for line in one.splitlines()) for one in text.split(";\n")
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made_by_mlflow(tmp_path_factory.mktemp("mlflow") / "own.db")


def test_they_are_mlflows_own(tmp_path: Path, expected: str) -> None:
    written = tables.STATEMENTS.read_text()
    assert statements(written) == statements(expected), __doc__
    tables.make_tables(tmp_path / "new.db")
    made = f"-- MLflow {version('mlflow')}\n{dumped(tmp_path / 'new.db')}"
    assert statements(made) == statements(expected)


def test_a_database_that_has_some_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "some.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = database.read_bytes()
    tables.make_tables(database)
    assert database.read_bytes() == before


def test_another_version_of_mlflow_makes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    monkeypatch.setattr(tables, "installed", lambda: "0.1")
    tables.make_tables(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    folder = tmp_path / "mlruns"
    client = open_client(f"sqlite:///{folder}/mlflow.db", folder)
    assert client.get_experiment("0").name == "Default"
    names = {line for line in expected.splitlines() if line.startswith("CREATE TABLE")}
    assert names <= set(dumped(folder / "mlflow.db").splitlines())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        tables.STATEMENTS.write_text(made_by_mlflow(Path(folder) / "own.db"))
