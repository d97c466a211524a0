"""From the command to the first trained step: `python -m benchmarks.first_step`.

Every command is a new process, as users start it, with a store that does not exist yet. It ends
itself as it would train its first step. What one job takes is mostly imports; what more jobs take
beyond it is composing, checking and planning them all, for a sweep begins when the last is planned.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from statistics import median

from benchmarks.harness import interleaved, make_parser, ratios

COMMANDS = {
    1: ["regularizer=l1"],
    16: ["-m", "experiment=digits_mlp", "seeds=6"],
    90: ["-m", "regularizer=glob(*)"],
}
"""Jobs, about, -> the command."""

CHILD = """
import os, sys, time

from regexp.__main__ import run
from regexp.stack.stack import Stack

def first_step(*_):
    os.write(int(sys.argv[1]), str(time.monotonic()).encode())
    os._exit(0)

Stack.batches = first_step
sys.exit(run(sys.argv[2:]))
"""


def seconds_to_first_step(command: list[str]) -> float:
    """Wall time of one command from its start to its first step.

    Raises:
        RuntimeError: it ended before.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder, os.fdopen(reading) as answer:
        began = time.monotonic()
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(writing), *command, f"paths.mlruns={folder}/mlruns"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            pass_fds=[writing],
            capture_output=True,
            text=True,
        )
        os.close(writing)
        told = answer.read()
    if not told:
        raise RuntimeError(f"{' '.join(command)} trained no step:\n{child.stdout}{child.stderr}")
    return float(told) - began


def main(arguments: list[str] | None = None) -> None:
    """Measure the commands in turn, and print seconds and ratios."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="+", default=list(COMMANDS), choices=COMMANDS)
    options = parser.parse_args(arguments)
    if options.smoke:
        options.rounds, options.jobs = 1, [1]
    commands = {jobs: partial(seconds_to_first_step, COMMANDS[jobs]) for jobs in options.jobs}
    found = interleaved(commands, options.rounds)
    first = options.jobs[0]
    for jobs, seconds in found.items():
        _, ratio, _ = ratios(seconds, found[first])
        print(f"{jobs:3} jobs: {median(seconds):5.1f} s, {ratio:.2f} x {first} job")


if __name__ == "__main__":
    main()
