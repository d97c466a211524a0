"""The smallest cocktail that is not worse, by backward elimination on validation scores.

The one-standard-error rule of pruning: what is simpler is taken where its score is within one
standard error of the best. Here it is the standard error of the paired difference, and what is
surely worse by less than matters is taken as well, which many seeds would refuse else.

References:
    Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984, section 3.4.3
    (the rule); Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd
    edition, 2009, section 7.10, https://hastie.su.domains/ElemStatLearn/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from regexp.compare.formats import digits_of, rounded
from regexp.compare.metric import Unit
from regexp.compare.statistics import Floats, paired
from regexp.compare.verdict import LEAST, SURE

Subset = tuple[str, ...]
"""Names of techniques, in the order of the whole cocktail."""

ScoresOf = Callable[[Sequence[Subset]], Sequence[Floats]]
"""The validation scores of cocktails at equal seeds, [seeds] each; more is better, NaN for none."""


@dataclass(frozen=True)
class Gain:
    """What a cocktail gains over the reference: the mean over seeds of the paired difference.

    Attributes:
        mean: more is better; NaN where nothing is known.
        error: its standard error.
        pairs: seeds that it rests on.
    """

    mean: float
    error: float
    pairs: int

    @property
    def reach(self) -> float:
        """From the mean to its one-sided bound at `SURE`."""
        from scipy.special import stdtrit

        return float(stdtrit(self.pairs - 1, SURE)) * self.error

    @property
    def known(self) -> bool:
        """Whether there are seeds enough, and none is lost."""
        return self.pairs >= LEAST and math.isfinite(self.mean)

    def not_worse(self, margin: float) -> bool:
        """Whether the loss is within one standard error, or surely smaller than a margin."""
        return self.known and (self.mean >= -self.error or self.mean - self.reach > -margin)

    @property
    def better(self) -> bool:
        """Whether it surely gains."""
        return self.known and self.mean > self.reach

    def in_words(self, unit: Unit) -> tuple[str, str]:
        """The mean with its unit and the standard error: ("+0.12 points", "0.09")."""
        digits = digits_of(self.error or self.mean, unit)
        size = f"{rounded(self.mean, digits, unit=unit, sign=True)} {unit.name}".rstrip()
        return size, rounded(self.error, digits, unit=unit)


def gain_of(scores: Floats, reference: Floats) -> Gain:
    """What some scores gain over those of the reference at equal seeds.

    Seeds at which only one of them has a score leave nothing known: where a cocktail fails on hard
    seeds alone, what is left flatters it. Those at which neither has one, as where the validation
    rows leave a metric undefined, are left out.
    """
    some = ~(np.isnan(scores) & np.isnan(reference))
    both = paired(scores[some], reference[some])
    if both.missing or both.infinite or both.pairs < LEAST:
        return Gain(math.nan, math.nan, both.pairs)
    return Gain(both.mean, both.sd / both.pairs**0.5, both.pairs)


@dataclass(frozen=True)
class Elimination:
    """What was left out.

    Attributes:
        kept: the smallest cocktail that is not worse.
        dropped: what was left out, the first first, each with what the cocktail without it and
            those before it gains over the reference of that moment.
        unknown: of what is kept, that without which no score is known: runs failed or could not be
            planned.
    """

    kept: Subset
    dropped: tuple[tuple[str, Gain], ...] = ()
    unknown: Subset = ()


def eliminate(whole: Subset, reference: Floats, scores_of: ScoresOf, margin: float) -> Elimination:
    """Leave out one technique after another, as long as what is left is not worse.

    Of those that may go, the one without which the mean is highest goes first. All are held
    against the whole cocktail, so that small losses do not add up; but where leaving one out surely
    helps, against what helped, or a useful technique could go in exchange for a harmful one.

    Args:
        whole: the cocktail.
        reference: its scores, as `scores_of` gives them.
        scores_of: trains cocktails.
        margin: a loss that is surely smaller does not matter; in the unit of the scores.
    """
    kept, dropped, unknown = whole, list[tuple[str, Gain]](), Subset()
    while kept:
        smaller = [tuple(name for name in kept if name != out) for out in kept]
        scores = scores_of(smaller)
        gains = [gain_of(one, reference) for one in scores]
        allowed = [place for place, gain in enumerate(gains) if gain.not_worse(margin)]
        unknown = tuple(out for out, gain in zip(kept, gains, strict=True) if not gain.known)
        if not allowed:
            break
        best = max(allowed, key=lambda place: gains[place].mean)
        dropped.append((kept[best], gains[best]))
        if gains[best].better:
            reference = scores[best]
        kept = smaller[best]
    return Elimination(kept, tuple(dropped), tuple(name for name in unknown if name in kept))


def most_cocktails(techniques: int) -> int:
    """How many cocktails an elimination trains beside the whole, at most."""
    return techniques * (techniques + 1) // 2
