"""What the target columns of a table are: the task, and the targets as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import kinds, suspects
from regexp.dataset.data import CLASSIFICATION, MULTILABEL, REGRESSION, DataError
from regexp.dataset.framed import WITHOUT_TARGET
from regexp.dataset.words import Words
from regexp.dataset.written import are_padded, told_of_equal
from regexp.errors import few

FEW = 20
"""Whole numbers of at most so many different values are classes, if `task` is to be inferred."""

OFTEN = 5
"""Rows that each of few numbers has on average, for these to be told: they may be classes."""


@dataclass(frozen=True)
class Targets:
    """The targets of a table.

    Args:
        values, classes, task: see `regexp.dataset.data.Table`.
        told: what looks wrong in them, one line each.
        notes: how the task was inferred, a line where it might be another.
    """

    values: NDArray[Any]
    classes: tuple[str, ...]
    task: str
    told: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_targets(
    frame: pd.DataFrame,
    codes: Mapping[str, pd.Series],
    words: Words | None,
    task: str | None,
    missing: Sequence[str],
    declared: Mapping[str, tuple[str, ...]],
) -> Targets:
    """Read the target columns.

    Args:
        frame: the columns, [rows] each, none of which is missing.
        codes: see `regexp.dataset.written.read_codes`.
        words: what words of a CSV are taken for; None where text is text.
        task: which is asked for; None to infer it.
        missing: the setting, which cures keep.
        declared: levels that the data declare, in order; a class that no row has is none.

    Raises:
        DataError: columns that the task cannot have; several of 0 and 1, and no task.
    """
    names = [str(name) for name in frame]
    labels = [_as_labels(frame[name]) for name in names] if len(names) > 1 else []
    if task == MULTILABEL or (task is None and labels and all(one is not None for one in labels)):
        return _multilabel(frame, labels, asked=task is not None)
    told: list[str] = []
    if words and task != CLASSIFICATION:
        told += words.told_of_target(frame[names[0]]) if len(names) == 1 and task is None else ()
        frame, codes = _with_numbers(frame, codes, words)
    named = [name for name in names if kinds.is_category(frame[name])]
    numbers = {name: kinds.numbers(frame[name]) for name in names if name not in named}
    told += suspects.told_of_sentinels(numbers, missing, f" {WITHOUT_TARGET}")
    coded = bool(named) or are_padded(codes.get(names[0]))
    notes: tuple[str, ...] = ()
    if task is None and len(names) > 1:
        task = REGRESSION
    elif task is None:
        task = CLASSIFICATION if coded or _are_few(numbers[names[0]]) else REGRESSION
        notes = () if coded else tuple(_inferred(numbers[names[0]], task))
    if task == CLASSIFICATION:
        column, levels = frame[names[0]], declared.get(names[0])
        if levels is not None:
            there = set(column.map(kinds.level_of))
            levels = tuple(name for name in levels if name in there)
        numbered, classes = kinds.codes(column, codes.get(names[0]), levels)
        notes += (*told_of_equal("classes", names[0], classes),)
        return Targets(numbered.astype(np.int64), classes, task, tuple(told), notes)
    if named:
        raise DataError(
            f"target {named[0]!r} is no number ({frame[named[0]].iloc[0]!r} in row "
            f"{frame.index[0] + 1}), but a regression needs numbers; "
            + (
                "set 'dataset.task=classification'"
                if len(names) == 1
                else "give one target for a classification"
            )
        )
    return Targets(np.stack([*numbers.values()], axis=1), (), task, tuple(told), notes)


def _are_few(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers are classes, if nothing says what they are."""
    return len(np.unique(numbers)) <= FEW and bool((numbers % 1 == 0).all())


def _inferred(numbers: NDArray[np.float64], task: str) -> Iterator[str]:
    """How the task of one target of numbers was inferred, if these might be something else."""
    different = len(np.unique(numbers))
    if task == CLASSIFICATION and different > 2:
        yield (
            f"the {different} different numbers of the target are classes; if they are amounts or "
            "marks: 'dataset.task=regression'"
        )
    if task == REGRESSION and different <= FEW and len(numbers) >= OFTEN * different:
        yield (
            f"the {different} different numbers of the target are amounts; if they are classes: "
            "'dataset.task=classification'"
        )


def _with_numbers(
    frame: pd.DataFrame, codes: Mapping[str, pd.Series], words: Words
) -> tuple[pd.DataFrame, Mapping[str, pd.Series]]:
    """The targets, with numbers instead of words that spell them, and the words as their names."""
    spelled = {str(name): words.as_numbers(frame[name], target=True) for name in frame}
    found = {name: numbers for name, numbers in spelled.items() if numbers is not None}
    return frame.assign(**found), {**codes, **{name: frame[name] for name in found}}


def _as_labels(column: pd.Series) -> NDArray[np.float32] | None:
    """A column of 0 and 1, or of true and false, as numbers, [rows]; None of any other."""
    types = pd.api.types
    numeric = types.is_numeric_dtype(column) and not types.is_complex_dtype(column)
    truth = types.infer_dtype(column, skipna=False) == "boolean"
    if truth or (numeric and column.isin((0, 1)).all()):
        return column.to_numpy(dtype=np.float32)
    if isinstance(column.dtype, pd.CategoricalDtype):  # OpenML and ARFF have them as words
        words = column.astype(str).str.lower()
        if {*words} <= {"true", "false"} or {*words} <= {"0", "1"}:
            return np.asarray(words.isin(("true", "1")), dtype=np.float32)
    return None


def _multilabel(
    frame: pd.DataFrame, labels: list[NDArray[np.float32] | None], *, asked: bool
) -> Targets:
    """Labels any number of which a row may have, a column each."""
    names = tuple(str(name) for name in frame)
    if len(names) < 2:
        raise DataError(
            f"multi-label has several targets, one a label, got {names[0]!r} alone; set "
            "'dataset.task=classification'"
        )
    known = [label for label in labels if label is not None]
    if len(known) < len(labels):
        name = next(name for name, label in zip(names, labels, strict=True) if label is None)
        found = [repr(value) for value in frame[name].unique().tolist()]
        raise DataError(
            f"target {name!r} says not of every row whether it has the label, by 0 and 1 or true "
            f"and false, but has {few(found)}"
        )
    if not asked:
        raise DataError(
            f"the targets {few([repr(name) for name in names])} are 0 or 1 in every row; set "
            "'dataset.task=multilabel' if they say which labels a row has, or "
            "'dataset.task=regression' if they are numbers"
        )
    return Targets(np.stack(known, axis=1), names, MULTILABEL)
