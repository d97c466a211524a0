"""What the time of a sweep goes into: `python -m benchmarks.shares`.

The ablation is run in this process, with a clock at the doors of its parts; what a part waits for
in another counts there. Told are seconds of the processor and their shares, of the thread that
trains and of the one that sends. Words after it are another command's: `-- -m regularizer=l1,l2`.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import io
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.harness import make_parser

ABLATION = ["-m", "experiment=digits_mlp", "seeds=6"]
SMALL = ["-m", "regularizer=none,l1", "seeds=2", "dataset=iris", "trainer.epochs=1"]

DOORS = {
    "composing and planning": ["regexp.config.jobs:compose", "regexp.sweeps.plan:plan_all"],
    "training": ["regexp.training.parts:Parts.train"],
    "final metrics and models": ["regexp.sweeps.job:train_members"],
    "start of runs": ["regexp.tracking.tracker:Tracker.start"],
    "end of runs": ["regexp.sweeps.job:record_result"],
    "sending": [
        "regexp.tracking.outbox:Outbox.drain",
        "regexp.tracking.outbox:Outbox.retry",
        "regexp.tracking.outbox:Outbox.store",
    ],
    "opening the store": ["regexp.sweeps.launched:open_tracker"],
    "reading back": [
        f"regexp.tracking.tracker:Tracker.{name}" for name in ("tries", "runs", "histories", "text")
    ],
    "yardsticks": ["regexp.sweeps.yardstick_runs:record_yardsticks"],
    "comparison": ["regexp.compare:report"],
    "figures": ["regexp.compare.report:pictures", "regexp.compare.html:page"],
}
"""Part -> the functions by which it is entered, where they are called by that name."""


class Clock:
    """Seconds of the processor by part; each thread counts for itself."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._thread = threading.local()

    def within(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is its part's but for what it waits for in others."""

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            before = getattr(self._thread, "inner", 0.0)
            self._thread.inner = 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time() - began
                self.seconds[part] += spent - self._thread.inner
                self._thread.inner = before + spent

        return timed

    @contextlib.contextmanager
    def at_the_doors(self) -> Iterator[None]:
        """Measure for a while."""
        plain = builtins.__import__
        first = self.within("imports", plain)

        def counted(name: str, *rest: Any, **named: Any) -> Any:
            return (plain if name in sys.modules else first)(name, *rest, **named)

        with contextlib.ExitStack() as stack:
            stack.enter_context(patch.object(builtins, "__import__", counted))
            for part, names in DOORS.items():
                for name in names:
                    path, _, attribute = name.partition(":")
                    first_import = self.within("imports", importlib.import_module)
                    owner: Any = first_import(path)
                    *classes, last = attribute.split(".")
                    for one in classes:
                        owner = getattr(owner, one)
                    stack.enter_context(
                        patch.object(owner, last, self.within(part, getattr(owner, last)))
                    )
            yield


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("words", nargs="*", help="of a command of regexp")
    options = parser.parse_args(arguments)
    words = options.words or (SMALL if options.smoke else ABLATION)
    began, clock = time.process_time(), Clock()
    with tempfile.TemporaryDirectory() as name, clock.at_the_doors():
        folder = Path(name)
        run = clock.within("imports", importlib.import_module)("regexp.__main__").run
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            status = run([*words, f"paths.mlruns={folder / 'mlruns'}", f"paths.data={folder}"])
    if status:
        raise SystemExit(f"regexp {' '.join(words)} ended with {status}:\n{printed.getvalue()}")
    whole = time.process_time() - began
    clock.seconds["the rest"] = whole - sum(clock.seconds.values())
    for part, seconds in sorted(clock.seconds.items(), key=lambda one: -one[1]):
        print(f"{part:<26} {seconds:7.1f} s {seconds / whole:6.1%}")
    print(f"{'together':<26} {whole:7.1f} s of the processor")


if __name__ == "__main__":
    main()
