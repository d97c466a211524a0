"""What a command imports, there and here: `python -m benchmarks.imports`.

Every command is a new process in an empty folder, run by an earlier revision and by this tree in
turn. Told are the modules and their seconds, as Python's `-X importtime` has them, and the seconds
of the processor that the whole command takes; the packages below are those of this tree that take
longest, by themselves, in the last of the commands.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.against import both_sides, make_pair_parser
from benchmarks.harness import RefusedError, ratios, timed

COMMANDS = {
    "help": ["--help"],
    "dry run": ["dry_run=true"],
    "one run": [],
    "one run, yardsticks=false": ["yardsticks=false"],
}
"""What is done -> the words after `regexp`. Words that a tree does not know are left out."""

LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
MOST = 12
"""Packages that are told."""


class Imports(NamedTuple):
    """What a command took: seconds of the processor; seconds of each module by itself."""

    cpu: float
    modules: dict[str, float]

    @property
    def seconds(self) -> float:
        """Of all modules, on the clock."""
        return sum(self.modules.values())


def imports(tree: Path, folders: Iterator[Path], words: Sequence[str]) -> Imports:
    """Run one command in an empty folder."""
    folder = next(folders)
    folder.mkdir()
    try:
        times = timed(["-X", "importtime", "-m", "regexp", *words], folder, tree=tree)
    except RefusedError:
        if not words:
            raise
        return imports(tree, folders, ())
    lines = LINE.finditer((folder / "output.txt").read_text())
    return Imports(times.cpu, {line[2]: int(line[1]) / 1e6 for line in lines})


def packages(modules: dict[str, float]) -> str:
    """The packages that take longest, with their modules and seconds."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for name, taken in modules.items():
        seconds[name.partition(".")[0]].append(taken)
    most = sorted(seconds, key=lambda name: -sum(seconds[name]))[:MOST]
    return ", ".join(f"{name} {sum(seconds[name]):.2f} s ({len(seconds[name])})" for name in most)


def told(label: str, there: Sequence[Imports], here: Sequence[Imports]) -> str:
    """A line of what both sides imported."""
    low, middle, high = ratios([one.cpu for one in there], [one.cpu for one in here])
    sides = (
        f"{len(side[-1].modules):5} modules {median(one.seconds for one in side):5.1f} s "
        f"of {median(one.cpu for one in side):5.1f} s"
        for side in (there, here)
    )
    return f"{label:<26} {' / '.join(sides)} = {middle:.2f} ({low:.2f} - {high:.2f})"


def main(arguments: list[str] | None = None) -> None:
    options = make_pair_parser(__name__, __doc__, COMMANDS).parse_args(arguments)
    print(f"{options.revision} / this tree: of the processor's seconds, those of imports")
    last: dict[str, float] = {}
    for label, found in both_sides(options, COMMANDS, imports):
        print(told(label, found["there"], found["here"]), flush=True)
        last = found["here"][-1].modules
    print(packages(last))


if __name__ == "__main__":
    main()
