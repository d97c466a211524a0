"""What a column says of the splits: the groups of the rows, or the split of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset.data import DataError, Rows, Splits, Table
from regexp.dataset.frames import check_columns
from regexp.dataset.kinds import check_complete
from regexp.dataset.units import First, first_of, joined
from regexp.dataset.written import told_of_equal
from regexp.errors import ConfigError, nearest

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""What a column may call each split, in letters of any case."""


def assign(table: Table, key: str, column: str, name: str) -> Table:
    """A table with the groups or the splits that a column says.

    Args:
        table: what was read.
        key: "group" or "split", the setting.
        column: its name in `Table.extra`; of groups, perhaps an input's.
        name: of the data, for messages.

    Raises:
        ConfigError: there is no such column; the data are split by themselves.
        DataError: a value that says nothing.
    """
    if table.splits is not None or (key == "split" and table.held_out is not None):
        raise ConfigError(
            f"{table.source} says by itself which rows are in which split",
            key=f"dataset.{key}", got=column, cure="leave it null",
        )  # fmt: skip
    try:
        values = _values(table, key, column)
        if key == "group":
            groups = group_numbers(values)
            if table.groups is not None:  # the dataset's own
                groups = joined(first_of(groups), first_of(table.groups))
            words = dict.fromkeys(value.strip() for value in values if isinstance(value, str))
            notes = (*table.notes, *told_of_equal("groups", column, [*words]))
            return replace(table, groups=groups, notes=notes, extra={})
        splits = splits_of(values)
    except DataError as error:
        raise error if error.key else DataError(str(error), key=table.source) from error
    first = table.first_equal
    told = () if first is None else shared_inputs(name, column, splits, first)
    return replace(table, splits=splits, remarks=(*table.remarks, *told), extra={})


def _values(table: Table, key: str, column: str) -> pd.Series:
    """The column, a value for each row."""
    if column in table.extra:
        return as_series(column, table.extra[column], len(table.targets))
    inputs = table.inputs
    # A split that is an input would tell the network where a row is; a pixel names no group.
    flat = isinstance(inputs, np.ndarray) and inputs.ndim == 2 and len(table.shape) == 1
    named = key == "group" and flat
    choices = [*table.extra, *(table.columns if named else ())]
    if not choices:
        cure = "leave it null, or write the rows into a table of your own (dataset=table)"
        if len(table.shape) == 3:
            cure += (
                ", for files of images one beside them (dataset=galaxy_images, dataset.labels=CSV)"
            )
        raise ConfigError(
            f"{table.source} has no column {'' if key == 'group' else 'beside its inputs '}that "
            f"could say the {key} of a row",
            key=f"dataset.{key}",
            got=column,
            cure=cure,
        )
    check_columns(table.source, f"dataset.{key}", (column,), choices)
    assert isinstance(inputs, np.ndarray)
    return as_series(column, inputs[:, table.columns.index(column)], len(table.targets))


def as_series(name: str, values: Any, rows: int) -> pd.Series:
    """A column as pandas has it, whatever a dataset holds it in.

    Raises:
        DataError: not one value a row; records or complex numbers.
    """
    if not isinstance(values, pd.Series):
        values = np.asarray(values)
        dateless = values.dtype.kind in "mM" and np.datetime_data(values.dtype)[0] == "generic"
        if values.dtype.kind in "Vc" or dateless:
            raise DataError(f"column {name!r} is of type {values.dtype}, no names or numbers")
        if not values.dtype.isnative:  # pandas takes the machine's own order of bytes
            values = values.astype(values.dtype.newbyteorder("="))
    if values.shape != (rows,):
        raise DataError(f"column {name!r} is of shape {list(values.shape)}, expected [{rows}]")
    return pd.Series(values, name=name)


def group_numbers(column: pd.Series) -> Rows:
    """A column of groups as a number for each group, [rows]; blanks around a name do not count.

    Raises:
        DataError: one is missing; they are things that cannot be told apart, such as lists.
    """
    check_complete(column, "group")
    try:
        names = [value.strip() if isinstance(value, str) else value for value in column]
        return np.asarray(pd.factorize(pd.Series(names, dtype=object))[0], dtype=np.int64)
    except TypeError as error:
        raise DataError(f"group {column.name!r} holds no names or numbers ({error})") from error


def split_words(column: pd.Series) -> NDArray[np.str_]:
    """A column of splits in the words of `WORDS`, [rows], each of which is there.

    Raises:
        DataError: a word that names no split, none at all, or a split without a row.
    """
    check_complete(column, "split")
    named = {word: split for split, words in WORDS.items() for word in words}
    words = [_text(column, row, value).strip().lower() for row, value in enumerate(column)]
    for row, word in enumerate(words):
        if word not in named:
            raise DataError(
                f"row {column.index[row] + 1}, column {column.name!r}: {column.tolist()[row]!r}, "
                f"expected {', '.join(WORDS)}{nearest(word, list(named))}"
            )
    chosen = np.array([named[word] for word in words])
    for split in WORDS:
        if split not in chosen:
            raise DataError(
                f"column {column.name!r} gives no row to the {split} split; let some rows say "
                f"{split!r}"
            )
    return chosen


def splits_of(column: pd.Series) -> Splits:
    """The rows of the training, validation and test split, in their order in the file.

    Raises:
        DataError: as `split_words`.
    """
    chosen = split_words(column)
    train, validation, test = (np.flatnonzero(chosen == split) for split in WORDS)
    return train, validation, test


def lengths_in_time(column: pd.Series) -> tuple[int, int, int]:
    """How many steps of a series each split has: first training, then validation, then test.

    Raises:
        DataError: as `split_words`; a split that starts before another has ended.
    """
    chosen = split_words(column)
    place = np.array([list(WORDS).index(word) for word in chosen])
    back = np.flatnonzero(np.diff(place) < 0)
    if len(back):
        row = int(back[0]) + 1
        raise DataError(
            f"row {row + 1}, column {column.name!r}: {chosen[row]} after {chosen[row - 1]}; a "
            f"series is split by time: first {', then '.join(WORDS)}"
        )
    train, validation, test = np.bincount(place, minlength=len(WORDS)).tolist()
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


def _text(column: pd.Series, row: int, value: Any) -> str:
    """A word of a column, in its row; files of arrays have them as bytes."""
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise DataError(
            f"row {column.index[row] + 1}, column {column.name!r}: {bytes(value)!r} is no text in "
            f"UTF-8; expected {', '.join(WORDS)}"
        ) from error
