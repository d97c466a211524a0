"""Read a zip file of somebody else's: nothing in it is believed before it was checked."""

import contextlib
import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from regexp.errors import ConfigError, reason_of

MEMBERS = 100_000
TOTAL = 256 * 2**20  # bytes of all that is read of one archive; a checkpoint counts for itself

_CHUNK = 2**20
_LENGTH = 200
# Of these a reader may be asked to write files; some mean something to one system or another.
_ODD = re.compile(r'[\\:*?"<>|]')
# What zipfile raises at files that are none.
_WRONG = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError,
    NotImplementedError, RecursionError, OSError,
)  # fmt: skip


class Members(contextlib.AbstractContextManager["Members"]):
    """The members of an archive.

    Raises:
        ConfigError: there is no such file, it is no zip file, or a member's name or kind is none
            that an archive of ours has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with refusing(path):
            try:
                self._zip = zipfile.ZipFile(path)
            except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
                raise ConfigError(
                    f"{path}: cannot be read ({error.strerror}); give the path of a file that "
                    "regexp export wrote"
                ) from error
        self._left = TOTAL
        self._infos = {info.filename: info for info in self._zip.infolist()}
        try:
            with refusing(path):
                self._check()
        except ConfigError:
            self._zip.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def names(self) -> set[str]:
        return set(self._infos)

    def read(self, name: str, limit: int, sha256: str | None = None, weight: int = 1) -> bytes:
        """The content of a member.

        Args:
            limit: bytes that it may have at most.
            sha256: what its content must have.
            weight: what each of its bytes counts of `TOTAL`: more where they take long to read.

        Raises:
            ConfigError: there is no such member, or its content is not as it must be.
        """
        content = b"".join(self.chunks(name, min(limit, self._left // weight), sha256))
        self._left -= weight * len(content)
        return content

    def check(self, name: str, limit: int, sha256: str) -> None:
        """Read a member and keep nothing of it. Arguments and errors are those of `read`."""
        for chunk in self.chunks(name, min(limit, self._left), sha256):
            self._left -= len(chunk)

    def chunks(self, name: str, limit: int, sha256: str | None) -> Iterator[bytes]:
        """A member in pieces, which do not count for `TOTAL`.

        Arguments and errors are those of `read`. What the headers say of its size is not believed.
        Only at its end is it known whether the content is right.
        """
        with refusing(self.path, name):
            if name not in self._infos:
                raise ValueError("it is missing")
            digest = hashlib.sha256()
            size = 0
            with self._zip.open(self._infos[name]) as stream:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise ValueError(f"it has more than the {limit} bytes that are read")
                    digest.update(chunk)
                    yield chunk
            if sha256 is not None and digest.hexdigest() != sha256:
                raise ValueError("its SHA-256 is not the one that is listed")

    def _check(self) -> None:
        infos = self._zip.infolist()
        if len(infos) > MEMBERS:
            raise ValueError(f"it has {len(infos)} members, more than {MEMBERS}")
        for info in infos:
            what = wrong_name(info.orig_filename)
            mode = info.external_attr >> 16
            if not what and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                what = "it is a link or another thing that is no file"
            if not what and info.flag_bits & 1:
                what = "it is encrypted"
            if not what and info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                what = "it is compressed in a way that is not used here"
            if what:
                raise ValueError(f"the member {ascii(info.orig_filename)[:_LENGTH]}: {what}")
        if len(self._infos) < len(infos):
            raise ValueError("two of its members have one name")


def wrong_name(name: str) -> str:
    """Why a member may not have this name; empty if it may."""
    if not 0 < len(name) <= _LENGTH or not name.isprintable() or _ODD.search(name):
        return "its name is empty, too long, or has characters that file names should not have"
    if any(part in ("", ".", "..") or part != part.strip() for part in name.split("/")):
        return "its name does not stay in the folder that the archive is unpacked in"
    return ""


@contextlib.contextmanager
def refusing(path: Path, member: str = "") -> Iterator[None]:
    """Turn whatever is wrong with an archive into the one error that users see.

    Raises:
        ConfigError: naming both, with what is wrong and what to do.
    """
    try:
        yield
    except ConfigError:
        raise
    except _WRONG as error:
        reason = reason_of(error)
        raise ConfigError(
            reason if reason.isprintable() else ascii(reason)[1:-1],
            key=f"{path}: {member}" if member else str(path),
            cure="the archive is damaged, was changed, or is none of regexp's: ask for it again "
            "(regexp export SWEEP_ID FILE.zip writes it)",
        ) from error
