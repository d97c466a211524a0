"""Sweeps that are looked at more than once: with all seeds at last, or until they are decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.worlds.sweep import Sweep, claims, estimated
from regexp.compare.scope import Scope
from regexp.compare.sequential import Look, information, level, planned, standings, unplanned
from regexp.compare.statistics import ALPHA
from regexp.config.values import seeds_at_looks

Question = Literal["table", "rows"]

Flags = NDArray[np.bool_]


class Looked(NamedTuple):
    """What is claimed of techniques, each [techniques].

    Attributes:
        once: with all seeds at once.
        each: at some look, each of which spends all of the error.
        added: at some look, seeds being added by hand: each spends of what is left.
    """

    once: Flags
    each: Flags
    added: Flags


def looked(sweep: Sweep, question: Question) -> Looked:
    """Look at a sweep at 4, 8, 12, ... seeds, whatever is seen."""
    family, most = sweep.differences.shape[:2]
    each, added = np.zeros(family, bool), np.zeros(family, bool)
    looks: list[Look] = []
    for seeds in seeds_at_looks(most):
        adjusted = _scope(sweep.first(seeds), question).adjusted
        looks = unplanned(looks, seeds, ALPHA)
        once = claims(adjusted)
        each |= once
        added |= claims(adjusted, level(looks, family))
    return Looked(once, each, added)


class Stopped(NamedTuple):
    """What a sweep that stops when it is decided comes to.

    Attributes:
        claimed: [techniques].
        signs: of the mean differences at the end, [techniques].
        runs: that it took, those of the baseline included.
    """

    claimed: Flags
    signs: NDArray[np.float64]
    runs: int


def stopped(sweep: Sweep, question: Question) -> Stopped:
    """`seeds=auto`: at each look go on with what is neither decided nor hopeless."""
    family, most = sweep.differences.shape[:2]
    seeds = np.zeros(family, int)
    claimed, going = np.zeros(family, bool), np.ones(family, bool)
    last = level(planned(most, most, ALPHA), family)
    for now in seeds_at_looks(most):
        seeds[going] = now
        there = np.arange(now) < seeds[:, None]  # [techniques, seeds]
        part = sweep.first(now)
        part = replace(part, differences=np.where(there[..., None], part.differences, np.nan))
        scope = _scope(part, question)
        words = standings(
            scope.p,
            scope.adjusted,
            information(seeds, most, np.nan_to_num(scope.stays / scope.variance)),
            now=level(planned(most, now, ALPHA), family),
            last=last,
            family=family,
        )
        claimed |= going & (np.array(words) == "decided")
        going &= np.array(words) == "open"
        if not going.any():
            break
    return Stopped(claimed, np.sign(part.means), int(seeds.sum() + seeds.max()))


def _scope(sweep: Sweep, question: Question) -> Scope:
    found: Scope = getattr(estimated(sweep), question)
    return found
