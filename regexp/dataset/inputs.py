"""The input columns of a table as numbers, and what is to be told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import kinds, suspects
from regexp.dataset.data import DataError
from regexp.dataset.words import Words, told_of_text, unit_of
from regexp.dataset.written import are_padded, told_of_equal


@dataclass(frozen=True)
class Settings:
    """The settings of a table that cures keep.

    Args:
        missing, drop, categorical, max_levels: see `regexp.dataset.framed.FrameDataset`.
        chosen: whether the inputs were named one by one.
    """

    missing: Sequence[str]
    drop: Sequence[str]
    categorical: Sequence[str]
    max_levels: int
    chosen: bool


@dataclass(frozen=True)
class Inputs:
    """The inputs of a table.

    Args:
        values: [rows, columns], NaN where missing, categories as numbers of their levels.
        levels: see `regexp.dataset.data.Table`.
        told: what looks wrong in them, or may be read in two ways, one line each.
        notes: levels that are one number, a line each.
        units: see `regexp.dataset.data.Table`.
    """

    values: NDArray[np.float64]
    levels: dict[str, tuple[str, ...]]
    told: tuple[str, ...]
    notes: tuple[str, ...]
    units: dict[str, str]


def read_inputs(
    frame: pd.DataFrame,
    codes: Mapping[str, pd.Series],
    words: Words | None,
    settings: Settings,
    declared: Mapping[str, tuple[str, ...]],
) -> Inputs:
    """Read the input columns.

    Args:
        frame: the columns, [rows] each.
        codes: see `regexp.dataset.written.read_codes`.
        words: what words of a CSV are taken for; None where text is text.
        settings: those of the table.
        declared: levels that the data declare, in order, by column.

    Raises:
        DataError: a column is neither numbers nor a category.
    """
    values = np.empty(frame.shape)
    levels: dict[str, tuple[str, ...]] = {}
    spelled: dict[str, str] = {}
    among: dict[str, list[str]] = {}
    dates: list[str] = []
    identifiers: list[str] = []
    splits: list[str] = []
    names = [str(name) for name in frame]
    for place, name in enumerate(names):
        column, named = frame[name], name in settings.categorical
        if words and not named:
            if (found := words.as_numbers(column)) is not None:
                spelled[name] = next(word for word in column if isinstance(word, str))
                column = found
            elif others := words.among(column):
                among[name] = others
        if named or kinds.is_category(column):
            values[:, place], levels[name] = kinds.codes(
                column, codes.get(name), declared.get(name)
            )
            if not named and suspects.is_date(column):
                _check_dates(name, levels[name], settings)
                dates.append(name)
            elif not named and suspects.names_splits(levels[name]):
                splits.append(name)
            elif not named and len(levels[name]) == len(frame) >= suspects.LEAST:
                identifiers.append(name)
            kinds.check_levels(name, levels[name], len(frame), settings.max_levels)
        else:
            values[:, place] = kinds.numbers(column)
            if suspects.are_dates(values[:, place]):
                dates.append(name)
            elif suspects.is_identifier(column):
                identifiers.append(name)
    numbers = {name: values[:, place] for place, name in enumerate(names) if name not in levels}
    padded = [name for name in numbers if are_padded(codes.get(name))]
    if words:
        told = [*words.told(spelled, among)]
    else:
        told = [*told_of_text(frame, [*levels], settings.categorical)]
    told += kinds.told_of_codes(padded, settings.categorical)
    told += suspects.told_of_sentinels(numbers, settings.missing)
    if not settings.chosen:  # who names a column wants it
        told += suspects.told_of_splits(splits)
        told += suspects.told_of_identifiers(identifiers, settings.drop)
        told += suspects.told_of_dates(dates, settings.drop)
    notes = [line for name in levels for line in told_of_equal("levels", name, levels[name])]
    units = {name: unit for name, word in spelled.items() if (unit := unit_of(word))}
    return Inputs(values, levels, tuple(told), tuple(notes), units)


def _check_dates(name: str, levels: Sequence[str], settings: Settings) -> None:
    """Raise DataError where a column has more dates than a category has levels."""
    if len(levels) > settings.max_levels:
        cure = "take it out of dataset.columns"
        if not settings.chosen:
            cure = f"leave it out by {kinds.cure('drop', [*settings.drop, name])}"
        raise DataError(
            f"column {name!r} has dates ({levels[0]!r}, ...), which are no numbers; {cure}, or "
            "write what counts of them, such as the day of the year or the hours that have passed, "
            "as numbers into columns of their own"
        )
