"""A file of data fetched from a public address: whole and right, or not there at all."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from regexp.addresses import public, whole
from regexp.dataset.base import DataError
from regexp.dataset.limits import DISK

if TYPE_CHECKING:
    from requests import Response


def download(url: str, path: Path, sha256: str | None, missing: str) -> None:
    """Download `url` to `path`: to a temporary file first, moved once its checksum is right.

    Several processes may do so at once: each moves a whole file into place.

    Args:
        path: its folder is made.
        sha256: of the file; None accepts any.
        missing: why it is needed, for the error: "wine: no winequality-red.csv is in data".

    Raises:
        DataError: it failed, or gave another file.
    """
    import pooch

    if path.name in ("", ".", ".."):
        raise DataError(f"{missing}, and {str(path)!r} is no name of a file to download to")
    pooch.get_logger().setLevel("WARNING")  # the progress bar says it all
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    try:
        pooch.retrieve(
            whole(url),
            known_hash=None if sha256 is None else f"sha256:{sha256}",
            fname=path.name,
            path=path.parent,
            downloader=_fetch,
        )
    except ValueError as error:  # pooch's words for a wrong checksum or a wrong address
        raise DataError(
            f"{url}: {public(str(error))} Try again; if the publisher has changed the file and you "
            f"trust it, set dataset.sha256 to its checksum, or to null to accept any"
        ) from error
    except OSError as error:  # no network, an HTTP status, no right to write, a full disk
        raise DataError(
            f"{missing}, and {url} could not be downloaded to it ({_reason(error)}).\nWithout a "
            f"network: fetch that address on another machine and save it as {path}, or point "
            "paths.data at the folder that has the file"
        ) from error
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it has the file, or another process's
                folder.rmdir()


class _Capped:
    """A file that takes no more bytes than leave some of the disk free."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._left = limit

    def write(self, content: bytes) -> None:
        self._left -= len(content)
        if self._left < 0:
            raise OSError("it is larger than what the disk has room for")
        self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _fetch(url: str, to: str, pooch: object) -> None:
    """Download a file, as one of pooch's downloaders."""
    from pooch import HTTPDownloader

    responses: list[Response] = []

    def note(response: Response, *_: object, **__: object) -> None:
        responses.append(response)

    fetch = HTTPDownloader(progressbar=sys.stderr.isatty(), hooks={"response": note})
    try:
        with Path(to).open("wb") as file:
            fetch(url, _Capped(file, shutil.disk_usage(Path(to).parent).free - DISK), pooch)
    finally:
        for response in responses:  # where it fails, pooch leaves its connection open
            response.close()


def _reason(error: OSError) -> str:
    """Why a download failed; the HTTP library's own words are the names of its classes."""
    from requests import exceptions

    text = public(str(error))
    if isinstance(error, exceptions.ProxyError):
        return "the proxy does not let it through"
    if isinstance(error, exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, exceptions.Timeout) or "timed out" in text:
        return "timed out"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, exceptions.ConnectionError):
        if "resolve" in text or "Name or service not known" in text:
            return "no network: the host's name was not resolved"
        for words in ("Connection refused", "Network is unreachable", "No route to host"):
            if words in text:
                return words.lower()
        return "the connection failed"
    return text
