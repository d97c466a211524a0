"""Tests that are repeated as seeds are added: what each look may claim, and when to stop.

Whoever compares, adds seeds and compares again has several chances to be wrong. Here all looks
together have one: an error-spending function says how much of the 5% has been spent by each look,
and the level of a look follows from it and from the looks before.

The means of n and of N seeds, n < N, correlate by sqrt(n / N), as a Brownian motion at the times
n and N does; its probabilities are integrated look by look. Of other rows of the same kind, means
of more seeds have more in common than that, so that there the levels err on the careful side.

References:
    Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983,
    https://doi.org/10.1093/biomet/70.3.659 (spending); O'Brien and Fleming, Biometrics 35, 1979
    (the shape); Armitage, McPherson and Rowe, "Repeated significance tests on accumulating data",
    JRSS A 132, 1969 (the recursion); Jennison and Turnbull, "Group sequential methods", 2000,
    chapters 7, 10 and 19.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regexp.compare.statistics import Floats
from regexp.config.values import seeds_at_looks

HOPELESS = 0.1
"""Conditional power below which a comparison is given up."""

Standing = Literal["unknown", "decided", "hopeless", "open"]

SHARE = 0.9
"""Of the error that is left, what a comparison spends by itself: the rest is for further seeds."""


@dataclass(frozen=True, order=True)
class Look:
    """A comparison, and the error that it spends.

    Attributes:
        seeds: pairs of each technique.
        spends: probability that it is the first look with a false claim of the family, by number
            of seeds.
    """

    seeds: int
    spends: float


def spending(time: ArrayLike, alpha: float) -> Floats:
    """The error spent by a time, of O'Brien and Fleming's type: hardly any of it early.

    4 (1 - Phi(z / sqrt(t))), where z is the normal's upper alpha / 4 point.

    Args:
        time: share of the information, from 0 to 1, [...].
        alpha: two-sided error by the time 1.
    """
    from scipy.special import ndtr, ndtri

    times = np.clip(np.asarray(time, dtype=float), 1e-12, 1.0)
    return np.asarray(4 * ndtr(ndtri(alpha / 4) / np.sqrt(times)))


def planned(most: int, now: int, alpha: float, earlier: Iterable[Look] = ()) -> list[Look]:
    """The looks of a sequential sweep at up to `now` seeds of `most`.

    Where runs failed, `now` may lie between two looks; the later one is then the present.

    Args:
        most: seeds of the last look.
        now: pairs of each technique.
        alpha: the error of all looks.
        earlier: looks at the same runs that were recorded, its own among them. The plan goes on
            to spend where it comes to more than they have.
    """
    seeds, by_seeds = seeds_at_looks(most), _by_seeds(earlier)
    gone = min(sum(by_seeds.values()), alpha)
    plan = np.maximum(spending(np.array(seeds) / most, alpha), gone)
    for n, spends in zip(seeds, np.diff(plan, prepend=gone), strict=True):
        by_seeds[n] = by_seeds.get(n, 0.0) + float(spends)
    present = next((n for n in seeds if n >= now), most)
    return [Look(n, by_seeds[n]) for n in sorted(by_seeds) if n <= present]


def unplanned(earlier: Iterable[Look], now: int, alpha: float) -> list[Look]:
    """The looks by hand at less than `now` seeds, and the present one, which spends nine tenths of
    what is left.

    Args:
        earlier: those that were recorded, in any order, also at more seeds. One at as many as now
            is the present one, which a repetition leaves as it is.
        now: pairs of each technique.
        alpha: the error of all looks.
    """
    by_seeds = _by_seeds(earlier)
    left = max(alpha - sum(by_seeds.values()), 0.0)
    by_seeds.setdefault(now, SHARE * left)
    return [Look(n, by_seeds[n]) for n in sorted(by_seeds) if n <= now]


def _by_seeds(looks: Iterable[Look]) -> dict[int, float]:
    """What looks spend, by their seeds: those at equal numbers of seeds are one."""
    found: dict[int, float] = {}
    for look in looks:
        found[look.seeds] = max(look.spends, found.get(look.seeds, 0.0))
    return found


def level(looks: Sequence[Look], family: int) -> float:
    """The level of the last look: corrected p-values of its family below it are claims.

    Each of the family has its share of what is spent, as in Bonferroni's correction, and the level
    of that share; times the size of the family it is held against p-values that are corrected.

    Args:
        looks: at least one, by their seeds.
        family: how many comparisons are corrected together.
    """
    family = max(family, 1)
    times = tuple(look.seeds / looks[-1].seeds for look in looks)
    spent = np.cumsum([look.spends for look in looks]) / family
    return family * nominal_levels(times, tuple(map(float, spent)))[-1]


@lru_cache
def nominal_levels(times: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """The two-sided p-value below which each look rejects.

    Args:
        times: shares of the information, increasing.
        spent: probability to reject by each look, where there is no difference; not decreasing.
    """
    from scipy.special import ndtr

    return tuple(float(2 * ndtr(-one)) for one in boundaries(times, spent))


def boundaries(times: Sequence[float], spent: Sequence[float]) -> list[float]:
    """The |z| from which each look rejects, by Armitage, McPherson and Rowe's recursion.

    Args:
        times, spent: as of `nominal_levels`.

    Returns:
        One a look; infinite where it has nothing to spend.
    """
    from scipy.special import ndtri

    # One look, as most sweeps have, takes no integral.
    found = [-float(ndtri(spent[0] / 2)) if spent[0] > 0 else math.inf]
    # The motion where it has not been stopped: places and how much of it is there, [nodes].
    places, mass, before = np.zeros(1), np.ones(1), 0.0
    for at in range(1, len(times)):
        step, scale = math.sqrt(times[at - 1] - before), math.sqrt(times[at - 1])
        nodes, weights = _quadrature(min(found[-1], _FAR) * scale, step)
        density = np.exp(-0.5 * ((nodes[:, None] - places) / step) ** 2) @ mass
        mass = weights * density / (step * math.sqrt(2 * math.pi))
        places, before = nodes, times[at - 1]
        step, error = math.sqrt(times[at] - before), spent[at] - spent[at - 1]
        found.append(_boundary(places, mass, step, math.sqrt(times[at]), error))
    return found


def _boundary(places: Floats, mass: Floats, step: float, scale: float, error: float) -> float:
    """The |z| beyond which lies `error` of what goes on from `places` by a normal step."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def excess(z: float) -> float:
        beyond = ndtr((places - z * scale) / step) + ndtr((-places - z * scale) / step)
        return float(mass @ beyond) - error

    if excess(_FAR) >= 0:
        return math.inf
    return float(brentq(excess, 0.0, _FAR, xtol=1e-12)) if excess(0.0) > 0 else 0.0


_FAR = 12.0
"""Standard deviations that nothing goes beyond, in double precision: 2 Phi(-12) is 4e-33."""


def _quadrature(edge: float, step: float) -> tuple[Floats, Floats]:
    """Nodes and weights on [-edge, edge] for what is smooth at the scale of `step`."""
    nodes, weights = _legendre(int(min(max(8 * edge / step, 64), 600)))
    return edge * nodes, edge * weights


@lru_cache
def _legendre(count: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def conditional_power(z: ArrayLike, time: ArrayLike, critical: float) -> Floats:
    """The probability that the last look rejects, should the difference be a standard error
    larger than it looks now.

    (z sqrt(t) + drift (1 - t) - c) / sqrt(1 - t) through Phi, drift = (|z| + 1) / sqrt(t).

    Args:
        z: of the present look, [...]; its sign does not count.
        time: the share of the last look's information that there is now, below 1, [...].
        critical: |z| from which the last look rejects.
    """
    from scipy.special import ndtr

    seen, times = np.abs(np.asarray(z, dtype=float)), np.asarray(time, dtype=float)
    drift = (seen + 1) / np.sqrt(times)
    expected = seen * np.sqrt(times) + drift * (1 - times)
    return np.asarray(ndtr((expected - critical) / np.sqrt(1 - times)))


def information(seeds: ArrayLike, most: int, ratio: ArrayLike = 0.0) -> Floats:
    """The share of the information of `most` seeds that some have: Var(d_most) / Var(d_seeds).

    Args:
        seeds: at least one, [...].
        ratio: what of the variance of one seed stays however many there are; 0 for this table.
    """
    stays = np.asarray(ratio, dtype=float)
    return np.asarray((1 / most + stays) / (1 / np.asarray(seeds, dtype=float) + stays))


def standings(
    p: ArrayLike, corrected: ArrayLike, time: ArrayLike, *, now: float, last: float, family: int
) -> list[Standing]:
    """Where the comparisons of a family stand at a look.

    Giving up what is hopeless binds nobody: the levels hold for who goes on all the same.

    Args:
        p: of each alone, two-sided, [comparisons]; NaN where there is none.
        corrected: for the family, [comparisons].
        time: share of the last look's information that there is now, [comparisons].
        now: level of this look, for corrected p-values.
        last: that of the last look.
        family: how many comparisons are corrected together.

    Returns:
        `unknown` where there is no p-value, `decided` below the level, `hopeless` where the last
        look would hardly decide, else `open`.
    """
    from scipy.special import ndtri

    alone, together = np.asarray(p, dtype=float), np.asarray(corrected, dtype=float)
    times = np.minimum(np.asarray(time, dtype=float), 1 - 1e-9)
    critical = -float(ndtri(last / (2 * family)))
    power = conditional_power(-ndtri(np.clip(alone, 1e-300, 1) / 2), times, critical)
    choices: list[tuple[NDArray[np.bool_], Standing]] = [
        (np.isnan(together), "unknown"),
        (together < now, "decided"),
        (power < HOPELESS, "hopeless"),
    ]
    return [
        next((word for there, word in choices if there[at]), "open") for at in range(len(alone))
    ]
