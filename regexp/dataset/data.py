"""What a dataset reads (`Table`) and what a run gets of it (`Data`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regexp.dataset.lazy import Images, LazyInputs
from regexp.dataset.units import First, first_equal
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from regexp.dataset.preparation import Preparation

CLASSIFICATION = "classification"
REGRESSION = "regression"
MULTILABEL = "multilabel"
"""Any number of labels a row, each with a 0 or 1 of its own."""

Rows = NDArray[np.int64]
"""Row numbers, [rows]."""

Splits = tuple[Rows, Rows, Rows]
"""The rows of the training, validation and test split."""


class DataError(ConfigError):
    """A file or rows that are missing, damaged or not what they should be; `key` says which."""


@contextmanager
def summed(source: str) -> Iterator[None]:
    """Raise DataError where numbers are too large to be squared and added up.

    Mean and deviation would be infinite, and the column useless.
    """
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError as error:
        raise DataError(
            f"a number is too large to be standardized ({error})",
            key=source,
            cure="does it stand for a missing value?",
        ) from error


@contextmanager
def asked_by(key: str) -> Iterator[None]:
    """Put the setting `dataset.<key>` in front of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error), key=f"dataset.{key}") from error


@dataclass(frozen=True)
class TargetScale:
    """How a regression's targets were scaled: original = scaled * scale + mean.

    Args:
        mean: in the target's own unit, one an output.
        scale: the target's own units in one scaled unit, one an output.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, targets: NDArray[Any], of_equal: float = 1.0) -> TargetScale:
        """Mean and standard deviation of `targets`, [rows, outputs]; `of_equal` of equal ones."""
        # Rounding gives equal numbers a mean beside them and a deviation above 0.
        constant = (targets == targets[0]).all(axis=0)
        mean = np.where(constant, targets[0], targets.mean(axis=0))
        spread = np.where(constant, 0, targets.std(axis=0))
        return cls(tuple(mean.tolist()), tuple(np.where(spread > 0, spread, of_equal).tolist()))

    def apply(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Targets in their own unit -> scaled, [rows, outputs]."""
        return (targets - np.array(self.mean)) / np.array(self.scale)


@dataclass(frozen=True)
class Split:
    """The rows of one split.

    Args:
        inputs: float32, [rows, features] for tables, [rows, time, channels] for series,
            [rows, channels, height, width] for images, which may be read when they are asked for.
        targets: int64 class indices, [rows]; for multi-label float32, 0 or 1, [rows, labels]; for
            regression float32, [rows, outputs].
        rows: their numbers in the file that was read, from 0, [rows]; None where nothing was.
        weights: how much each row counts in training, float32 [rows]; None if all count alike.
    """

    inputs: Tensor | LazyInputs
    targets: Tensor
    rows: Rows | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def in_memory(self) -> bool:
        """Whether memory holds the inputs, if only as bytes; `inputs[:]` has them as numbers."""
        return isinstance(self.inputs, Tensor) or self.inputs.in_memory


@dataclass(frozen=True)
class Data:
    """A dataset as one run sees it.

    Args:
        train, validation, test: the three splits, no row in two of them.
        task: "classification", "multilabel" or "regression".
        classes: the names of the classes by index, or of the labels; empty for regression.
        features: the names of a row's inputs after preprocessing, in the order of the flattened
            inputs.
        checksum: SHA-256 (hexadecimal) of the raw file's bytes, or of the arrays' bytes where the
            data ship with a library.
        name: the dataset's name.
        source: where the data come from, for people to read.
        target_scale: how the targets were scaled; None if they are in their own unit.
        naive: for a series, the root mean squared error of the naive forecast (the last value
            persists) on "train", "validation" and "test", in the unit of `targets`; else empty.
        shared_split: whether all seeds have the same rows in each split.
        remarks: what a user must know of these data before training, one line each.
        summary: what they are, one line each.
        preparation: what made inputs and targets of the rows that were read; None where nothing
            was read.
        target_names: of a regression with several targets, by their place; empty if they have none.
    """

    train: Split
    validation: Split
    test: Split
    task: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    checksum: str
    name: str
    source: str
    target_scale: TargetScale | None = None
    naive: Mapping[str, float] = field(default_factory=dict)
    shared_split: bool = False
    remarks: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    preparation: Preparation | None = None
    target_names: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """Numbers that a network gives for a row: one a class or label, or one a target."""
        return len(self.classes) or int(self.train.targets.shape[-1])


@dataclass(frozen=True)
class Table:
    """What a dataset reads, before any splitting and preprocessing.

    Args:
        inputs: [rows, columns], or what else its `preprocessing` takes, with the rows first.
        targets: integer class indices, [rows]; for multi-label 0 or 1, [rows, labels]; for
            regression floats, [rows, outputs].
        columns: the names of the columns of `inputs`.
        classes: the names of the classes by index, or of the labels; empty for regression.
        checksum: see `Data`.
        source: see `Data`.
        shape: what one row becomes after preprocessing; (-1,) leaves it a row of numbers.
        task: "classification", "multilabel" or "regression".
        name: see `Data`; empty for the name of the dataset's class.
        levels: of the columns that are categories, the levels' names by number.
        standardize_targets: scale a regression's targets by those of the training rows.
        target_scale: scale them by this, which was fitted on the training rows already.
        input_scale: the same of the columns of inputs, where `preprocessing` asks for it.
        splits: the rows of each split where the data themselves tell, as a series does; None to
            split by the seed.
        held_out: the rows of the test split where the data tell these alone; the others are split
            into training and validation rows by the seed. None if they tell none.
        groups: numbers of the groups whose rows stay in one split, [rows]; None if there are none.
        naive: see `Data`.
        remarks: what a user must know of the rows before training, one line each.
        notes: what else the summary tells of how they were read, one line each without the name.
        extra: columns beside the inputs, by name, [rows] each, which `group` and `split` may name:
            those of `Dataset.further_columns` are enough.
        weights: how much each row counts in training, [rows]; None if all count alike.
        row_numbers: of the rows in the file, from 0, [rows]; None if it has no others.
        numbered: how many columns the file has, if it has no header that names them; else None.
        units: the signs of the columns whose numbers were written with one, as `12%` is.
        target_names: see `Data`.
    """

    inputs: NDArray[Any] | Images
    targets: NDArray[Any]
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    checksum: str
    source: str
    shape: tuple[int, ...] = (-1,)
    task: str = CLASSIFICATION
    name: str = ""
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    standardize_targets: bool = False
    target_scale: TargetScale | None = None
    input_scale: TargetScale | None = None
    splits: Splits | None = None
    held_out: Rows | None = None
    groups: Rows | None = None
    naive: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    weights: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    row_numbers: Rows | None = None
    numbered: int | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    target_names: tuple[str, ...] = ()

    @cached_property
    def first_equal(self) -> First | None:
        """Which rows have equal inputs, see `regexp.dataset.units.first_equal`."""
        return first_equal(self.inputs)

    @cached_property
    def summary(self) -> tuple[str, ...]:
        """What the rows are, see `regexp.dataset.summary.summary_of`."""
        from regexp.dataset.summary import summary_of

        return summary_of(self)


def check_finite(source: str, rows: Rows, values: Any, features: Sequence[str]) -> None:
    """Raise DataError where a number is infinite or none after preprocessing.

    Args:
        source: where the rows come from.
        rows: their numbers in it.
        values: what they became, [len(rows), ...].
        features: the names of the values of a row, flattened; empty if they are not known.
    """
    flat = values.reshape(len(rows), -1)
    if np.isfinite(flat).all():
        return
    row, column = np.argwhere(~np.isfinite(flat))[0]
    name = features[column] if features else f"number {column}"
    reason = "a number too large (or, for a logarithm, too small)"
    if np.isnan(flat[row, column]):
        reason = f"it is missing, and preprocessing has not filled it in, or {reason}"
    raise DataError(
        f"row {rows[row] + 1} becomes {flat[row, column]} in feature {name!r}: {reason}", key=source
    )


def array_checksum(arrays: Sequence[NDArray[Any]]) -> str:
    """SHA-256 over the types, shapes and bytes of arrays, for data that come without a file."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
