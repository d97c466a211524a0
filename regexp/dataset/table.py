"""Any table of a user's: a CSV or Parquet file, the columns in it and what to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import CLASSIFICATION, MULTILABEL, REGRESSION, DataError, Dataset, Table
from regexp.dataset.checks import (
    EARLIER,
    EARLIER_OF_TABLES,
    Names,
    are_distinct,
    as_names,
    as_separator,
    check_no_target,
    check_text,
    is_whole,
    unexpected,
)
from regexp.dataset.columns import UTF_8, other_than
from regexp.dataset.files import file_checksum, find
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from regexp.dataset.words import Words

COLUMNS = ("target", "columns", "drop", "categorical", "group", "split")
"""The settings that name columns."""


@dataclass(frozen=True, kw_only=True)
class TableFile(Dataset):
    """A user's own table; inputs [rows, features].

    **Numbers** are imputed by the median and standardized, both of the training rows. A column with
    a missing value anywhere also gets a feature that is 1 where the value is missing. A column that
    has no value in the training rows is 0 in all rows.

    **Categories** (text, true/false, and the columns named in `categorical`) are one-hot encoded; a
    missing value is a level of its own. The levels are those of all rows, as a data dictionary
    would list them, so that every seed has the same features, which the runs of a stack need. This
    leaks no target: it says which levels exist, not where they stand nor with which target. A level
    that no training row has is 0 in all of them, and its weights stay as they were initialised.

    Words of a CSV that are mostly numbers are numbers, refused or told, see `words.Words`.
    Numbers with leading zeros, such as 01, are codes where they are categories, classes, groups or
    splits: 01 and 1 are two. As other inputs they are numbers, which a remark tells.

    **The task**, where `task` is None, is a classification if the one target is text, true/false,
    codes with leading zeros, or whole numbers of at most 20 different values; anything else, and
    several targets, is a regression. A regression's targets are standardized by the training rows;
    `Data.target_scale` leads back to their own unit. Several targets that are all 0 or 1, or
    true/false, are labels any number of which a row may have ("multilabel") or numbers, which is
    to be said.

    Args:
        path: the file, absolute or relative to the working directory or the data folder; Parquet if
            its name ends in .parquet or .pq, else a CSV with a header, perhaps .gz.
        separator: the character between two fields of a CSV.
        encoding: of a CSV, as Python names it; None for UTF-8.
        decimal: "." or ",", the character before the decimals of a number in a CSV.
        missing: words that stand for a missing value in a CSV, beside an empty field, NA, NaN,
            null, None and what else pandas takes for one.
        target: the column to predict, or a list of columns of numbers or of labels.
        task: "classification", "multilabel", "regression" or None to infer it.
        columns: those that are inputs; None for all but the targets.
        drop: columns that are no inputs.
        categorical: columns of numbers that are categories, such as a postal code. In these, and in
            `missing`, one name may stand for a list of one.
        max_levels: of one category; more look like a name or an identifier and are refused.
        group: see `Dataset`. The column is an input only if `columns` names it.
        split: see `Dataset`. The column is no input.
    """

    name: ClassVar[str] = "table"
    EARLIER: ClassVar[Mapping[str, Any]] = {**EARLIER, **EARLIER_OF_TABLES}

    path: str
    separator: str
    missing: Names
    target: Names
    task: str | None
    columns: Names | None
    drop: Names
    categorical: Names
    max_levels: int
    encoding: str | None
    decimal: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in (None, CLASSIFICATION, MULTILABEL, REGRESSION):
            tasks = f"'{CLASSIFICATION}', '{MULTILABEL}', '{REGRESSION}'"
            inferred = f"{tasks} or null (inferred from the target);"
            raise unexpected("task", self.task, inferred)
        object.__setattr__(self, "separator", as_separator(self.separator))
        check_text(self.encoding, self.decimal)
        if not is_whole(self.max_levels, 2):
            raise unexpected("max_levels", self.max_levels, "a whole number (2 or more)")
        for key in COLUMNS:
            names = as_names(getattr(self, key))
            if not are_distinct(names, 0):
                raise _refused(key, f"a column is named twice in {list(names)}")
        target, columns, drop = map(as_names, (self.target, self.columns, self.drop))
        if not target:
            raise _refused("target", "expected a column, or a list of columns; got none")
        if both := sorted({*drop} & {*target, *columns}):
            raise _refused("drop", f"{both[0]!r} is asked for as target or column as well")
        if leaks := sorted({*target} & {*columns}):
            raise _refused("columns", f"{leaks[0]!r} is the target and can be no input")
        check_no_target(self.further_columns, *target)
        if (split := self.further_columns.get("split")) in columns:
            raise _refused("columns", f"{split!r} says the split and can be no input")
        if self.task == CLASSIFICATION and len(target) > 1:
            raise _refused("target", f"a classification has one target, got {list(target)}")

    def read(self, folder: Path) -> Table:
        """The inputs as numbers, NaN where missing, categories as numbers of their levels."""
        from regexp.dataset import frames, kinds
        from regexp.dataset.targets import read_targets
        from regexp.dataset.words import Words

        path = find("dataset.path", self.path, folder)
        if not path.is_file():
            raise DataError(
                f"{path} is no file", key="dataset.path", expected="a CSV or Parquet file"
            )
        text = frames.Text(
            self.separator, as_names(self.missing), self.encoding or UTF_8, self.decimal
        )
        try:
            frame = frames.read_frame(path, text)
        except DataError as error:
            if not isinstance(error.__cause__, UnicodeError):
                raise
            raise DataError(
                f"{error} If it is text in another encoding, set {other_than(path)}"
            ) from error
        names = tuple(str(name) for name in frame.columns)
        for key in COLUMNS:
            frames.check_columns(path, f"dataset.{key}", as_names(getattr(self, key)), names)
        columns = names if self.columns is None else as_names(self.columns)
        target, group, split = map(as_names, (self.target, self.group, self.split))
        taken = {*target, *split, *as_names(self.drop), *(group if self.columns is None else ())}
        wanted = [name for name in columns if name not in taken]
        empty = [name for name in wanted if frame[name].isna().all()]
        inputs = tuple(name for name in wanted if name not in empty)
        if not inputs:
            raise DataError(
                "no column is left as an input; the targets, dataset.drop, group and split take "
                f"all of {', '.join(names)} that have a value",
                key=str(path),
            )
        name = path.name.split(".")[0]
        words = None  # Parquet has text where somebody wrote text
        if path.suffix not in frames.PARQUET:
            words = Words(self.decimal, text.missing, as_names(self.categorical))
        used = {*inputs, *target, *group, *split}
        codes = frames.read_codes(path, text, frame, used)
        try:
            values, levels, remarks = self._read_inputs(frame[list(inputs)], codes, words)
            remarks = [*kinds.told_of_empty(empty), *remarks]
            for column in target:
                kinds.check_complete(
                    frame[column],
                    "target",
                    "; take these rows out of the file; if None, NA or such a word is a class, "
                    "write another",
                )
            read = read_targets(frame[list(target)], codes, words, self.task)
        except DataError as error:
            raise DataError(str(error), key=str(path)) from error
        return Table(
            inputs=values,
            targets=read.values,
            columns=inputs,
            classes=read.classes,
            checksum=file_checksum(path),
            source=str(path),
            task=read.task,
            name=name,
            levels=levels,
            standardize_targets=read.task == REGRESSION,
            extra={name: codes.get(name, frame[name]) for name in self.further_columns.values()},
            remarks=tuple(f"{name}: {remark}" for remark in remarks),
        )

    def _read_inputs(
        self, frame: Any, codes: Mapping[str, Any], words: Words | None
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
                values[:, place], levels[name] = kinds.codes(column, codes.get(name))
                kinds.check_levels(name, levels[name], len(frame), self.max_levels)
            else:
                values[:, place] = kinds.numbers(column)
        padded = [name for name in frame if name in codes and name not in levels]
        told = words.told(spelled, among) if words else ()
        return values, levels, [*told, *kinds.told_of_codes(padded, categorical)]

    def preprocessing(self, table: Table) -> Any:
        """Imputation and standardization of numbers, one-hot encoding of categories."""
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import MissingIndicator, SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        from regexp.dataset.features import UnseenAsMissing

        assert isinstance(table.inputs, np.ndarray)
        places = range(len(table.columns))
        numeric = [place for place in places if table.columns[place] not in table.levels]
        # Of all rows, as the levels are: which columns have gaps is the same for every seed.
        gaps = [place for place in numeric if np.isnan(table.inputs[:, place]).any()]
        categorical = [place for place in places if table.columns[place] in table.levels]

        def level(column: str, code: float) -> str:
            if column not in table.levels:  # scikit-learn tries this on words of its own
                return f"{column}={code}"
            return f"{column}={table.levels[column][int(code)]}"

        encoder = OneHotEncoder(
            categories=[np.arange(len(levels), dtype=float) for levels in table.levels.values()],
            feature_name_combiner=level,
            sparse_output=False,
        )
        # A column without a value in the training rows is 0 in all, and stays a feature.
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        scaled = make_pipeline(UnseenAsMissing(), imputer, StandardScaler())
        return ColumnTransformer(
            [
                ("numbers", scaled, numeric),
                ("missing", MissingIndicator(features="all"), gaps),
                ("categories", encoder, categorical),
            ],
            verbose_feature_names_out=False,
        )


def _refused(key: str, problem: str) -> ConfigError:
    return ConfigError(problem, key=f"dataset.{key}")
