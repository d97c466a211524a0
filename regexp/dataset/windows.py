"""Windows over series, and the series that comes with a library."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SUNSPOTS = "SUNACTIVITY"
"""Statsmodels' column of them."""


def sliding(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Windows over the first axis, not copied: [time, columns] -> [starts, length, columns]."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0).swapaxes(1, 2)


def sunspots() -> NDArray[np.float64]:
    """Yearly numbers of sunspots, 1700 to 2008, [309, 1]."""
    from statsmodels import datasets

    return datasets.sunspots.load_pandas().data[[SUNSPOTS]].to_numpy(dtype=np.float64)
