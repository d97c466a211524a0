"""SQLite stores that another version of MLflow has made.

MLflow brings an older database to its own form while it opens it, by steps that it does not promise
to end; and it calls a newer one out of date.
"""

import json
import logging
import re
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from regexp.tracking.error import TrackingError
from regexp.tracking.locks import lock_of
from regexp.tracking.places import connectable, sqlite_address
from regexp.tracking.shared import ENVIRONMENT, STACK, where
from regexp.tracking.tables import STATEMENTS, installed

_logger = logging.getLogger(__name__)
_RECENT = 20  # runs that are asked for the MLflow that recorded them


def follow_mlflow(database: Path, *, write: bool) -> None:
    """Bring an older database to the installed MLflow's form; as it was it stays beside it.

    Args:
        database: which need not exist.
        write: whether this may be done; else it is said.

    Raises:
        TrackingError: it is of a newer MLflow, or of an older one and nothing is to be written.
        OSError: there is no room for the copy.
        sqlite3.Error: it is no database.
    """
    if not database.is_file() or _is_current(database):
        return
    _check_not_newer(database)
    if not write:
        raise TrackingError(
            f"the database {database} was made by an older MLflow than the one that is installed, "
            f"{installed()}; the next command that records gives it its form, and keeps a copy"
        )
    with lock_of(database):
        if not _is_current(database):
            _migrate(database)


def _is_current(database: Path) -> bool:
    """Whether a database is of the installed MLflow's form, or has none yet."""
    found = _revision(database)
    return not found or found == _known_head() or found == _head()


def _migrate(database: Path) -> None:
    found = _revision(database)
    kept = database.with_name(f"{database.name}.{found}.backup")
    for number in count(2):  # who went back to an earlier copy has recorded more since
        if not kept.exists():
            break
        kept = database.with_name(f"{database.name}.{found}-{number}.backup")
    part = kept.with_name(f"{kept.name}.partial")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    with (
        closing(sqlite3.connect(database, timeout=20)) as source,
        closing(sqlite3.connect(part)) as copy,
    ):
        source.backup(copy)
    part.replace(kept)
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(connectable(sqlite_address(database)))
    try:
        _upgrade_db(engine)
    finally:
        engine.dispose()
    _logger.warning(
        "The database %s was made by an older MLflow, and has the form of MLflow %s now. As it "
        "was, it is kept in %s.",
        database,
        installed(),
        kept,
    )


def _check_not_newer(database: Path) -> None:
    from alembic.util import CommandError

    found = _revision(database)
    try:
        _scripts().get_revision(found)
    except CommandError as error:
        recorded = _recorded_by(database)
        cure = f"mlflow=={recorded}" if recorded else "--upgrade mlflow"
        raise TrackingError(
            f"the database {database} was made by a newer MLflow than the one that is installed, "
            f"{installed()}; pip install {cure}"
        ) from error


def _revision(database: Path) -> str:
    """Of MLflow's form of the database; empty where it has no tables."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return ""
    return str(row[0]) if row else ""


def _known_head() -> str:
    """The revision of `tables.sql`, if that is the installed MLflow's, which takes long to ask."""
    statements = STATEMENTS.read_text(encoding="utf-8")
    if statements.partition("\n")[0] != f"-- MLflow {installed()}":
        return ""
    found = re.search(r"""INSERT INTO "?alembic_version"? VALUES ?\('(\w+)'\)""", statements)
    return found[1] if found else ""


def _head() -> str:
    return str(_scripts().get_current_head())


def _scripts() -> Any:
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    return ScriptDirectory.from_config(_get_alembic_config("sqlite://"))


def _recorded_by(database: Path) -> str:
    """The version of MLflow that the latest run with a record of it had; empty if none has."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        rows = connection.execute(
            "SELECT runs.artifact_uri, first.artifact_uri FROM runs "
            "LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = ? "
            "LEFT JOIN runs AS first ON first.run_uuid = tags.value "
            "ORDER BY runs.start_time DESC LIMIT ?",
            (STACK, _RECENT),
        ).fetchall()
    names = ENVIRONMENT, where(ENVIRONMENT)
    for address, name in [
        (one, name) for row in rows for one in filter(None, row) for name in names
    ]:
        file = Path(unquote(urlsplit(str(address)).path)) / name
        try:
            found = json.loads(file.read_text(encoding="utf-8"))["packages"]["mlflow"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if re.fullmatch(r"[\w.]+", str(found)):
            return str(found)
    return ""
