"""What the benchmarks share: their `--smoke`, one thread, ratios within rounds, timed commands."""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

ROOT = Path(__file__).parents[1]
"""Of the checkout."""

Measured = TypeVar("Measured")


def one_thread() -> None:
    """One thread for every library; to be called before numpy and torch are imported."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"


def make_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Of a benchmark's options, with the one that all have.

    Every module of this package that has a `main` is run with `--smoke` by the tests.

    Args:
        module: the benchmark's `__name__` as a module of this package.
        description: its docstring.
    """
    name = module.removeprefix("benchmarks.")
    program = "python -m benchmarks" + f".{name}" * (name not in ("__main__", "throughput"))
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--smoke", action="store_true", help="all in small, in seconds, whose figures say nothing"
    )
    return parser


def interleaved(
    variants: Mapping[str, Callable[[], Measured]], rounds: int
) -> dict[str, list[Measured]]:
    """What every variant gives in every round; in a round each is called once, in turn.

    A machine that slows down for a while slows all of them, so that ratios within a round hold.
    """
    found: dict[str, list[Measured]] = {name: [] for name in variants}
    for index in range(rounds):
        print(f"round {index + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
        for name, variant in variants.items():
            found[name].append(variant())
    print(" " * 40, end="\r", file=sys.stderr)
    return found


def ratios(numbers: Sequence[float], references: Sequence[float]) -> list[float]:
    """[first quartile, median, third quartile] of the ratios within each round."""
    within = [a / b for a, b in zip(numbers, references, strict=True)]
    return statistics.quantiles(within, n=4, method="inclusive") if within[1:] else within * 3


class Times(NamedTuple):
    """Of a command: seconds on the clock, and of the processors, its own and its children's.

    Workers that are forked from a server of `multiprocessing` are nobody's children in the end, and
    are no part of the processors' seconds.

    `peak` is the most memory that it had at a time, in GiB, its children's not counted; 0 if that
    is not known.
    """

    wall: float
    cpu: float
    peak: float = 0.0


def timed(command: Sequence[str], folder: Path, *, tree: Path = ROOT, **environment: str) -> Times:
    """Run a Python program in a process of its own, as users start it.

    Args:
        command: the words after `python`: `["-m", "regexp", "dry_run=true"]`.
        folder: in which it runs.
        tree: the checkout whose packages it imports.
        environment: variables that it has beside ours.

    Raises:
        RefusedError: its exit status is 2.
        RuntimeError: it failed.
    """
    words = [sys.executable, *command]
    ours = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)} | environment
    with (folder / "output.txt").open("w+") as output:
        began = time.perf_counter()
        child = subprocess.Popen(words, cwd=folder, env=ours, stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            kind = RefusedError if child.returncode == 2 else RuntimeError
            raise kind(f"{' '.join(command)} ended with {child.returncode}:\n{output.read()}")
    unit = 2**30 if sys.platform == "darwin" else 2**20  # KiB, on a Mac bytes
    return Times(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def inside(command: Sequence[str], folder: Path) -> Times:
    """What `timed` does, in this process: for `--smoke`, which cannot wait for imports.

    Raises:
        RuntimeError: regexp ended with a status.
    """
    from regexp.__main__ import run  # it leaves neither the interpreter nor its streams

    _, module, *words = command
    wall, cpu, ours = time.perf_counter(), time.process_time(), sys.argv
    sys.argv = [module, *words]
    try:
        with contextlib.chdir(folder):
            if module != "regexp":
                runpy.run_module(module, run_name="__main__")
            elif status := run(words):
                raise RuntimeError(f"{' '.join(command)} ended with {status}")
    finally:
        sys.argv = ours
    return Times(time.perf_counter() - wall, time.process_time() - cpu)


class RefusedError(RuntimeError):
    """A command line that the program does not understand."""
