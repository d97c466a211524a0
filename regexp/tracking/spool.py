"""Records that could not be delivered, kept on disk: one JSON Lines file a run.

The first line says for which store they are and who wrote them. Another process takes a file
only when its writer has closed it or is dead, so that two never work on the same one.
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regexp.tracking import process

Record = dict[str, Any]  # "kind" and what belongs to it; see regexp.tracking.delivery

# Whether a process on another machine lives cannot be known; it would have written since.
_FOREIGN_SECONDS = 3600


class Spool:
    """The undelivered records of one store.

    Args:
        folder: made when the first record comes.
        store: the name of the store, without credentials.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self._store = store

    def append(self, run_id: str, records: Sequence[Record]) -> None:
        """Add records to a run's file; files they name are copied, as they may soon be gone."""
        path = self._path(run_id)
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [] if path.exists() else [{"kind": "header", "store": self._store} | process.tags()]
        lines += [self._copy(run_id, record) for record in records]
        with path.open("a", encoding="utf-8") as file:
            # Begins with a line end of its own, because an interrupt may have left half a line.
            file.write("\n" + "\n".join(json.dumps(line) for line in lines) + "\n")

    def read(self, run_id: str) -> list[Record]:
        """The records of a run, in order."""
        lines = self._lines(self._path(run_id))
        return [line for line in lines if line["kind"] not in ("header", "closed")]

    def remove(self, run_id: str) -> None:
        """Forget a run whose records were delivered."""
        self._path(run_id).unlink(missing_ok=True)
        shutil.rmtree(self._files(run_id), ignore_errors=True)

    def release(self, run_id: str) -> None:
        """Say that this process is done with a run, so that another may deliver it."""
        with self._path(run_id).open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"kind": "closed"}) + "\n")

    def refuse(self, run_id: str, records: Sequence[Record]) -> None:
        """Put aside what the store will never take, for a person to look at."""
        folder = self.folder / "refused"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{run_id}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    @contextmanager
    def claim(self) -> Iterator[list[str]]:
        """The runs that another process left behind; none while yet another delivers them."""
        if not any(self.folder.glob("*.jsonl")):
            yield []
            return
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield []
            return
        try:
            yield [path.stem for path in sorted(self.folder.glob("*.jsonl")) if self._free(path)]
        finally:
            lock.release()

    def _free(self, path: Path) -> bool:
        lines = self._lines(path)
        if not lines or lines[0].get("store") != self._store:
            return False
        if lines[-1]["kind"] == "closed":
            return True
        lives = process.alive(lines[0])
        if lives is None:
            return time.time() - path.stat().st_mtime > _FOREIGN_SECONDS
        return not lives

    def _copy(self, run_id: str, record: Record) -> Record:
        if record["kind"] != "file":
            return record
        folder = self._files(run_id) / str(len(list(self._files(run_id).glob("*"))))
        folder.mkdir(parents=True)
        source = Path(record["path"])
        target = folder / source.name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        return record | {"path": str(target.resolve())}

    def _lines(self, path: Path) -> list[Record]:
        lines = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:  # empty, or half of one: the writer was killed, or wrote it again
                continue
        return lines

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.jsonl"

    def _files(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.files"
