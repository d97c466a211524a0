"""Open the store of runs: an SQLite file beside the artifacts, or an MLflow server.

MLflow creates an SQLite store in many steps, and processes that do so at once break it for good.
Here one process creates it under a file lock while the others wait.
"""

import os
import re
import sqlite3
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from regexp.addresses import REMEMBERED, is_server, public, withhold
from regexp.tracking import moved
from regexp.tracking.error import StoreAwayError, TrackingError, is_denied, may_pass, reason
from regexp.tracking.locks import lock_of
from regexp.tracking.login import log_in, template
from regexp.tracking.migration import follow_mlflow
from regexp.tracking.places import artifact_folder, connectable, sqlite_address, sqlite_file
from regexp.tracking.probe import probe
from regexp.tracking.quiet import quiet
from regexp.tracking.tables import make_tables

INSIDE = ("artifacts", "checkpoints", "hydra", "locks", "undelivered")
"""Folders that are made in `paths.mlruns`."""

# Written into the database when it is complete; SQLite keeps this number for applications.
_COMPLETE = 0x72656778
_PRIVATE = 0o700
_ONE_OPENS = threading.Lock()

# MLflow's own defaults retry for about four minutes. Metrics are kept on disk and sent again
# anyway, so a server that is gone must be noticed within seconds. A user's own values win.
_HTTP_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def resolve(uri: str | None, folder: Path) -> str:
    """Make a tracking address absolute and public; None is the SQLite file in `folder`.

    Credentials in it are remembered for what connects, see `regexp.addresses`.

    Raises:
        TrackingError: a folder, which MLflow no longer takes as a store.
    """
    if uri is None:
        return sqlite_address((folder / "mlflow.db").resolve())
    uri = withhold(uri)
    if uri != "databricks" and ("://" not in uri or uri.startswith("file:")):
        shown = re.sub(r"^[^/]*:\S*@", "", uri)  # user:password@host, without http://
        raise TrackingError(
            f"tracking.uri={shown} is a folder, and MLflow keeps runs in a database or on a "
            f"server. Leave tracking.uri=null, and MLFLOW_TRACKING_URI unset, for "
            f"{folder / 'mlflow.db'}, or give sqlite:///FILE or http://HOST:PORT."
        )
    database = sqlite_file(uri)
    if database is None:
        return uri
    try:
        return sqlite_address(database.expanduser().resolve(), uri)
    except RuntimeError as error:  # ~somebody
        raise TrackingError(f"tracking.uri={uri}: {error}") from error


def identity(uri: str, folder: Path) -> str:
    """A name of the store that stays the same when `folder` is moved; no credentials in it."""
    database = sqlite_file(uri)
    if database and database.is_relative_to(folder.resolve()):
        return str(database.relative_to(folder.resolve()))
    return public(uri)


def check_folders(folder: Path) -> None:
    """Check that the folders which are in `paths.mlruns` already take files.

    Raises:
        TrackingError: one does not.
    """
    for name in INSIDE:
        if (folder / name).exists():
            _make_folder(folder / name, f"paths.mlruns={folder}")


def make_private(folder: Path) -> None:
    """Make `paths.mlruns`, or what will be in it, so that nobody else may read it.

    A folder that is there already stays as it is, and with it what others may do where its group
    may write: it is shared on purpose.
    """
    if not folder.exists():
        _make_folder(folder, f"paths.mlruns={folder}")
    elif not _is_shared(folder):
        for name in INSIDE:
            (folder / name).mkdir(_PRIVATE, exist_ok=True)


def _is_shared(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IWGRP)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder, and a file in it that is gone at once.

    Some places take no file although their permissions say so, and a file lock there waits for
    one that never comes.

    Raises:
        OSError: it takes none.
    """
    folder.mkdir(mode, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _make_folder(folder: Path, setting: str) -> None:
    try:
        make_folder(folder, _PRIVATE)
    except OSError as error:
        why = "it is a file" if folder.is_file() else error.strerror
        raise TrackingError(
            f"{setting} cannot be used: no file can be made in the folder {folder} ({why}). "
            "Choose another place, one that you may write."
        ) from error


def open_client(uri: str, folder: Path, *, follow: bool = True) -> Any:
    """Create the store where needed and return an `MlflowClient` for it.

    Args:
        uri: absolute and public, from `resolve`.
        folder: `paths.mlruns`.
        follow: mend the places of artifacts where the folder was moved; see `moved.follow`.

    Raises:
        StoreAwayError: the server does not answer.
        TrackingError: a folder cannot be written, or the database cannot be used.
    """
    prepare_environment()
    log_in(uri)
    if is_server(uri):
        probe(uri)
    with _unwarned(), explained(uri, folder):
        from mlflow import MlflowClient

        if not is_server(uri):
            _create_database(uri, folder, follow=follow)
        # MLflow knows of no server's password but by its variables: it writes addresses into errors
        address = uri if is_server(uri) else connectable(uri)
        if not sqlite_file(uri):
            return MlflowClient(tracking_uri=address, registry_uri=address)
        with _known_form():
            client = MlflowClient(tracking_uri=address, registry_uri=address)
        _relax(client)
    return client


@contextmanager
def explained(uri: str, folder: Path | None = None) -> Iterator[None]:
    """Turn failures of the store into a `TrackingError` that names the key to change.

    Args:
        uri: absolute, from `resolve`.
        folder: `paths.mlruns`, which is named where the store lies in it by default.
    """
    with _unwarned():
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

    with quiet:  # only now: importing MLflow sets its loggers' levels
        try:
            yield
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
            message = _unusable(uri, folder, error)
            if may_pass(error):
                raise StoreAwayError(message, reason(error)) from error
            raise TrackingError(message) from error


@contextmanager
def _unwarned() -> Iterator[None]:
    """MLflow's own use of SQLAlchemy, and of bars in notebooks, is not for our users to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


def _unusable(uri: str, folder: Path | None, error: Exception) -> str:
    """What a user is told of a store that cannot be used, and what to do about it."""
    told = f"{_setting(uri, folder)} cannot be used: {reason(error)}"
    if is_denied(error):
        return told
    password = not is_server(uri) and sqlite_file(uri) is None
    return (
        f"{told}\nRepair it, or choose another place with tracking.uri=http://HOST:PORT or "
        "paths.mlruns=FOLDER."
        + password
        * f" Its user and password may stand in {REMEMBERED}={template(uri)}."
    )


def prepare_environment() -> None:
    """Set MLflow's environment variables that must be there before it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # a bar for every small text that is read
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name, value in _HTTP_DEFAULTS.items():
        os.environ.setdefault(name, value)


def _create_database(uri: str, folder: Path, *, follow: bool) -> None:
    """Create tables under a lock, once; later calls look whether they are complete and in place."""
    if (database := sqlite_file(uri)) is not None:
        follow_mlflow(database, write=follow)
        if not follow:
            return  # who only asks makes nothing
        if not _is_complete(database):
            _make_folder(database.parent, _setting(uri, folder))
    _make_folder(folder, f"paths.mlruns={folder}")
    if database is None:
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401, it takes seconds: not under the lock

        with lock_of(folder / "initialize"):
            _initialize(uri, folder)
        return
    if not _is_complete(database):
        _complete(database, uri, folder)
    moved.follow(database, folder)


def _complete(database: Path, uri: str, folder: Path) -> None:
    with lock_of(database):
        if _is_complete(database):
            return
        if not _is_shared(database.parent):
            database.touch(0o600)  # and SQLite's other files are as this one
        make_tables(database)
        _initialize(uri, folder)
        with closing(sqlite3.connect(database, timeout=20)) as connection:
            # Readers and the writer no longer wait for each other. The mode stays in the file.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA user_version={_COMPLETE}")
            connection.commit()


def _setting(uri: str, folder: Path | None) -> str:
    """The key and value that a user would change to have the store elsewhere."""
    if folder is not None and uri == resolve(None, folder):
        return f"paths.mlruns={folder}"
    return f"tracking.uri={public(uri)}"


def _initialize(uri: str, folder: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # Given here, the default experiment's artifacts do not end up in the working directory.
    SqlAlchemyStore(connectable(uri), artifact_folder(folder))


def _is_complete(database: Path) -> bool:
    if not database.exists():
        return False
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _COMPLETE)


@contextmanager
def _known_form() -> Iterator[None]:
    """Let MLflow not ask for the form of a database that `follow_mlflow` has just looked at.

    It reads all its migrations for that, and imports Alembic, Mako and Pygments: 0.3 s.
    """
    from mlflow.store.db import utils

    with _ONE_OPENS:
        asks = utils._verify_schema
        utils._verify_schema = lambda engine: None
        try:
            yield
        finally:
            utils._verify_schema = asks


def _relax(client: Any) -> None:
    """Let this process's connections skip a disk flush at every commit.

    With a write-ahead log only a power cut may take the last seconds, no crash of the process.
    """
    from sqlalchemy import event

    engine = client._tracking_client.store.engine
    if not event.contains(engine, "connect", _on_connect):  # MLflow shares engines by address
        event.listen(engine, "connect", _on_connect)
        engine.dispose()  # connections made before the listener


def _on_connect(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
