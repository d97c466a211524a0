"""No technique, from other initial weights."""

from __future__ import annotations

from dataclasses import dataclass

from regexp.regularizer.base import Regularizer


@dataclass(frozen=True)
class NoneAgain(Regularizer, kind="control", redraws=True):
    """Train without a technique once more, from other initial weights: the A/A arm of a sweep.

    Splits, order of batches and the draws of other techniques are those of every run of this seed.
    So its difference to `none` is noise alone, that of initial weights: a difference of a technique
    that is no larger says nothing, and a comparison that finds this arm better or worse is wrong.
    The initial weights are drawn from a stream that the technique's name keys: a YAML of another
    name with this class is a further arm.

    Helps:
        Nobody: it shows how far two runs differ that differ in nothing that matters.

    Costs:
        Nothing beside the runs.

    Reference:
        R. Kohavi, R. Longbotham, D. Sommerfield, R. M. Henne, Controlled experiments on the web:
        survey and practical guide, Data Mining and Knowledge Discovery 18, 2009 (A/A tests). https://doi.org/10.1007/s10618-008-0114-1
    """
