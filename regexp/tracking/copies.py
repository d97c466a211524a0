"""Working checkpoints among the artifacts of a run, from which another machine goes on."""

import logging
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regexp.tracking import delivery
from regexp.tracking.artifacts import Places
from regexp.tracking.error import reason
from regexp.tracking.names import WORKING
from regexp.tracking.quiet import quiet
from regexp.tracking.spool import Record

_PAUSE = 600.0
_logger = logging.getLogger(__name__)


class CheckpointCopy:
    """The copy of a stack's working checkpoint in the store: an offer, without which all goes on.

    Args:
        places: where runs of the store have their artifacts.
        run_id: of the run that has it.
        queue: `Tracker.queue`: what goes while the store is away goes later.
        clock: monotonic, in seconds.
        none: whether the store is known to have none, as of a run that has just begun.
    """

    def __init__(
        self,
        places: Places,
        run_id: str,
        queue: Callable[[str, Record], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        none: bool = False,
    ) -> None:
        self._places = places
        self._run_id = run_id
        self._queue = queue
        self._clock = clock
        self._none = none
        self._quiet_until = -float("inf")

    def put(self, path: Path) -> None:
        """Copy a checkpoint into the store, if that takes it; after a failure it rests a while."""
        if self._clock() >= self._quiet_until:
            self._none = False
            self._try(lambda artifacts: artifacts.log_artifact(str(path), WORKING))

    def get(self, folder: Path, pattern: str, is_newer: Callable[[Path, Path], bool]) -> None:
        """Bring the checkpoints whose names match a pattern into a folder, if there are any.

        Args:
            folder: made with the first.
            pattern: as of a shell.
            is_newer: whether one that was brought takes the place of one that is there.
        """

        def bring(artifacts: Any) -> None:
            entries = artifacts.list_artifacts(WORKING)
            self._none = not entries
            for entry in entries:
                name = entry.path.rpartition("/")[2]
                if fnmatchcase(name, pattern) and not entry.is_dir:
                    folder.mkdir(parents=True, exist_ok=True)
                    with TemporaryDirectory(dir=folder) as brought:
                        part = Path(artifacts.download_artifacts(entry.path, brought))
                        if not (folder / name).exists() or is_newer(part, folder / name):
                            part.replace(folder / name)

        if not self._none:
            self._try(bring)

    def remove(self) -> None:
        """Remove them: the run has ended."""
        if not self._none:
            self._queue(self._run_id, delivery.removal(WORKING))

    def _try(self, use: Callable[[Any], None]) -> None:
        try:
            with quiet:
                use(self._places.artifacts_of(self._run_id))
        except Exception as error:  # whatever it is, training goes on
            self._quiet_until = self._clock() + _PAUSE
            _logger.warning(
                "The store of runs does not take or give checkpoints (%s): another machine would "
                "begin the run %s anew.",
                reason(error),
                self._run_id,
            )
