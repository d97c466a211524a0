"""Data of named columns, numbers or categories, from whatever they are read: the base class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import CLASSIFICATION, MULTILABEL, REGRESSION, DataError, Dataset, Table
from regexp.dataset.checks import (
    Names,
    are_distinct,
    as_names,
    check_no_target,
    is_whole,
    unexpected,
)
from regexp.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from regexp.dataset.frames import Text
    from regexp.dataset.words import Words

COLUMNS = ("target", "columns", "drop", "categorical", "group", "split")
"""The settings that name columns."""


@dataclass(frozen=True)
class Frame:
    """Columns as they were read, before any is chosen.

    Args:
        columns: all of them, with different names.
        name, source, checksum: see `regexp.dataset.data.Data`.
        text: how the file `source` is written, if its columns are text that may be numbers; None
            where they have types.
        targets: the columns that the data say are to be predicted.
        declared: levels that the data declare, in order, by the names of their columns.
        remarks: see `regexp.dataset.data.Table`.
    """

    columns: pd.DataFrame
    name: str
    source: str
    checksum: str
    text: Text | None = None
    targets: tuple[str, ...] = ()
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FrameDataset(Dataset):
    """Named columns, of which some are inputs; inputs [rows, features].

    **Numbers** are imputed by the median and standardized, both of the training rows. A column with
    a missing value anywhere also gets a feature that is 1 where the value is missing. A column that
    has no value in the training rows is 0 in all rows.

    **Categories** (text, true/false, and the columns named in `categorical`) are one-hot encoded; a
    missing value is a level of its own. The levels are those of all rows, as a data dictionary
    would list them, so that every seed has the same features, which the runs of a stack need. This
    leaks no target: it says which levels exist, not where they stand nor with which target. A level
    that no training row has is 0 in all of them, and its weights stay as they were initialised.
    Where the data declare the levels of a column, these are its levels.

    **The task**, where `task` is None, is a classification if the one target is text, true/false,
    codes with leading zeros, or whole numbers of at most 20 different values; anything else, and
    several targets, is a regression. A regression's targets are standardized by the training rows;
    `Data.target_scale` leads back to their own unit. Several targets that are all 0 or 1, or
    true/false, are labels any number of which a row may have ("multilabel") or numbers, which is
    to be said.

    Args:
        target: the column to predict, or a list of columns of numbers or of labels; None for what
            the data say is to be predicted.
        task: "classification", "multilabel", "regression" or None to infer it.
        columns: those that are inputs; None for all but the targets.
        drop: columns that are no inputs.
        categorical: columns of numbers that are categories, such as a postal code. One name may
            stand for a list of one.
        max_levels: of one category; more look like a name or an identifier and are refused.
        group: see `Dataset`. The column is an input only if `columns` names it.
        split: see `Dataset`. The column is no input.
    """

    target: Names | None
    task: str | None
    columns: Names | None
    drop: Names
    categorical: Names
    max_levels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in (None, CLASSIFICATION, MULTILABEL, REGRESSION):
            tasks = f"'{CLASSIFICATION}', '{MULTILABEL}', '{REGRESSION}'"
            inferred = f"{tasks} or null (inferred from the target);"
            raise unexpected("task", self.task, inferred)
        if not is_whole(self.max_levels, 2):
            raise unexpected("max_levels", self.max_levels, "a whole number (2 or more)")
        for key in COLUMNS:
            names = as_names(getattr(self, key))
            if not are_distinct(names, 0):
                raise refused(key, f"a column is named twice in {list(names)}")
        target, columns, drop = map(as_names, (self.target, self.columns, self.drop))
        if self.target is not None and not target:
            raise refused("target", "expected a column, or a list of columns; got none")
        if both := sorted({*drop} & {*target, *columns}):
            raise refused("drop", f"{both[0]!r} is asked for as target or column as well")
        if leaks := sorted({*target} & {*columns}):
            raise refused("columns", f"{leaks[0]!r} is the target and can be no input")
        check_no_target(self.further_columns, *target)
        if (split := self.further_columns.get("split")) in columns:
            raise refused("columns", f"{split!r} says the split and can be no input")
        if self.task == CLASSIFICATION and len(target) > 1:
            raise refused("target", f"a classification has one target, got {list(target)}")

    @abstractmethod
    def read_frame(self, folder: Path) -> Frame:
        """All columns.

        Args:
            folder: see `read`.

        Raises:
            DataError: see `read`.
        """

    def read(self, folder: Path) -> Table:
        """The inputs as numbers, NaN where missing, categories as numbers of their levels."""
        from regexp.dataset import frames, kinds
        from regexp.dataset.targets import read_targets
        from regexp.dataset.words import Words

        whole = self.read_frame(folder)
        frame, text = whole.columns, whole.text
        names = tuple(str(name) for name in frame.columns)
        for key in COLUMNS:
            wanted = as_names(getattr(self, key))
            frames.check_columns(whole.source, f"dataset.{key}", wanted, names)
        target = as_names(self.target) if self.target is not None else whole.targets
        inputs, empty = self._inputs(whole, target)
        words, codes = None, {}
        if text is not None:
            words = Words(text.decimal, text.missing, as_names(self.categorical))
            used = {*inputs, *target, *as_names(self.group), *as_names(self.split)}
            codes = frames.read_codes(Path(whole.source), text, frame, used)
        try:
            values, levels, remarks = self._read_inputs(
                frame[list(inputs)], codes, words, whole.declared
            )
            remarks = [*kinds.told_of_empty(empty), *remarks]
            for column in target:
                kinds.check_complete(
                    frame[column],
                    "target",
                    "; take these rows out of the file; if None, NA or such a word is a class, "
                    "write another",
                )
            read = read_targets(frame[list(target)], codes, words, self.task, whole.declared)
        except DataError as error:
            raise DataError(str(error), key=whole.source) from error
        return Table(
            inputs=values,
            targets=read.values,
            columns=inputs,
            classes=read.classes,
            checksum=whole.checksum,
            source=whole.source,
            task=read.task,
            name=whole.name,
            levels=levels,
            standardize_targets=read.task == REGRESSION,
            extra={name: codes.get(name, frame[name]) for name in self.further_columns.values()},
            remarks=(*whole.remarks, *(f"{whole.name}: {remark}" for remark in remarks)),
        )

    def _inputs(self, whole: Frame, target: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
        """The columns that are inputs, and those that were to be and have no value."""
        names = tuple(str(name) for name in whole.columns)
        columns = names if self.columns is None else as_names(self.columns)
        group = as_names(self.group) if self.columns is None else ()
        taken = {*target, *as_names(self.split), *as_names(self.drop), *group}
        wanted = [name for name in columns if name not in taken]
        empty = [name for name in wanted if whole.columns[name].isna().all()]
        inputs = tuple(name for name in wanted if name not in empty)
        if not inputs:
            raise DataError(
                "no column is left as an input; the targets, dataset.drop, group and split take "
                f"all of {', '.join(names)} that have a value",
                key=whole.source,
            )
        return inputs, empty

    def _read_inputs(
        self,
        frame: Any,
        codes: Mapping[str, Any],
        words: Words | None,
        declared: Mapping[str, tuple[str, ...]],
    ) -> tuple[NDArray[np.float64], dict[str, tuple[str, ...]], list[str]]:
        """Inputs [rows, columns], levels of the categories, and what is to be told of them."""
        from regexp.dataset import kinds

        values = np.empty(frame.shape)
        levels: dict[str, tuple[str, ...]] = {}
        categorical = as_names(self.categorical)
        spelled: dict[str, str] = {}
        among: dict[str, list[str]] = {}
        for place, name in enumerate(frame):
            column = frame[name]
            if words and name not in categorical:
                if (found := words.as_numbers(column)) is not None:
                    spelled[name] = next(word for word in column if isinstance(word, str))
                    column = found
                elif others := words.among(column):
                    among[name] = others
            if name in categorical or kinds.is_category(column):
                values[:, place], levels[name] = kinds.codes(
                    column, codes.get(name), declared.get(name)
                )
                kinds.check_levels(name, levels[name], len(frame), self.max_levels)
            else:
                values[:, place] = kinds.numbers(column)
        padded = [name for name in frame if name in codes and name not in levels]
        told = words.told(spelled, among) if words else ()
        return values, levels, [*told, *kinds.told_of_codes(padded, categorical)]

    def preprocessing(self, table: Table) -> Any:
        """Imputation and standardization of numbers, one-hot encoding of categories."""
        from regexp.dataset.features import of_columns  # takes time

        return of_columns(table)


def refused(key: str, problem: str) -> ConfigError:
    """The error that the setting `dataset.<key>` does not fit others."""
    return ConfigError(problem, key=f"dataset.{key}")
