"""What columns of a user's table say of its splits: the groups of its rows, or the splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset.data import DataError, Rows, Splits
from regexp.dataset.units import First
from regexp.errors import nearest

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""What a column may call each split, in letters of any case."""


def group_numbers(column: pd.Series) -> Rows:
    """A column of groups as a number for each group, [rows].

    Raises:
        DataError: one is missing; they are things that cannot be told apart, such as lists.
    """
    _check_complete(column, "group")
    try:
        return np.asarray(pd.factorize(column)[0], dtype=np.int64)
    except TypeError as error:
        raise DataError(f"group {column.name!r} holds no names or numbers ({error})") from error


def splits_of(column: pd.Series) -> Splits:
    """The rows of the training, validation and test split, in their order in the file.

    Raises:
        DataError: a word that names no split, none at all, or a split without a row.
    """
    _check_complete(column, "split")
    named = {word: split for split, words in WORDS.items() for word in words}
    words = [str(word).strip().lower() for word in column]
    for row, word in enumerate(words):
        if word not in named:
            raise DataError(
                f"row {row + 1}, column {column.name!r}: {column.iloc[row]!r}, expected "
                f"{', '.join(WORDS)}{nearest(word, list(named))}"
            )
    chosen = np.array([named[word] for word in words])
    for split in WORDS:
        if split not in chosen:
            raise DataError(
                f"column {column.name!r} gives no row to the {split} split; let some rows say "
                f"{split!r}"
            )
    train, validation, test = (np.flatnonzero(chosen == split) for split in WORDS)
    return train, validation, test


def shared_inputs(name: str, column: str, splits: Splits, first: First) -> tuple[str, ...]:
    """A line on test rows of a user's own split that other splits have as well, if there are any.

    Args:
        name: of the data.
        column: that says the split.
        splits: which it says.
        first: which rows have equal inputs.
    """
    train, validation, test = splits
    seen: NDArray[np.bool_] = np.isin(first[test], first[np.concatenate([train, validation])])
    if not seen.any():
        return ()
    return (
        f"{name}: {seen.sum():,} of {len(test):,} test rows have the inputs of a training or "
        f"validation row; they stay where the column {column!r} has them.",
    )


def _check_complete(column: pd.Series, role: str) -> None:
    gone = np.flatnonzero(column.isna())
    if len(gone):
        raise DataError(
            f"{role} {column.name!r} is missing in {len(gone)} of {len(column)} rows (the first is "
            f"row {gone[0] + 1})"
        )
