"""What the rows of a table are stratified by when they are split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.data import CLASSIFICATION, MULTILABEL, Rows, Table

LEAST = 2
"""Rows of a combination of labels that the smallest split must expect, for it to be a stratum."""


def strata_of(table: Table, smallest: float) -> Rows | None:
    """The stratum of each row, from 0, [rows]; None where rows are split at random.

    A class is a stratum. So is each combination of labels (a "labelset") that has rows for every
    split; the rows of rarer ones are a stratum together.

    Args:
        table: whose rows are split.
        smallest: the share of all rows that the smallest of the splits gets.

    Reference: Sechidis, Tsoumakas and Vlahavas 2011, On the stratification of multi-label data,
    https://doi.org/10.1007/978-3-642-23808-6_10, compare labelsets with other ways.
    """
    if table.task == CLASSIFICATION:
        return table.targets
    return _labelsets(table.targets, LEAST / smallest) if table.task == MULTILABEL else None


def _labelsets(labels: NDArray[Any], least: float) -> Rows:
    """Numbers of the combinations of labels with at least so many rows, rarer ones together."""
    _, labelset, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    labelset = labelset.reshape(-1).astype(np.int64)
    rare = counts < least
    if 0 < counts[rare].sum() < least and not rare.all():  # too few to be a stratum themselves
        rare[np.where(rare, counts.max() + 1, counts).argmin()] = True
    joined = np.where(rare, rare.argmax(), np.arange(len(counts)))
    return np.unique(joined[labelset], return_inverse=True)[1].astype(np.int64)
