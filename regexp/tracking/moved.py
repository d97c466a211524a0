"""A folder of runs that was moved or copied: where its database says that artifacts are is mended.

MLflow keeps absolute places. Left as they are, the artifacts of a moved folder are not found, and
what is recorded in a copy goes into the original.
"""

import logging
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

from regexp.errors import count
from regexp.tracking.locks import lock_of
from regexp.tracking.places import artifact_folder

_PLACES = (
    ("experiments", "artifact_location"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's tables with places, beside that of runs; an older MLflow has not them all."""

_ROOT = "artifacts"
_EMPTY = re.compile(rf"((?:file:|/).*/{_ROOT})((?:/\d+)?)")  # MLflow's first one has a folder
_BELOW = re.compile(rf"((?:file:|/).*/{_ROOT})/(.+?)(?:/artifacts)?")

_logger = logging.getLogger(__name__)

_last: Path | None = None  # the database that this process has opened last


def follow(database: Path, folder: Path) -> int:
    """Have an SQLite store find its artifacts in `folder`, where it was moved or copied there.

    A place is taken to have moved if artifacts of its runs, whose ids are unique, lie in `folder`
    now. Runs whose artifacts lie in the old place alone stay there, and so does what is recorded of
    other places, such as a bucket. One transaction, before anything is written.

    Args:
        database: the store's file.
        folder: `paths.mlruns`, with the folder of artifacts.

    Returns:
        How many runs were mended.
    """
    _forget_others(database)
    here = artifact_folder(folder)
    home = artifact_folder(database.parent)
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        if not any(_changes(connection, here, home)):
            return 0
        with lock_of(database), connection:  # the connection's context is the transaction
            connection.execute("BEGIN IMMEDIATE")
            runs, roots, empty = _changes(connection, here, home)
            connection.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", runs)
            for root in roots:
                for table, column in list(_present(connection)):
                    _rewrite(connection, table, column, root, here)
            connection.executemany(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                empty,
            )
    if runs:
        _logger.warning(
            "The runs were moved or copied to %s from %s: the artifacts of %s are found there now.",
            _path(here).parent,
            ", ".join(str(_path(root).parent) for root in roots),
            count(len(runs), "run"),
        )
    return len(runs)


def _forget_others(database: Path) -> None:
    """Have MLflow forget where runs of another database keep their artifacts.

    It remembers that by the id of a run, for the whole process; the runs of a copy have the same.
    """
    global _last
    from mlflow.tracking._tracking_service import utils

    if database != _last:
        utils._artifact_repos_cache.clear()
        _last = database


_Changes = tuple[list[tuple[str, str]], list[str], list[tuple[str, int]]]


def _changes(connection: sqlite3.Connection, here: str, home: str) -> _Changes:
    """(place and id of the runs that are here now, the roots they left, empty experiments)."""
    elsewhere: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    wanted = "SELECT run_uuid, artifact_uri FROM runs WHERE substr(artifact_uri, 1, ?) <> ?"
    for run_id, place in connection.execute(wanted, (len(here) + 1, f"{here}/")):
        if (parts := _BELOW.fullmatch(place)) and parts[1] != home:
            elsewhere[parts[1]].append((parts[2], here + place[len(parts[1]) :], run_id))
    runs, roots = [], []
    if elsewhere:
        arrived = _Folder(_path(here))
        for root, own in elsewhere.items():
            if not any(name in arrived for name, _, _ in own):
                continue
            roots.append(root)
            left = _Folder(_path(root))
            runs += [run for name, *run in own if name in arrived or name not in left]
    return [(place, run_id) for place, run_id in runs], roots, list(_empty(connection, here, home))


def _empty(connection: sqlite3.Connection, here: str, home: str) -> Iterator[tuple[str, int]]:
    """(place, id) of experiments without a run, of a store of ours that is elsewhere or no more."""
    wanted = (
        "SELECT experiment_id, artifact_location FROM experiments WHERE NOT EXISTS "
        "(SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id)"
    )
    for number, place in connection.execute(wanted):
        parts = _EMPTY.fullmatch(place)
        if parts and parts[1] not in (here, home):
            root = _path(parts[1])
            if not root.exists() or (root.parent / "mlflow.db").exists():
                yield here + parts[2], number


def _rewrite(connection: sqlite3.Connection, table: str, column: str, root: str, here: str) -> None:
    """Put `here` in place of `root` where that is what a place begins with."""
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (here, len(root) + 1, root, len(root) + 1, f"{root}/"),
    )


def _present(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Those of `_PLACES` that this database has."""
    for table, column in _PLACES:
        if any(row[1] == column for row in connection.execute(f"PRAGMA table_info({table})")):
            yield table, column


class _Folder:
    """A folder of which many names are asked; it is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._names = {one.name for one in path.iterdir()}
        except OSError:  # there is none
            self._names = set()

    def __contains__(self, name: str) -> bool:
        first, deeper, _ = name.partition("/")
        return first in self._names and (not deeper or (self._path / name).exists())


def _path(place: str) -> Path:
    """The folder of a place, which is an address or a path."""
    return Path(unquote(urlparse(place).path) if place.startswith("file:") else place)
