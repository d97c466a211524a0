"""The file of a dataset: found in the data folder or downloaded, its checksum compared."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regexp.dataset.base import DataError, Dataset

KNOWN = "known"


@dataclass(frozen=True, kw_only=True)
class FileDataset(Dataset):
    """A dataset that is read from one file.

    Args:
        validation, test, train_size, split_seed: see `Dataset`.
        file: the file's name in the data folder, or a path; None for the first of `known` that
            lies in the data folder. If none does, `url` is downloaded.
        sha256: the checksum that the file must have: 64 hexadecimal digits; "known" for the one
            that `known` gives for the file's name; None accepts any file.
        known: file name -> SHA-256, in the order in which they are looked for.
        url: public address (http or https) of the file; the name of the file that it gives is the
            address's last part.

    Raises:
        ValueError: an argument that is none of these.
    """

    file: str | None
    sha256: str | None
    known: Mapping[str, str]
    url: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sha256 not in (None, KNOWN) and not _is_sha256(self.sha256):
            raise ValueError(
                "dataset.sha256: expected 64 hexadecimal digits, 'known' or null (any file); got "
                f"{self.sha256!r}"
            )
        for name, checksum in self.known.items():
            if not _is_sha256(checksum):
                raise ValueError(
                    f"dataset.known.{name}: expected 64 hexadecimal digits, got {checksum!r}"
                )
        name = self._online if self.file is None else self.file
        if self.sha256 == KNOWN and self._pinned(name) is None:
            raise ValueError(
                f"dataset.sha256: no checksum is known for the file {name} (known: "
                f"{', '.join(self.known)}); give the file's own, or null to accept any"
            )

    def locate(self, folder: Path) -> tuple[Path, str]:
        """The file and its SHA-256, downloaded if it is not there.

        Raises:
            DataError: no file, one with another checksum, or a download that failed.
        """
        online = self._online
        names = list(self.known) if self.file is None else [self.file]
        present = [folder / name for name in names if (folder / name).is_file()]
        if present:
            path = present[0]
        elif self.file is None or self.file == online:
            path = folder / online
            missing = f"{self.name}: none of {', '.join(self.known)} is in {folder}"
            download(self.url, path, self._expected(online), missing)
        else:
            raise DataError(
                f"dataset.file: no file {self.file!r} in {folder}; put it there, point paths.data "
                f"at its folder, or set dataset.file={online} to have it downloaded from {self.url}"
            )
        return path, check_file(path, self._expected(path.name))

    def source_of(self, path: Path, checksum: str) -> str:
        """The public address if the file is known to be the one it gives, else the file's path."""
        return self.url if checksum == self._pinned(self._online) else str(path)

    @property
    def _online(self) -> str:
        """The name of the file that the address gives."""
        return self.url.rsplit("/", 1)[-1]

    def _pinned(self, file: str) -> str | None:
        return self.known.get(Path(file).name)

    def _expected(self, name: str) -> str | None:
        return self._pinned(name) if self.sha256 == KNOWN else self.sha256


def find(key: str, path: str, folder: Path) -> Path:
    """A user's own file or folder: absolute, or relative to the working directory or to `folder`.

    Raises:
        DataError: there is none.
    """
    places = [Path(path).expanduser()]
    if not places[0].is_absolute():
        places = [Path.cwd() / path, folder / path]
    for place in places:
        if place.exists():
            return place
    looked = " nor in ".join(str(place.parent) for place in dict.fromkeys(places))
    raise DataError(
        f"{key}: no {path!r} in {looked}; give an absolute path, or one relative to the folder of "
        "the command or to paths.data"
    )


def check_file(path: Path, expected: str | None) -> str:
    """The file's SHA-256, held against the one that it must have, if any.

    Raises:
        DataError: it has another.
    """
    found = file_checksum(path)
    if expected is not None and found != expected.lower():
        raise DataError(
            f"{path}: not the file that was expected: its SHA-256 is\n  {found}, expected\n"
            f"  {expected}.\nDelete it to have it downloaded again, or, if you trust it, set "
            f"dataset.sha256={found} (dataset.sha256=null accepts any file; the run records "
            "its checksum)"
        )
    return found


def download(url: str, path: Path, sha256: str | None, missing: str) -> None:
    """Download `url` to `path`: to a temporary file first, moved once its checksum is right.

    Several processes may do so at once: each moves a whole file into place.

    Args:
        url: http or https.
        path: where to; its folder is made.
        sha256: of the file; None accepts any.
        missing: why it is needed, for the error: "wine: no winequality-red.csv is in data".

    Raises:
        DataError: it failed, or gave another file.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the progress bar says it all
    made = [one for one in (path.parent, *path.parent.parents) if not one.exists()]
    try:
        pooch.retrieve(
            url,
            known_hash=None if sha256 is None else f"sha256:{sha256}",
            fname=path.name,
            path=path.parent,
            progressbar=sys.stderr.isatty(),
        )
    except ValueError as error:  # pooch's words for a wrong checksum or a wrong address
        raise DataError(
            f"{url}: {error} Try again; if the publisher has changed the file and you "
            f"trust it, set dataset.sha256 to its checksum, or to null to accept any"
        ) from error
    except OSError as error:  # no network, an HTTP status, no right to write, a full disk
        raise DataError(
            f"{missing}, and {url} could not be downloaded to it ({_reason(error)}).\nWithout a "
            f"network: fetch that address on another machine and save it as {path}, or point "
            "paths.data at the folder that has the file"
        ) from error
    finally:
        for one in made:
            with contextlib.suppress(OSError):  # it has the file, or another process's
                one.rmdir()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def joint_checksum(paths: Sequence[Path], folder: Path) -> str:
    """SHA-256 of a file; of several, that of their names within `folder` and checksums, in order.

    Raises:
        DataError: one cannot be read.
    """
    if len(paths) == 1:
        return file_checksum(paths[0])
    digest = hashlib.sha256()
    for path in paths:
        name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        digest.update(f"{name.as_posix()}\0{file_checksum(path)}\n".encode())
    return digest.hexdigest()


def check_sha256(key: str, value: object) -> None:
    """`value` is None or a checksum.

    Raises:
        ValueError: it is neither.
    """
    if value is not None and not _is_sha256(value):
        raise ValueError(
            f"{key}: expected 64 hexadecimal digits, or null (any file); got {value!r}"
        )


def _reason(error: OSError) -> str:
    """Why a download failed; the HTTP library's own words are the names of its classes."""
    from requests import exceptions

    text = str(error)
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


def _is_sha256(text: object) -> bool:
    return (
        isinstance(text, str)
        and len(text) == 64
        and all(letter in "0123456789abcdef" for letter in text.lower())
    )
