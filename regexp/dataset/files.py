"""The file of a dataset: found in the data folder or downloaded, its checksum compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regexp.dataset.base import DataError, Dataset
from regexp.dataset.download import check_url, download, name_in

KNOWN = "known"


@dataclass(frozen=True, kw_only=True)
class FileDataset(Dataset):
    """A dataset that is read from one file.

    Args:
        validation, test, train_size, split_seed, label_noise: see `Dataset`.
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
        check_url("dataset.url", self.url)
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
        found = [folder / name for name in names if _exists(folder / name)]
        present = [path for path in found if path.is_file()]
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
        return name_in(self.url)

    def _pinned(self, file: str) -> str | None:
        return self.known.get(Path(file).name)

    def _expected(self, name: str) -> str | None:
        return self._pinned(name) if self.sha256 == KNOWN else self.sha256


def find(key: str, path: str, folder: Path) -> Path:
    """A user's own file or folder: absolute, or relative to the working directory or to `folder`.

    Raises:
        DataError: there is none.
    """
    try:
        places = [Path(path).expanduser()]
    except RuntimeError as error:  # ~somebody
        raise DataError(f"{key}: {path!r}: {error}") from error
    if not places[0].is_absolute():
        places = [Path.cwd() / path, folder / path]
    for place in places:
        if not _exists(place):
            continue
        if not (place.is_file() or place.is_dir()):  # reading a pipe, say, may have no end
            raise DataError(f"{key}: {place} is neither a file nor a folder")
        return place
    looked = " nor in ".join(str(place.parent) for place in dict.fromkeys(places))
    raise DataError(
        f"{key}: no {path!r} in {looked}; give an absolute path, or one relative to the folder of "
        "the command or to paths.data"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have, or a folder that may not be looked into
        return False


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


def _is_sha256(text: object) -> bool:
    return (
        isinstance(text, str)
        and len(text) == 64
        and all(letter in "0123456789abcdef" for letter in text.lower())
    )
