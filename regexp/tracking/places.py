"""Folders and files as addresses, and back: percent signs and the like stand for themselves.

An address that is shown and kept is a URL, in which `%` is written `%25` and `?` is `%3F`, as in
`sqlite:////home/me/100%25/mlflow.db`.
"""

from pathlib import Path
from urllib.parse import quote, unquote

from regexp.addresses import whole

_SQLITE = "sqlite:///"


def sqlite_file(uri: str) -> Path | None:
    """The file behind an SQLite address, None for any other."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(unquote(uri.removeprefix(_SQLITE).partition("?")[0]))


def sqlite_address(file: Path, like: str = "") -> str:
    """The address of an SQLite file; with the query (`?timeout=20`) of the address `like`."""
    _, ask, query = like.partition("?")
    return _SQLITE + str(file).replace("%", "%25").replace("?", "%3F") + ask + query


def connectable(uri: str) -> str:
    """An address as MLflow and SQLAlchemy take it, with its credentials.

    SQLAlchemy decodes the path from 2.1 on and not before, and MLflow makes the folder of the
    path as it is written: where the two differ, the path has no `/` that MLflow would see.
    """
    from sqlalchemy.engine import make_url

    file = sqlite_file(uri)
    if file is None or "%" not in uri:
        return whole(uri)
    plain = _SQLITE + str(file)
    _, ask, query = uri.partition("?")
    if make_url(plain).database != str(file):
        plain = _SQLITE + quote(str(file), safe="")
    return plain + ask + query


def artifact_folder(folder: Path) -> str:
    """Where runs in a database keep their artifacts, as an address."""
    return (folder / "artifacts").resolve().as_uri()
