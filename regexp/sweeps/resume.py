"""The working checkpoint of a stack: from it a broken sweep goes on with the same bits.

The bits of a run depend on the stack that it trains in, so there is one file for all its runs,
`<mlruns>/checkpoints/<sweep>/<key>.pt`. The key is the first run's fingerprint, a hash of all of
them, and one of what else their bits depend on: on another processor, or under another torch, a
stack starts from its beginning, unless it is asked to go on from what there is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from regexp.errors import reason_of
from regexp.tracking import CheckpointCopy, pending
from regexp.training import checkpoint

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is written: after so many epochs, or seconds; never if both None."""

    epochs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Point:
    """A run's metrics after an epoch, recorded at `time` (milliseconds since 1970)."""

    epoch: int
    time: int
    metrics: dict[str, float]


class Resume:
    """The working checkpoint of one stack.

    Args:
        folder: of the sweep's checkpoints; made when the first is written.
        fingerprints: of the stack's runs, in order.
        arithmetic: what bits depend on beside configuration, data and code.
        every: how often to write.
        clock: monotonic, in seconds.
        copy: of the file, where other machines find it.
        elsewhere: whether to go on from a checkpoint of other arithmetic.

    Attributes:
        path: of the file.
        history: the points of every run so far.
    """

    def __init__(
        self,
        folder: Path,
        fingerprints: Sequence[str],
        arithmetic: Mapping[str, str],
        every: Every,
        clock: Callable[[], float] = time.monotonic,
        copy: CheckpointCopy | None = None,
        elsewhere: bool = False,
    ) -> None:
        stack = f"{fingerprints[0]}-{_hash(list(fingerprints))}-"
        self.path = folder / f"{stack}{_hash(dict(arithmetic))}.pt"
        self._wanted = f"{stack}*.pt" if elsewhere else self.path.name
        self._copy = copy
        self.history: list[list[Point]] = [[] for _ in fingerprints]
        self._every = every
        self._clock = clock
        self._written = clock()
        self._failed = False

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """What `train` starts from, and `history` with it; None where there is no checkpoint.

        A damaged file is told of and left out: the stack then starts from its beginning.
        """
        _remove(self.path.parent, f"{self.path.name}.*")  # what a killed process wrote half
        try:
            content = checkpoint.load(self._found(), str(device), "training")
            history = [_points(run) for run in content["history"]]
            if len(history) != len(self.history):
                raise ValueError(f"it is of {len(history)} runs, not of {len(self.history)}")
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
            self.refuse(error)
            return None
        self.history = history
        training: dict[str, Any] = content["training"]
        return training

    def _found(self) -> Path:
        """The checkpoint to go on from: of this arithmetic, else the newest that is wanted.

        Another machine may have gone on from what is here, and have left a later one in the store.
        """
        folder = self.path.parent
        if self._copy is not None:
            self._copy.get(folder, self._wanted, _is_newer)
        if self.path.exists():
            return self.path
        others = sorted(folder.glob(self._wanted), key=lambda path: path.stat().st_mtime)
        return others[-1] if others else self.path

    def refuse(self, error: Exception) -> None:
        """Say that the checkpoint does not serve, and forget what was read of it."""
        self.history = [[] for _ in self.history]
        _logger.warning(
            "The checkpoint %s cannot be used (%s). Its runs start from their beginning.",
            self.path,
            reason_of(error),
        )

    def note(self, run: int, point: Point) -> None:
        """Add a point to the history of the run at this position."""
        self.history[run].append(point)

    def save(self, epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        """Write `content()` if it is time to, or a signal waits to end the process; see
        `regexp.training.loop.Save`."""
        if not self._due(epoch):
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            history = [_tensors(points) for points in self.history]
            checkpoint.save(self.path, {"training": content(), "history": history})
            if self._copy is not None:
                self._copy.put(self.path)
        except OSError as error:
            if not self._failed:
                self._failed = True
                _logger.warning(
                    "A checkpoint cannot be written (%s). Training goes on; should it break, it "
                    "starts again from the last checkpoint, or from its beginning.",
                    error,
                )
        self._written = self._clock()

    def remove(self) -> None:
        """Forget the checkpoint: all runs of the stack are recorded."""
        _remove(self.path.parent, f"{self._wanted}*")
        if self._copy is not None:
            self._copy.remove()

    def _due(self, epoch: int) -> bool:
        if self._every == Every():
            return False
        if pending() is not None:
            return True
        if self._every.epochs is not None:
            return epoch % self._every.epochs == 0
        if self._every.seconds is not None:
            return self._clock() - self._written >= self._every.seconds
        return False


def remove_checkpoints(folder: Path, fingerprints: Sequence[str]) -> None:
    """Remove the checkpoints of stacks that have ended: a kill may have come before `remove`."""
    if not folder.is_dir():  # as where thousands of runs have long ended
        return
    for fingerprint in fingerprints:
        _remove(folder, f"{fingerprint}-*")


def _is_newer(path: Path, than: Path) -> bool:
    """Whether a checkpoint is further than another, or the other cannot be read."""
    return _epochs(path) > _epochs(than)


def _epochs(path: Path) -> int:
    """The epochs of all runs of a checkpoint, of which some may train after others; -1 if it
    cannot be read."""
    try:
        history = checkpoint.load(path, holds="training")["history"]
        return sum(int(run["epoch"][-1]) for run in history if len(run["epoch"]))
    except (ValueError, LookupError, TypeError, OSError):
        return -1


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _remove(folder: Path, pattern: str) -> None:
    """Remove files, and the folder if it is empty then."""
    with contextlib.suppress(OSError):  # others are in the folder, or there is none
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
        folder.rmdir()


def _tensors(points: Sequence[Point]) -> dict[str, torch.Tensor]:
    """The points of a run as columns: thousands of single numbers are slow to read."""
    names = points[0].metrics if points else {}
    columns = {
        f"metric {name}": torch.tensor([p.metrics[name] for p in points], dtype=torch.float64)
        for name in names
    }
    return columns | {
        "epoch": torch.tensor([point.epoch for point in points], dtype=torch.int64),
        "time": torch.tensor([point.time for point in points], dtype=torch.int64),
    }


def _points(columns: Mapping[str, torch.Tensor]) -> list[Point]:
    metrics = {
        name.removeprefix("metric "): values.tolist()
        for name, values in columns.items()
        if name.startswith("metric ")
    }
    return [
        Point(epoch, moment, {name: values[index] for name, values in metrics.items()})
        for index, (epoch, moment) in enumerate(
            zip(columns["epoch"].tolist(), columns["time"].tolist(), strict=True)
        )
    ]
