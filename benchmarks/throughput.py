"""Training throughput of regexp and its peers on one thread, interleaved in one process.

Run `python -m benchmarks`; see README.md beside this file.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import ours, peers, peers_jax
from benchmarks.harness import interleaved, make_parser, ratios
from benchmarks.peers import Trainer
from benchmarks.problem import BATCH, Problem

REFERENCE = "index_select"
LIBRARIES = ("torch", "jax", "lightning", "skorch", "keras", "scikit-learn", "numpy")
STACKS = (1, 8, 32, 64)
_CHECKED = 2  # epochs, of which the losses of all steps are compared


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


def competitors(stacks: Sequence[int] = STACKS) -> list[Competitor]:
    """All rows, whether their libraries are installed or not.

    Args:
        stacks: numbers of runs that are trained side by side.
    """
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
                f"JAX, K = {runs}", partial(peers_jax.stack, runs=runs), None, runs, tolerance=1e-4
            )
            for runs in stacks
        ),
        *(
            Competitor(
                f"regexp, K = {runs}" + ", fused" * fused,
                partial(ours.stack, runs=runs),
                fused,
                runs,
                tolerance=1e-6 if runs == 1 else 1e-4,
            )
            for runs in stacks
            for fused in (False, True)
        ),
    ]


def check(rows: list[Competitor], size: int) -> dict[str, float]:
    """Largest difference of each competitor's losses to the reference's, without dropout.

    The reference has the same Adam: fused and plain differ by rounding.

    Args:
        size: rows of the problem.

    Raises:
        SystemExit: if a difference is beyond its tolerance, so that the maths is not the same.
    """
    references: dict[bool, list[float]] = {True: [], False: []}
    for fused, losses in references.items():
        peers.index_select(Problem(size, dropout=0.0, fused=fused))(_CHECKED, losses)
    differences = {}
    for row in rows:
        if row.tolerance is None:
            continue
        losses = []
        row.trainer(rows=size, dropout=0.0)(_CHECKED, losses)
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
    rows: list[Competitor], size: int, rounds: int, seconds: float, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Samples per second of every competitor in every round.

    Args:
        rows: who competes; in every round each of them trains once, in turn.
        size: rows of the problem.
        rounds: how often.
        seconds: roughly how long each trains in a round.
        clock: tells the time in seconds.
    """
    rates = {}
    for row in rows:
        train = row.trainer(rows=size, clock=clock)
        train(1, None)  # warm up
        epochs = max(1, round(seconds / train(1, None)))
        rates[row.name] = partial(_rate, train, epochs, epochs * size * row.runs)
    return interleaved(rates, rounds)


def _rate(train: Trainer, epochs: int, samples: int) -> float:
    return samples / train(epochs, None)


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--rounds", type=int, default=30, help="default 30")
    parser.add_argument("--seconds", type=float, default=0.2, help="of each in a round")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count processor time, on a machine in use"
    )
    parser.add_argument("--check", action="store_true", help="only check that the maths is equal")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="rows whose name has a word")
    parser.add_argument("--output", type=Path, help="a JSON file, with the machine and versions")
    options = parser.parse_args(arguments)
    size, stacks = Problem().rows, list(STACKS)
    if options.smoke:
        size, stacks, options.rounds, options.seconds = 2 * BATCH, [1, 3], 1, 0.0
    torch.set_num_threads(1)
    clock = time.process_time if options.cpu_time else time.perf_counter

    rows, missing = [], {}
    for row in competitors(stacks):
        words = options.only or [""]
        if REFERENCE not in row.name and not any(word in row.name for word in words):
            continue
        try:
            row.trainer(rows=size)
        except ModuleNotFoundError as error:
            missing[row.name] = str(error)
        else:
            rows.append(row)
    differences = check(rows, size)
    print("Largest difference of a loss to the reference's, without dropout, same kind of Adam:")
    for name, difference in differences.items():
        print(f"  {name:<34}{difference:.1e}")
    if options.check:
        return

    rates = measure(rows, size, options.rounds, options.seconds, clock)
    results = {}
    print(f"\n{'':<34}{'samples/s':>10}  {'to index_select':>21}  {'to its fused form':>21}")
    for row in rows:
        plain = ratios(rates[row.name], rates[REFERENCE])
        fused = ratios(rates[row.name], rates[f"{REFERENCE}, fused"])
        rate = statistics.median(rates[row.name])
        results[row.name] = {"samples_per_second": rate, "ratio": plain, "ratio_to_fused": fused}
        columns = "  ".join(f"{b:>6.2f} ({a:>5.2f} - {c:>5.2f})" for a, b, c in (plain, fused))
        print(f"{row.name:<34}{rate:>10.0f}  {columns}")
    for name, reason in missing.items():
        print(f"{name:<34}{'missing':>10}  {reason}; pip install 'regexp[benchmark]'")
    print(f"\nRatios: median over {options.rounds} rounds (quartiles)")
    if options.output:
        record = {
            "machine": {"cpu": processor(), "cores": os.cpu_count(), "threads": 1},
            "versions": versions(),
            "clock": clock.__name__,
            "rounds": options.rounds,
            "differences": differences,
            "results": results,
            "missing": missing,
        }
        options.output.write_text(json.dumps(record, indent=2) + "\n")


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
