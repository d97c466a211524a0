"""SQLite stores that may not be written, as on a medium or in a folder of somebody else's.

SQLite reads a file with a write-ahead log where it may make files beside it. Where it may not, what
is recorded is read from a copy, which is gone with the process.
"""

import os
import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from regexp.tracking import moved, store
from regexp.tracking.error import TrackingError
from regexp.tracking.places import sqlite_address, sqlite_file


def open_reader(uri: str, folder: Path, *, follow: bool = True) -> Any:
    """An `MlflowClient` of what only reads: as `store.open_client`, also where nothing is written.

    Raises:
        StoreAwayError: the server does not answer.
        TrackingError: the database cannot be read.
    """
    database = sqlite_file(uri)
    if database is None or not database.is_file() or _is_writable(database):
        return store.open_client(uri, folder, follow=follow)
    place = Path(tempfile.mkdtemp(prefix="regexp-")).resolve()
    copy = place / database.name
    try:
        with store.explained(uri, folder):
            _copy(database, copy)
        client = store.open_client(sqlite_address(copy, uri), folder, follow=False)
        if follow:
            with store.explained(uri, folder):
                moved.follow(copy, folder)
    except TrackingError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise TrackingError(
            f"{database} may not be written here, and a copy of it cannot be read: "
            f"{str(error).replace(str(copy), str(database))}\nCopy the whole folder to where you "
            "may write, and give that by paths.mlruns=FOLDER."
        ) from error
    weakref.finalize(client, shutil.rmtree, place, ignore_errors=True)
    return client


def _is_writable(database: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (database, database.parent))


def _copy(database: Path, copy: Path) -> None:
    """Copy a database with what its write-ahead log has."""
    log, index = (database.with_name(f"{database.name}-{part}") for part in ("wal", "shm"))
    if index.is_file():  # others may have it open, and write
        with (
            suppress(sqlite3.OperationalError),  # it asks for what only who may write can make
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            return
    shutil.copyfile(database, copy)
    if log.is_file():
        shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
