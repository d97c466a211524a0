"""What a sweep has shown at its end, kept with its parent run: shown again while it is still so.

The same command again, of a sweep that has ended, would else compare and draw what it did before.
What was made of a sweep is known by all that it was made of: its runs as the store has them, the
texts beside them that were read, what is asked, the code, and the terminal.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from regexp.config.values import plain
from regexp.errors import in_a_file
from regexp.metrics.names import TEST_OUTPUTS
from regexp.tracking.environment import code_version

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from regexp.tracking import RunRecord, Tracker

FILE = "shown.json"
"""Of a sweep's parent run."""

_STYLES = re.compile(r"(\x1b\[[0-9;]*m)")
"""What makes letters bold, and ends it."""


@dataclass(frozen=True)
class Shown:
    """What was shown of a comparison.

    Attributes:
        key: of what it was made of, from `key_of`.
        texts: the SHA-256 of each text that was read for it, by "run/name"; "" of one that was not
            there.
        lines: as they were printed.
        metric, lower_is_better: that it compared by.
    """

    key: str
    texts: Mapping[str, str]
    lines: str
    metric: str
    lower_is_better: bool

    @classmethod
    def read(cls, tracker: Tracker, sweep_id: str, key: str) -> Shown | None:
        """What was shown of a sweep, if it would be the same now."""
        content = tracker.text(sweep_id, FILE)
        try:
            shown = cls(**json.loads(content or b""))
        except (TypeError, ValueError):  # there is none, or of another version
            return None
        is_so = shown.key == key and shown.texts == digests(tracker, shown.texts)
        return shown if is_so else None

    @property
    def printable(self) -> str:
        """The lines, bold where they were; whoever writes to the store steers no terminal."""
        parts = _STYLES.split(self.lines)
        return "".join(one if _STYLES.fullmatch(one) else in_a_file(one) for one in parts)

    def keep(self, parent: RunRecord) -> None:
        """Keep it with the parent run."""
        parent.text(json.dumps(asdict(self)), FILE)


def digests(tracker: Tracker, places: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of texts as they are now; see `Shown.texts`."""
    return {place: _digest(tracker.text(*place.split("/", 1))) for place in places}


def key_of(tracker: Tracker, sweep_id: str, config: DictConfig) -> str:
    """Tells what is shown of a sweep by the runs, the question, the code and the terminal."""
    made_of = [
        tracker.state(sweep_id),
        *(plain(config[part], resolve=False) for part in ("compare", "study", "tracking", "paths")),
        config.figures,
        code_version(),
        sys.stdout.isatty() and [*shutil.get_terminal_size()],
        [os.environ.get(name) for name in ("TERM", "NO_COLOR", "FORCE_COLOR")],
    ]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


class Noting:
    """A tracker to read from, which notes what is read beside the runs of a sweep.

    Attributes:
        read: "run/name" of each text, but of test outputs, which never change.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.read: set[str] = set()

    @property
    def server(self) -> str:
        return self._tracker.server

    def runs(self, sweep_id: str) -> pd.DataFrame:
        return self._tracker.runs(sweep_id)

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        return self._tracker.histories(run_ids, name)

    def text(self, run_id: str, name: str) -> bytes | None:
        if name != TEST_OUTPUTS:
            self.read.add(f"{run_id}/{name}")
        return self._tracker.text(run_id, name)


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


class _Remembering:
    """A file that passes on what is written, and has it all."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return self._file.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def remembered() -> Iterator[list[str]]:
    """What is printed meanwhile, in its parts."""
    remembering = _Remembering(sys.stdout)
    with contextlib.redirect_stdout(cast(TextIO, remembering)):
        yield remembering.written
