"""Rows that no split may tear apart: those of equal inputs, and those of a group.

Which rows belong together is said by one array (`First`).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.lazy import ArrayImages, Images

First = NDArray[np.int64]
"""Of every row the number of the first row of its unit: its own where it stands alone, [rows]."""

BLOCK = 4096
"""Rows whose bytes are copied at once."""


def first_equal(inputs: NDArray[Any] | Images) -> First | None:
    """The first row that has the same inputs, of every row.

    Equal is what compares equal: 0 and -0 are, and a missing value equals a missing value.

    Args:
        inputs: [rows, ...] of numbers, text or objects, or images in memory.

    Returns:
        [rows]; None where rows are not looked at: images that are read when they are asked for, and
        arrays of records or of objects that cannot be hashed.
    """
    array = inputs.array if isinstance(inputs, ArrayImages) else inputs
    if not isinstance(array, np.ndarray) or array.dtype.kind == "V":
        return None
    if array.dtype.kind == "O":
        numbered = _numbered(array)
        if numbered is None:
            return None
        array = numbered
    seen: dict[bytes, int] = {}
    # A digest of 256 bits stands for the row: images would fill the memory a second time.
    first = [seen.setdefault(blake2b(row, digest_size=32).digest(), number)
             for number, row in enumerate(_contents(array))]  # fmt: skip
    return np.array(first, dtype=np.int64)


def first_of(labels: NDArray[Any]) -> First:
    """The first row that has the same label, of every row: of the numbers of groups, [rows]."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def joined(one: First, other: First) -> First:
    """The smallest units that tear neither those of `one` nor those of `other`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(one)
    ends = np.concatenate([one, other])
    edges = (np.ones(2 * count, dtype=bool), (np.tile(np.arange(count), 2), ends))
    _, labels = connected_components(coo_array(edges, shape=(count, count)), directed=False)
    return first_of(labels)


def repeats(first: First) -> int:
    """How many rows are not the first of their unit."""
    return int((first != np.arange(len(first))).sum())


def _contents(array: NDArray[Any]) -> Iterator[bytes]:
    """The bytes of each row, the same for rows that compare equal."""
    for start in range(0, len(array), BLOCK):
        block = array[start : start + BLOCK]
        if array.dtype.kind in "fc":
            block = np.where(np.isnan(block), np.nan, block + 0.0)  # one NaN, and no -0
        yield from (row.tobytes() for row in block)


def _numbered(array: NDArray[Any]) -> NDArray[Any] | None:
    """Objects as numbers by column, a missing one -1; None if they cannot be hashed."""
    import pandas as pd

    columns = array.reshape(len(array), -1).T
    try:
        return np.stack([pd.factorize(column)[0] for column in columns], axis=1)
    except TypeError:
        return None
