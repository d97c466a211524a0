"""Whole commands there and here: `python -m benchmarks.against REVISION`.

The same commands are run by an earlier revision, taken out of git into a temporary folder, and by
this tree, in turn, each in a new process and an empty folder, with one thread a process. Told is
how many times the seconds of this tree those of the other are, on the clock and of the processors.
"""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import tarfile
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.harness import ROOT, RefusedError, Times, interleaved, make_parser, ratios, timed

FIRST = "97a9a37"
"""The revision that issues about speed are measured against."""

ABLATION = ["-m", "experiment=digits_mlp", "seeds=6"]
COMMANDS = {
    "ablation": ABLATION,
    "ablation, two workers": [*ABLATION, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "a fifth of the techniques on wine": [
        *("-m", "regularizer=glob('[a-d]*')", "dataset=wine_quality", "seeds=10"),
    ],
    "one run": [],
    "dry run": ["-m", "regularizer=glob(*)", "seeds=10", "dry_run=true"],
}
SMALL = {"version": ["--version"]}

T = TypeVar("T")
Side = Callable[[Path, Iterator[Path], Sequence[str]], T]
"""`side(tree, folders, words)` runs a command."""


def check_out(revision: str, folder: Path) -> Path:
    """The files of a revision, or the folder itself that is named.

    Raises:
        SystemExit: there is no such revision.
    """
    if Path(revision).is_dir():
        return Path(revision).resolve()
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision]
    packed = subprocess.run(command, capture_output=True)
    if packed.returncode:
        raise SystemExit(f"{revision}: no revision that git knows here: {packed.stderr.decode()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(tree: Path, places: Iterator[Path], words: Sequence[str], optional: Sequence[str]) -> Times:
    """Seconds of one command in an empty folder.

    Args:
        tree: the checkout that runs it.
        places: folders to come.
        words: after `regexp`.
        optional: more of them, left out where the tree does not know them.
    """
    folder = next(places)
    folder.mkdir()
    try:
        return timed(["-m", "regexp", *words, *optional], folder, tree=tree)
    except RefusedError:
        if not optional:
            raise
        return run(tree, places, words, ())


def make_pair_parser(module: str, text: str | None, commands: Iterable[str]) -> ArgumentParser:
    """The arguments of a benchmark that runs commands by another revision and by this tree."""
    parser = make_parser(module, text)
    parser.add_argument("revision", nargs="?", default=FIRST, help=f"or a folder; {FIRST}")
    parser.add_argument("--only", nargs="+", choices=commands, default=list(commands))
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def both_sides(
    options: Namespace, commands: Mapping[str, list[str]], one: Side[T]
) -> Iterator[tuple[str, dict[str, list[T]]]]:
    """Of each command, what every round gave `there` and `here`.

    Args:
        options: by `make_pair_parser`; with `smoke` both sides are this tree.
        commands: what is done -> the words after `regexp`.
        one: runs words by a tree, in the next of the folders.
    """
    commands = SMALL if options.smoke else {name: commands[name] for name in options.only}
    with tempfile.TemporaryDirectory() as name:
        there = Path(name) / "there"
        there.mkdir()
        revision = str(ROOT) if options.smoke else options.revision
        trees = {"there": check_out(revision, there), "here": ROOT}
        places = (Path(name) / str(index) for index in itertools.count())
        if not options.smoke:  # what is compiled at the first import is no part of it
            for tree in trees.values():
                one(tree, places, ["dry_run=true"])
        for label, words in commands.items():
            sides = {side: partial(one, tree, places, words) for side, tree in trees.items()}
            yield label, interleaved(sides, 1 if options.smoke else options.rounds)


def main(arguments: list[str] | None = None) -> None:
    parser = make_pair_parser(__name__, __doc__, COMMANDS)
    parser.add_argument(
        "--optional",
        nargs="+",
        default=[],
        metavar="WORD",
        help="for both, but for a side that does not know it: yardsticks=false",
    )
    options = parser.parse_args(arguments)
    # found from wherever a command is run
    os.environ.setdefault("REGEXP_DATA", str(ROOT / "data"))
    print(f"seconds of {options.revision} / seconds of this tree (quartiles)")
    for label, found in both_sides(options, COMMANDS, partial(run, optional=options.optional)):
        print(told(label, found), flush=True)


def told(label: str, found: dict[str, list[Times]]) -> str:
    """A line of what both sides took."""
    parts = [f"{label:<34}"]
    for kind, there, here in zip(
        Times._fields, zip(*found["there"], strict=True), zip(*found["here"], strict=True),
        strict=True,
    ):  # fmt: skip
        low, middle, high = ratios(there, here)
        parts.append(
            f"{kind} {median(there):6.1f} / {median(here):6.1f} s = "
            f"{middle:5.2f} ({low:.2f} - {high:.2f})"
        )
    return "  ".join(parts)


if __name__ == "__main__":
    main()
