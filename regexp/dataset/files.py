"""The file of a dataset: found in the data folder or downloaded, its checksum compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from regexp.dataset.base import DataError, Dataset
from regexp.dataset.checks import check_url, is_sha256, name_in, unexpected
from regexp.dataset.download import download
from regexp.errors import ConfigError

KNOWN = "known"


@dataclass(frozen=True, kw_only=True)
class FileDataset(Dataset):
    """A dataset that is read from one file.

    Args:
        file: the file's name in the data folder, or a path; None for the first of `known` that
            lies in the data folder. If none does, `url` is downloaded.
        sha256: the checksum that the file must have: 64 hexadecimal digits; "known" for the one
            that `known` gives for the file's name; None accepts any file.
        known: file name -> SHA-256, in the order in which they are looked for.
        url: public address (http or https) of the file; the name of the file that it gives is the
            address's last part.
    """

    PLACES: ClassVar[frozenset[str]] = frozenset({"file", "sha256", "known", "url"})

    file: str | None
    sha256: str | None
    known: Mapping[str, str]
    url: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sha256 not in (None, KNOWN) and not is_sha256(self.sha256):
            digits = "64 hexadecimal digits, 'known' or null (any file);"
            raise unexpected("sha256", self.sha256, digits)
        check_url(self.url)
        for name, checksum in self.known.items():
            if not is_sha256(checksum):
                raise unexpected(f"known.{name}", checksum, "64 hexadecimal digits")
        name = self._online if self.file is None else self.file
        if self.sha256 == KNOWN and self._pinned(name) is None:
            raise ConfigError(
                f"no checksum is known for the file {name} (known: {', '.join(self.known)})",
                key="dataset.sha256",
                cure="give the file's own, or null to accept any",
            )

    def locate(self, folder: Path) -> tuple[Path, str]:
        """The file and its SHA-256, downloaded if it is not there.

        Raises:
            DataError: no file, one with another checksum, or a download that failed.
        """
        online = self._online
        names = list(self.known) if self.file is None else [self.file]
        paths = [folder / _from_home("dataset.file", name) for name in names]
        existing = [path for path in paths if _exists(path)]
        present = [path for path in existing if path.is_file()]
        if present:
            path = present[0]
        elif self.file is None or self.file == online:
            path = folder / online
            missing = f"{self.name}: none of {', '.join(self.known)} is in {folder}"
            download(self.url, path, self._expected(online), missing)
        else:
            raise DataError(
                f"no file {self.file!r} in {folder}",
                key="dataset.file",
                cure=f"put it there, point paths.data at its folder, or set dataset.file={online} "
                f"to have it downloaded from {self.url}",
            )
        return path, check_file(path, self._expected(path.name))

    def source_of(self, path: Path, checksum: str) -> str:
        """The public address if the file is known to be the one it gives, else the file's path."""
        return self.url if checksum == self._pinned(self._online) else str(path)

    @property
    def _online(self) -> str:
        """The name of the file that the address gives."""
        return name_in(self.url)

    def _pinned(self, file: str) -> str | None:
        return self.known.get(Path(file).name)

    def _expected(self, name: str) -> str | None:
        return self._pinned(name) if self.sha256 == KNOWN else self.sha256


def further_in(
    path: Path, separator: str, further: Mapping[str, str], encoding: str | None = None
) -> dict[str, Any]:
    """`regexp.dataset.written.read_further`, where any column is asked for."""
    if not further:
        return {}
    from regexp.dataset.written import read_further  # takes time

    return dict(read_further(path, separator, further, encoding))


def find(key: str, path: str, folder: Path) -> Path:
    """A user's own file or folder: absolute, or relative to the working directory or to `folder`.

    Raises:
        DataError: there is none.
    """
    places = [_from_home(key, path)]
    if not places[0].is_absolute():
        places = [Path.cwd() / path, folder / path]
    for place in places:
        if not _exists(place):
            continue
        if not (place.is_file() or place.is_dir()):  # reading a pipe, say, may have no end
            raise DataError(f"{place} is neither a file nor a folder", key=key)
        return place
    looked = " nor in ".join(str(place.parent) for place in dict.fromkeys(places))
    raise DataError(
        f"no {path!r} in {looked}",
        key=key,
        cure="give an absolute path, or one relative to the folder of the command or to paths.data",
    )


def _from_home(key: str, path: str) -> Path:
    """A path whose `~` is the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # ~somebody
        raise DataError(f"{path!r}: {error}", key=key) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have, or a folder that may not be looked into
        return False


def check_file(path: Path, expected: str | None) -> str:
    """The file's SHA-256; DataError if it must have another."""
    actual = file_checksum(path)
    if expected is not None and actual != expected.lower():
        raise DataError(
            f"not the file that was expected: its SHA-256 is\n  {actual}, expected\n  {expected}.\n"
            "Delete it to have it downloaded again, or, if you trust it, set "
            f"dataset.sha256={actual} (dataset.sha256=null accepts any file; the run records its "
            "checksum)",
            key=str(path),
        )
    return actual


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", key=str(path)) from error


def joint_checksum(paths: Sequence[Path], folder: Path) -> str:
    """SHA-256 of a file; of several, that of their names in `folder` and checksums, in order."""
    if len(paths) == 1:
        return file_checksum(paths[0])
    digest = hashlib.sha256()
    for path in paths:
        name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        digest.update(f"{name.as_posix()}\0{file_checksum(path)}\n".encode())
    return digest.hexdigest()
