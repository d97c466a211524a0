"""Records that could not be delivered, kept on disk: JSON Lines files, each with one writer.

`<run id>.jsonl` (with a number where another process keeps records of the same run) begins with a
line that says for which store they are and who writes them; files that records name are copied
into the folder of the same name. Another process takes a file over only when its writer has
closed it or is dead, so that two never work on the same one.
"""

import contextlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regexp.errors import printable
from regexp.tracking import process
from regexp.tracking.untrusted import fault

Record = dict[str, Any]  # "kind" and what belongs to it; see regexp.tracking.delivery

UNREADABLE = "unreadable"
"""The kind of what was read back and is no record: it has the `content` and the `reason`."""

_NAME = re.compile(r"([0-9A-Za-z_-]+)(?:\.(\d+))?\.jsonl")
# Whether a process on another machine lives cannot be known; it would have written since.
_FOREIGN_SECONDS = 3600

_logger = logging.getLogger(__name__)


class Spool:
    """The undelivered records of one store.

    Args:
        folder: made when the first record comes.
        store: the name of the store, without credentials.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self._own: dict[str, list[Path]] = {}  # run -> files of this process, the oldest first

    def append(self, run_id: str, records: Sequence[Record]) -> None:
        """Add records to a run; files that they name are copied, as they may soon be gone.

        Raises:
            OSError: not all of it could be written; nothing of it is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        own = self._own.setdefault(run_id, [])
        if not own or not own[-1].exists():  # somebody may have cleared the folder
            own.append(self._create(run_id))
        self._write_copied(own[-1], records)

    def read(self, run_id: str) -> list[Record]:
        """The records of a run, in order; what is no record becomes an `UNREADABLE` one."""
        return [record for path in self._own.get(run_id, ()) for record in _records(path)]

    def remove(self, run_id: str) -> None:
        """Forget a run whose records were delivered."""
        for path in self._own.get(run_id, ()):
            path.unlink(missing_ok=True)
            shutil.rmtree(_files(path), ignore_errors=True)
        self._own.pop(run_id, None)

    def release(self) -> None:
        """Say that this process is done with its files, so that others may deliver them."""
        for path in [path for paths in self._own.values() for path in paths if path.exists()]:
            # On a full disk the file is free when this process has ended.
            with contextlib.suppress(OSError):
                _write(path, [{"kind": "closed"}])
        self._own.clear()

    def refuse(self, run_id: str, records: Sequence[Record]) -> None:
        """Put aside what the store will never take, with its files, for a person to look at.

        Raises:
            OSError: not all of it could be written; nothing of it is kept.
        """
        path = self.folder / "refused" / f"{run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write_copied(path, records)

    def touch(self, run_id: str) -> None:
        """Give a sign of life to processes on other machines, which cannot see this one."""
        for path in self._own.get(run_id, ()):
            with contextlib.suppress(OSError):
                path.touch()

    @contextmanager
    def claim(self) -> Iterator[list[str]]:
        """The runs that other processes left behind; none while yet another takes them.

        What is not removed inside the block belongs to this process, until it is released.
        """
        try:
            paths = self._paths()
            lock = FileLock(self.folder / ".lock")
            if paths:
                lock.acquire(blocking=False)
        except Timeout:
            yield []
            return
        except OSError as error:
            _logger.warning("What waits in %s cannot be delivered: %s", self.folder, error)
            yield []
            return
        try:
            claimed: dict[str, None] = {}
            for path in paths:
                run_id = _run_id(path)
                if path not in self._own.get(run_id, ()) and self.owner(path) is None:
                    self._own.setdefault(run_id, []).append(path)
                    self._own[run_id].sort(key=_number)
                    claimed[run_id] = None
            yield list(claimed)
            for run_id in claimed:
                self._adopt(run_id)
        finally:
            lock.release()

    def owners(self) -> dict[Path, str | None]:
        """Every file of records -> who else keeps it, as `owner` says."""
        return {path: self.owner(path) for path in self._paths()}

    def owner(self, path: Path) -> str | None:
        """Who else keeps a file, for people; None if it may be taken over."""
        try:
            lines, written = _lines(path), path.stat().st_mtime
        except FileNotFoundError:  # it was delivered meanwhile
            return "it is gone"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        # Of either sign: the clock may have been set back since.
        is_fresh = abs(time.time() - written) <= _FOREIGN_SECONDS
        headers = [line for line in lines if line.get("kind") == "header"]
        if not headers:  # of an empty one, the writer was killed before it wrote anything
            return "a file without a beginning" if lines or is_fresh else None
        header = headers[-1]
        store = header.get("store")
        if store != self.store:
            return f"for another store, {printable(str(store))}"
        if lines[-1].get("kind") == "closed":
            return None
        who = printable(f"process {header.get('pid')} on {header.get('host')}")
        tags = {key: value for key, value in header.items() if isinstance(value, str)}
        lives = process.alive(tags)
        if lives:
            return f"{who} still records it"
        if lives is None and is_fresh:
            return f"{who} may still record it: nothing was heard of it for less than an hour"
        return None

    def _adopt(self, run_id: str) -> None:
        """Write into what was taken over who has it now."""
        for path in self._own.get(run_id, ()):
            with contextlib.suppress(OSError):  # a full disk: it stays as it is
                _write(path, [self._header()])

    def _header(self) -> Record:
        return {"kind": "header", "store": self.store} | process.tags()

    def _create(self, run_id: str) -> Path:
        """A new file that only this process writes."""
        for number in count(1):
            path = self.folder / (f"{run_id}.{number}.jsonl" if number > 1 else f"{run_id}.jsonl")
            try:
                with path.open("x"):
                    pass
            except FileExistsError:
                continue
            try:
                _write(path, [self._header()])
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return path
        raise AssertionError  # pragma: no cover

    def _write_copied(self, path: Path, records: Sequence[Record]) -> None:
        """Append records to a file, all or none, with copies of the files that they name."""
        copied: list[Path] = []
        try:
            _write(path, [self._copy(path, record, copied) for record in records])
        except BaseException:
            for folder in copied:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _copy(self, path: Path, record: Record, copied: list[Path]) -> Record:
        """The record with its file copied, and that copy's path relative to the copies' folder."""
        if record["kind"] != "file":
            return record
        files = _files(path)
        files.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=files))
        copied.append(folder)
        source = Path(record["path"])
        target = folder / source.name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        return record | {"path": target.relative_to(files).as_posix()}

    def _paths(self) -> list[Path]:
        """All files of records, those of a run from the oldest on."""
        paths = [path for path in self.folder.glob("*.jsonl") if _NAME.fullmatch(path.name)]
        return sorted(paths, key=lambda path: (_run_id(path), _number(path)))


def _write(path: Path, lines: Iterable[Record]) -> None:
    """Append lines to a file, all or none.

    They begin with a line end of their own, because a kill may have left half a line.
    """
    text = "\n" + "\n".join(json.dumps(line) for line in lines) + "\n"
    before = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except BaseException:
        with contextlib.suppress(OSError):
            os.truncate(path, before)
        raise


def _records(path: Path) -> Iterator[Record]:
    """The records in a file, with who wrote each, and the whole paths of their files."""
    owner = ""
    for line in _lines(path):
        if line.get("kind") == "header":
            owner = process.identity({key: str(value) for key, value in line.items()})
        if line.get("kind") in ("header", "closed"):
            continue
        line.setdefault("owner", owner)
        if reason := fault(line, _files(path)):
            yield {"kind": UNREADABLE, "content": line, "reason": reason}
        elif line["kind"] == "file":
            yield line | {"path": str((_files(path) / line["path"]).resolve())}
        else:
            yield line


def _lines(path: Path) -> list[Record]:
    """The objects in a file; half a line, or what is no object, is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # somebody cleared the folder
        return []
    lines = []
    for line in text.split("\n"):
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):  # empty, or half of one: the writer was killed
            continue
        if isinstance(parsed, dict):
            lines.append(parsed)
    return lines


def _run_id(path: Path) -> str:
    return path.name.partition(".")[0]


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[2] or 1) if match else 0


def _files(path: Path) -> Path:
    return path.with_suffix(".files")
