"""The tables of a new store, as MLflow makes them.

MLflow makes its first tables and then the changes of all versions since, one after another, which
takes longer than to train a small network. `tables.sql` is what comes out: a copy for one version
of MLflow, which the tests hold against MLflow's own. Other versions make theirs themselves.
"""

import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

STATEMENTS = Path(__file__).with_name("tables.sql")
"""Its first line names the version."""


def make_tables(database: Path) -> None:
    """Make the tables of a database that has none, if they are known; all of them or nothing.

    Args:
        database: the file, which need not exist. The folder does.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    statements = STATEMENTS.read_text(encoding="utf-8")
    if statements.partition("\n")[0] != f"-- MLflow {installed()}":
        return
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.executescript(statements)


def installed() -> str:
    """The version of MLflow that is installed."""
    try:
        return version("mlflow")
    except PackageNotFoundError:  # such as mlflow-skinny alone
        return "unknown"
