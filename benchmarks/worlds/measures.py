"""How often sweeps of a world are judged wrong, and how much is found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.worlds import looks
from benchmarks.worlds.sweep import Claims, Sweep, World, claims, judged, known
from regexp.compare.statistics import ALPHA, POWER

Flags = NDArray[np.float64]
"""Of every sweep whether it was so, [sweeps]."""


def errors(sweeps: Iterable[Sweep]) -> dict[str, Flags]:
    """Which sweeps claim anything, by method."""
    found = [[claims(p).any() for p in judged(sweep)] for sweep in sweeps]
    return dict(zip(Claims._fields, np.array(found, dtype=float).T, strict=True))


def deviations(sweeps: Iterable[Sweep]) -> NDArray[np.float64]:
    """Of mean differences that are none on average, [techniques]."""
    return np.asarray(np.sqrt(np.mean([sweep.means**2 for sweep in sweeps], axis=0)))


def powers(sweeps: Iterable[Sweep], deviation: NDArray[np.float64]) -> dict[str, Flags]:
    """Which sweeps find the one technique that is better, by method.

    It is better by what who knows the deviations finds in 80%, were the first step of Holm's
    correction the only one. The techniques take turns.
    """
    from scipy.special import ndtri

    level = ALPHA / len(deviation)
    effects = deviation * (ndtri(1 - level / 2) + ndtri(POWER))
    found = []
    for number, sweep in enumerate(sweeps):
        which = number % len(deviation)
        better = sweep.better(which, float(effects[which]))
        methods = (*judged(better), known(better, deviation))
        found.append([claims(p)[which] and better.means[which] > 0 for p in methods])
    return dict(zip((*Claims._fields, "known"), np.array(found, dtype=float).T, strict=True))


def with_error(found: Flags, tables: int | None = None) -> str:
    """`2.7 ± 0.5`: percent, and its standard error, that of (x + 2) / (n + 4).

    Args:
        found: of every sweep whether it was so.
        tables: that take turns; sweeps on one table are not independent.
    """
    count = len(found)
    share = (found.sum() + 2) / (count + 4)
    error = math.sqrt(share * (1 - share) / (count + 4))
    if tables and 1 < tables < count:
        by_table = [found[table::tables].mean() for table in range(tables)]
        error = max(error, float(np.std(by_table, ddof=1)) / math.sqrt(tables))
    return f"{100 * found.mean():.1f} ± {100 * error:.1f}"


def world_row(world: World, count: int) -> str:
    """How often it is wrong in a world, and how often it finds the effect; the latter by half of
    the sweeps."""
    sweeps = [world.draw(number) for number in range(min(count, world.count or count))]
    wrong = errors(sweeps)
    right = powers(sweeps[: -(-len(sweeps) // 2)], deviations(sweeps))
    cells = [with_error(values, world.tables) for values in wrong.values()]
    cells += [f"{100 * values.mean():.0f}" for values in right.values()]
    if world.null == "other rows":  # on this table a technique may help
        cells[1], cells[4] = f"({cells[1]})", f"({cells[4]})"
    techniques, seeds, _ = sweeps[0].differences.shape
    return f"| {world.name} | {techniques} | {seeds} | {' | '.join(cells)} |"


def looks_row(world: World, count: int) -> str:
    """How often a sweep is wrong that is looked at more than once."""
    question: looks.Question = "rows" if world.null == "other rows" else "table"
    sweeps = [world.draw(number) for number in range(count)]
    found = [looks.looked(sweep, question) for sweep in sweeps]
    stopped = [looks.stopped(sweep, question) for sweep in sweeps]
    wrong = np.array([[some.any() for some in one] for one in found], dtype=float)
    auto = np.array([one.claimed.any() for one in stopped], dtype=float)
    cells = [with_error(flags, world.tables) for flags in (*wrong.T, auto)]
    runs = np.mean([one.runs for one in stopped])
    techniques, seeds, _ = sweeps[0].differences.shape
    cells.append(f"{100 * runs / ((techniques + 1) * seeds):.0f}")
    return f"| {world.name} | {question} | {' | '.join(cells)} |"


class Findings(NamedTuple):
    """Claims about techniques as they are, which have effects.

    Attributes:
        right: claims a sweep whose sign is that of the gain in truth, by method.
        wrong: the others.
    """

    right: NDArray[np.float64]
    wrong: NDArray[np.float64]


def findings(
    judgements: Sequence[Sequence[NDArray[np.bool_]]],
    means: Sequence[NDArray[np.float64]],
    gains: NDArray[np.float64],
) -> Findings:
    """Count claims.

    Args:
        judgements: what is claimed, by sweep and method, each [techniques].
        means: the sweeps' mean differences, each [techniques].
        gains: mean differences in truth, [techniques].
    """
    made = np.array(judgements)  # [sweeps, methods, techniques]
    same = (np.sign(means) == np.sign(gains))[:, None]
    right, wrong = ((made & flags).sum(2).mean(0) for flags in (same, ~same))
    return Findings(right, wrong)


def findings_row(name: str, sweeps: Sequence[Sweep], gains: NDArray[np.float64]) -> str:
    """What is found out about techniques as they are."""
    judgements = [[claims(p) for p in judged(sweep)] for sweep in sweeps]
    found = findings(judgements, [sweep.means for sweep in sweeps], gains)
    cells = [f"{a:.2f} ({b:.2f})" for a, b in zip(found.right, found.wrong, strict=True)]
    return f"| {name} | {sweeps[0].differences.shape[1]} | {' | '.join(cells)} |"


def auto_rows(sweeps: Sequence[Sweep], gains: NDArray[np.float64]) -> list[str]:
    """All seeds beside `seeds=auto`, in both scopes."""
    rows = []
    arms, seeds = len(gains) + 1, sweeps[0].differences.shape[1]
    both: tuple[looks.Question, ...] = "table", "rows"
    for question in both:
        fixed = [[claims(getattr(judged(sweep), question))] for sweep in sweeps]
        stopped = [looks.stopped(sweep, question) for sweep in sweeps]
        all_seeds = findings(fixed, [sweep.means for sweep in sweeps], gains)
        found = findings([[one.claimed] for one in stopped], [one.signs for one in stopped], gains)
        runs = float(np.mean([one.runs for one in stopped]))
        rows.append(
            f"| {question} | {arms * seeds} | {all_seeds.right[0]:.2f} ({all_seeds.wrong[0]:.2f}) "
            f"| {runs:.0f} | {found.right[0]:.2f} ({found.wrong[0]:.2f}) |"
        )
    return rows
