"""Training throughput of regexp and its peers on one thread, interleaved in one process.

Run `python -m benchmarks`; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import ours, peers
from benchmarks.peers import Trainer
from benchmarks.problem import Problem

REFERENCE = "index_select"
LIBRARIES = ("torch", "lightning", "skorch", "keras", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Competitor:
    """One row of the table.

    Attributes:
        name: of the row.
        make: sets up its training of a problem.
        fused: whether its Adam is torch's fused kernel; None for an Adam of its own.
        runs: networks that it trains side by side; each counts its samples.
        tolerance: how far its losses without dropout may lie from the reference's; None if its
            maths is another.
    """

    name: str
    make: Callable[[Problem], Trainer]
    fused: bool | None
    runs: int = 1
    tolerance: float | None = 0.0

    def trainer(self, **changes: Any) -> Trainer:
        """Its training of the problem, but for what is to be changed."""
        return self.make(Problem(fused=bool(self.fused), **changes))


def competitors() -> list[Competitor]:
    """All rows, whether their libraries are installed or not."""
    of_torch = [
        Competitor(f"{name}, fused" if fused else name, make, fused)
        for name, make in (
            (REFERENCE, peers.index_select),
            ("DataLoader", peers.dataloader),
            ("Lightning", peers.lightning),
            ("skorch", peers.skorch),
        )
        for fused in (False, True)
    ]
    return [
        *of_torch,
        Competitor("Keras", peers.keras, None, tolerance=1e-3),
        Competitor("scikit-learn (no BN, no dropout)", peers.scikit_learn, None, tolerance=None),
        *(
            Competitor(
                f"regexp, K = {runs}" + ", fused" * fused,
                partial(ours.train_stack, runs=runs),
                fused,
                runs,
                tolerance=1e-6 if runs == 1 else 1e-4,
            )
            for runs in (1, 8, 32, 64)
            for fused in (False, True)
        ),
    ]


def check(rows: list[Competitor], epochs: int = 2) -> dict[str, float]:
    """Largest difference of each competitor's losses to the reference's, without dropout.

    The reference has the same Adam: fused and plain differ by rounding.

    Raises:
        SystemExit: if a difference is beyond its tolerance, so that the maths is not the same.
    """
    references: dict[bool, list[float]] = {True: [], False: []}
    for fused, losses in references.items():
        peers.index_select(Problem(dropout=0.0, fused=fused))(epochs, losses)
    differences = {}
    for row in rows:
        if row.tolerance is None:
            continue
        losses = []
        row.trainer(dropout=0.0)(epochs, losses)
        expected = references[bool(row.fused)]
        assert len(losses) == len(expected), (row.name, len(losses), len(expected))
        difference = max(abs(a - b) for a, b in zip(losses, expected, strict=True))
        differences[row.name] = difference
        if not difference <= row.tolerance:
            sys.exit(
                f"{row.name}: its losses differ from the reference's by up to {difference:.2g} in "
                f"{len(losses)} steps (allowed: {row.tolerance:.0e}), so it does other maths"
            )
    return differences


def measure(
    rows: list[Competitor], rounds: int, seconds: float, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Samples per second of every competitor in every round.

    Args:
        rows: who competes; in every round each of them trains once, in turn.
        rounds: how often.
        seconds: roughly how long each trains in a round.
        clock: tells the time in seconds.
    """
    trainers = {row.name: row.trainer(clock=clock) for row in rows}
    epochs = {}
    for name, train in trainers.items():
        train(1, None)  # warm up
        epochs[name] = max(1, round(seconds / train(1, None)))
    rates: dict[str, list[float]] = {row.name: [] for row in rows}
    for index in range(rounds):
        print(f"round {index + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
        for row in rows:
            n = epochs[row.name]
            samples = n * Problem().rows * row.runs
            rates[row.name].append(samples / trainers[row.name](n, None))
    return rates


def ratios(rates: dict[str, list[float]], name: str, reference: str) -> list[float]:
    """[first quartile, median, third quartile] of the ratios within each round."""
    within = [a / b for a, b in zip(rates[name], rates[reference], strict=True)]
    return statistics.quantiles(within, n=4, method="inclusive")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="at least 2 (default 30)")
    parser.add_argument("--seconds", type=float, default=0.2, help="of each in a round")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count processor time, on a machine in use"
    )
    parser.add_argument("--check", action="store_true", help="only check that the maths is equal")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="rows whose name has a word")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("throughput.json"), help="JSON"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("--rounds must be at least 2")
    torch.set_num_threads(1)
    clock = time.process_time if arguments.cpu_time else time.perf_counter

    rows, missing = [], {}
    for row in competitors():
        words = arguments.only or [""]
        if REFERENCE not in row.name and not any(word in row.name for word in words):
            continue
        try:
            row.trainer()
        except ModuleNotFoundError as error:
            missing[row.name] = str(error)
        else:
            rows.append(row)
    differences = check(rows)
    print("Largest difference of a loss to the reference's, without dropout, same kind of Adam:")
    for name, difference in differences.items():
        print(f"  {name:<34}{difference:.1e}")
    if arguments.check:
        return

    rates = measure(rows, arguments.rounds, arguments.seconds, clock)
    results = {}
    print(f"\n{'':<34}{'samples/s':>10}  {'to index_select':>21}  {'to its fused form':>21}")
    for row in rows:
        plain = ratios(rates, row.name, REFERENCE)
        fused = ratios(rates, row.name, f"{REFERENCE}, fused")
        rate = statistics.median(rates[row.name])
        results[row.name] = {"samples_per_second": rate, "ratio": plain, "ratio_to_fused": fused}
        columns = "  ".join(f"{b:>6.2f} ({a:>5.2f} - {c:>5.2f})" for a, b, c in (plain, fused))
        print(f"{row.name:<34}{rate:>10.0f}  {columns}")
    for name, reason in missing.items():
        print(f"{name:<34}{'missing':>10}  {reason}; pip install 'regexp[benchmark]'")
    arguments.output.write_text(
        json.dumps(
            {
                "machine": {"cpu": processor(), "cores": os.cpu_count(), "threads": 1},
                "versions": versions(),
                "clock": clock.__name__,
                "rounds": arguments.rounds,
                "differences": differences,
                "results": results,
                "missing": missing,
            },
            indent=2,
        )
        + "\n"
    )
    print(
        f"\nRatios: median over {arguments.rounds} rounds (quartiles). Also in {arguments.output}"
    )


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if "model name" in line), "unknown")


if __name__ == "__main__":
    main()
