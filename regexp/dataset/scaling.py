"""Standardization by training rows that says nothing of what these do not tell."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler


class Standardizer(StandardScaler):
    """Mean 0 and variance 1 on the rows fitted; 0 in all rows what has no two values in these.

    Nothing tells the scale of such a column, so that its values in other rows would come through
    in their own unit, as inputs of thousands whose weights were never trained. Its `scale_` is
    infinite, where scikit-learn takes 1.
    """

    def fit(self, X: NDArray[Any], y: object = None, sample_weight: None = None) -> Self:
        """Learn from `X`, [rows, columns], NaN where a value is missing."""
        with np.errstate(invalid="ignore"):  # of columns without a value
            super().fit(X, y, sample_weight)
        equal = ~(np.fmin.reduce(X) < np.fmax.reduce(X))
        self.mean_[equal], self.scale_[equal] = 0, np.inf
        return self
