"""Data of named columns, numbers or categories, from whatever they are read: the base class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import CLASSIFICATION, MULTILABEL, REGRESSION, DataError, Dataset, Table
from regexp.dataset.checks import (
    Name,
    Names,
    are_distinct,
    as_names,
    check_column,
    check_no_target,
    is_whole,
    unexpected,
)
from regexp.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from regexp.dataset.frames import Text

COLUMNS = ("target", "columns", "drop", "categorical", "group", "split", "weight")
"""The settings that name columns."""

WITHOUT_TARGET = "'dataset.rows_without_target=drop'"
"""The cure for rows whose target is missing."""

REFUSE, DROP = "refuse", "drop"
"""What `dataset.rows_without_target` may say."""


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
        missing: words and numbers that stand for a missing value. One may stand for a list of one.
        rows_without_target: "refuse" them, or "drop" them.
        weight: a column of numbers, how much a row counts in training; no input, and without a say
            in scores. Their mean over the training rows is made 1. None if all count alike.
    """

    target: Names | None
    task: str | None
    columns: Names | None
    drop: Names
    categorical: Names
    max_levels: int
    missing: Names
    rows_without_target: str
    weight: Name | None

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
        check_column("weight", self.weight)
        if self.rows_without_target not in (REFUSE, DROP):
            words = f"'{REFUSE}' or '{DROP}'"
            raise unexpected("rows_without_target", self.rows_without_target, words)
        weight = {} if self.weight is None else {"weight": str(self.weight)}
        check_no_target(self.further_columns | weight, *target)
        for key, what in (("split", "the split"), ("weight", "how much a row counts")):
            if both := sorted({*as_names(getattr(self, key))} & {*columns}):
                raise refused("columns", f"{both[0]!r} says {what} and can be no input")
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
        from regexp.dataset import frames, kinds, suspects, written
        from regexp.dataset.inputs import Settings, read_inputs
        from regexp.dataset.targets import read_targets
        from regexp.dataset.weights import read_weights
        from regexp.dataset.words import Words

        whole = self.read_frame(folder)
        frame, text = whole.columns, whole.text
        missing, drop, categorical = map(as_names, (self.missing, self.drop, self.categorical))
        header = [] if text is None else [*suspects.told_of_header(frame, text)]
        self._check_columns(whole, "; ".join(header))
        target = self.target if self.target is not None else whole.targets
        names, wanted = list(as_names(target)), self._wanted(whole, as_names(target))
        words, codes = None, {}
        if text is None:
            frame = frames.without(frame, missing)
        else:
            words = Words(text.decimal, missing, categorical)
            named = {*categorical, *self.further_columns.values()}
            named |= {*names} if self.task == CLASSIFICATION else set()
            used = {*wanted, *names, *self.further_columns.values()}
            used = {name for name in used if name in named or written.is_whole(frame[name])}
            codes = written.read_codes(Path(whole.source), text, frame, used)
        settings = Settings(missing, drop, categorical, self.max_levels, self.columns is not None)
        try:
            kept = self._with_target(frame[names])
            frame, codes = frame[kept], {name: column[kept] for name, column in codes.items()}
            empty = [name for name in wanted if frame[name].isna().all()]
            columns = [name for name in wanted if name not in empty]
            if not columns:
                raise DataError(
                    "no column is left as an input; the targets, dataset.drop, group, split and "
                    f"weight take all of {', '.join(map(str, frame))} that have a value"
                )
            inputs = read_inputs(frame[columns], codes, words, settings, whole.declared)
            targets = read_targets(frame[names], codes, words, self.task, missing, whole.declared)
            weights = [read_weights(frame[name], words) for name in as_names(self.weight)]
        except DataError as error:
            raise DataError(str(error), key=whole.source) from error
        told = [*header, *kinds.told_of_empty(empty), *inputs.told, *targets.told]
        return Table(
            inputs=inputs.values,
            targets=targets.values,
            columns=tuple(columns),
            classes=targets.classes,
            checksum=whole.checksum,
            source=whole.source,
            task=targets.task,
            name=whole.name,
            levels=inputs.levels,
            standardize_targets=targets.task == REGRESSION,
            target_names=tuple(map(str, names)) if targets.task == REGRESSION else (),
            extra={name: codes.get(name, frame[name]) for name in self.further_columns.values()},
            remarks=(*whole.remarks, *(f"{whole.name}: {remark}" for remark in told)),
            notes=(*told_of_rows(kept), *inputs.notes, *targets.notes),
            weights=weights[0] if weights else None,
            row_numbers=None if kept.all() else np.flatnonzero(kept),
            numbered=None if text is None or text.header else len(frame.columns),
            units=inputs.units,
        )

    def text(self) -> Text:
        """How a text file of new rows is written."""
        from regexp.dataset.frames import Text

        return Text(",", as_names(self.missing))

    def _check_columns(self, whole: Frame, otherwise: str) -> None:
        """Raise DataError where a setting names a column that is not there."""
        from regexp.dataset import frames

        names = [str(name) for name in whole.columns]
        for key in COLUMNS:
            wanted = as_names(getattr(self, key))
            try:
                frames.check_columns(whole.source, f"dataset.{key}", wanted, names)
            except DataError as error:
                if not otherwise:
                    raise
                raise DataError(error.problem, key=error.key, cure=otherwise) from error

    def _wanted(self, whole: Frame, target: tuple[str, ...]) -> list[str]:
        """The columns that are asked for as inputs."""
        names = tuple(str(name) for name in whole.columns)
        columns = names if self.columns is None else as_names(self.columns)
        group = as_names(self.group) if self.columns is None else ()
        taken = {*target, *group, *as_names(self.drop)}
        taken |= {*as_names(self.split), *as_names(self.weight)}
        return [name for name in columns if name not in taken]

    def _with_target(self, targets: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows have every target, [rows]."""
        from regexp.dataset import kinds

        known = targets.notna()
        kept: NDArray[np.bool_] = known.all(axis=1).to_numpy()
        if self.rows_without_target == REFUSE or not kept.any():
            for name in known:
                cure = f"leave these rows out by {WITHOUT_TARGET}; if"
                if not kept.any():
                    cure = "if"
                kinds.check_complete(
                    targets[name],
                    "target",
                    f"; {cure} None, NA or such a word is a class, write another",
                )
        return kept

    def preprocessing(self, table: Table) -> Any:
        """Imputation and standardization of numbers, one-hot encoding of categories."""
        from regexp.dataset.features import of_columns  # takes time

        return of_columns(table)


def told_of_rows(kept: NDArray[np.bool_]) -> Iterator[str]:
    """A line on rows that are left out for want of a target, if there are any."""
    if not kept.all():
        yield f"{(~kept).sum():,} of {len(kept):,} rows have no target, and are left out"


def refused(key: str, problem: str) -> ConfigError:
    """The error that the setting `dataset.<key>` does not fit others."""
    return ConfigError(problem, key=f"dataset.{key}")
