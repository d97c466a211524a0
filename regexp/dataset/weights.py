"""How much each row of a table counts in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import kinds
from regexp.dataset.data import DataError, Rows

if TYPE_CHECKING:
    from regexp.dataset.words import Words


def read_weights(column: pd.Series, words: Words | None) -> NDArray[np.float64]:
    """A column of weights, [rows].

    Args:
        column: finite numbers that are not negative, [rows].
        words: what words of a CSV are taken for; None where text is text.

    Raises:
        DataError: one is something else, or missing; all are 0.
    """
    kinds.check_complete(column, "weight")
    found = words.as_numbers(column) if words else None
    column = column if found is None else found
    if kinds.is_category(column):
        raise DataError(f"weight {column.name!r} is no number ({column.iloc[0]!r} in a row)")
    weights = kinds.numbers(column)
    negative = np.flatnonzero(weights < 0)
    if len(negative):
        row = int(negative[0])
        raise DataError(
            f"row {column.index[row] + 1}, weight {column.name!r}: {weights[row]:g}, expected a "
            "number that is not negative"
        )
    if not weights.any():
        raise DataError(f"weight {column.name!r} is 0 in every row; no row would count")
    return weights


def scaled(weights: NDArray[np.float64], train: Rows, source: str) -> NDArray[np.float64]:
    """Weights of all rows whose mean over the training rows is 1, so that rates stay what they are.

    Raises:
        DataError: one is negative or no number; all training rows have the weight 0, or their sum
            is infinite.
    """
    if not (weights >= 0).all():
        raise DataError("weights of rows have to be numbers >= 0", key=source)
    mean = weights[train].mean()
    if not (mean > 0 and np.isfinite(mean)):
        raise DataError(f"the weights of the training rows have the mean {mean:g}", key=source)
    return weights / mean
