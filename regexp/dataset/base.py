"""What a dataset is: rows that are read once, split by the seed and preprocessed by the split.

A dataset says how its rows are read (`read`) and how they are preprocessed (`preprocessing`);
splitting, fitting on the training rows alone and turning arrays into tensors happen here, once for
all of them.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regexp.dataset.checks import is_number, is_whole
from regexp.random import derive

CLASSIFICATION = "classification"
REGRESSION = "regression"


class DataError(ValueError):
    """A file of data that is missing, damaged or not what it should be; the message says which."""


@dataclass(frozen=True)
class Split:
    """The rows of one split.

    Args:
        inputs: float32, [rows, features] for tables, [rows, channels, height, width] for images.
        targets: int64 class indices, [rows]; for regression float32, [rows, outputs].
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Data:
    """A dataset as one run sees it.

    Args:
        train, validation, test: the three splits, no row in two of them.
        task: "classification" or "regression".
        classes: the names of the classes by index; empty for regression.
        features: the names of a row's inputs after preprocessing, in the order of the flattened
            inputs.
        checksum: SHA-256 (hexadecimal) of the raw file's bytes, or of the arrays' bytes where the
            data ship with scikit-learn.
        name: the dataset's name.
        source: where the data come from, for people to read.
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


@dataclass(frozen=True)
class Table:
    """What a dataset reads, before any splitting and preprocessing.

    Args:
        inputs: [rows, columns].
        targets: integer class indices, [rows]; for regression floats, [rows, outputs].
        columns: the names of the columns of `inputs`.
        classes: the names of the classes by index; empty for regression.
        checksum: see `Data`.
        source: see `Data`.
        shape: what one row becomes after preprocessing; (-1,) leaves it a row of numbers.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    checksum: str
    source: str
    shape: tuple[int, ...] = (-1,)


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """How one dataset is read, split and preprocessed. Subclasses are final.

    Args:
        validation: share of all rows that the validation split gets, in (0, 1).
        test: share of all rows that the test split gets, in (0, 1); both together below 1.
        train_size: rows of the training split that are used; None for all of them. Validation and
            test splits are the same for every `train_size`.

    Raises:
        ValueError: a number that is out of its range.
    """

    name: ClassVar[str]

    validation: float
    test: float
    train_size: int | None
    _tables: dict[Path, Table] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in ("validation", "test"):
            share = getattr(self, key)
            if not is_number(share) or not 0 < share < 1:
                raise ValueError(
                    f"dataset.{key}: expected a share of the rows between 0 and 1 (both excluded), "
                    f"got {share!r}"
                )
        if self.validation + self.test >= 1:
            raise ValueError(
                f"dataset.validation + dataset.test: {self.validation} + {self.test} leave no row "
                "for training; their sum must be below 1"
            )
        size = self.train_size
        if size is not None and (not is_whole(size) or size < 1):
            raise ValueError(
                f"dataset.train_size: expected a whole number of rows (1 or more), or null for "
                f"the whole training split; got {size!r}"
            )

    @property
    def task(self) -> str:
        """ "classification", or "regression" where a dataset offers it."""
        return CLASSIFICATION

    @abstractmethod
    def read(self, folder: Path) -> Table:
        """Read all rows.

        Args:
            folder: where files of data lie or are downloaded to.

        Raises:
            DataError: no file, or a bad one.
        """

    @abstractmethod
    def preprocessing(self) -> Any:
        """A new scikit-learn transformer, [rows, columns] -> [rows, features], not yet fitted."""

    def load(self, seed: int, folder: Path) -> Data:
        """Read (once for this object and folder), split by `seed`, preprocess.

        Args:
            seed: the run's seed; equal seeds give equal splits, whatever else differs.
            folder: where files of data lie or are downloaded to.

        Raises:
            DataError: no file, a bad one, or rows that cannot be split as asked.
            ValueError: a `train_size` that the training split cannot give.
        """
        folder = Path(folder).resolve()
        if folder not in self._tables:
            self._tables[folder] = self.read(folder)
        table = self._tables[folder]
        train, validation, test = self._split(table, seed)

        pipeline = self.preprocessing()
        pipeline.fit(table.inputs[train])  # the training rows and no others
        features = tuple(str(name) for name in pipeline.get_feature_names_out(table.columns))

        def tensors(rows: NDArray[np.int64]) -> Split:
            inputs = np.asarray(pipeline.transform(table.inputs[rows]), dtype=np.float32)
            if not np.isfinite(inputs).all():
                row, column = np.argwhere(~np.isfinite(inputs))[0]
                raise DataError(
                    f"{table.source}: row {rows[row] + 1} becomes {inputs[row, column]} in feature "
                    f"{features[column]!r}: a number too large (or, for a logarithm, too small)"
                )
            dtype = np.int64 if self.task == CLASSIFICATION else np.float32
            return Split(
                torch.from_numpy(inputs.reshape(len(rows), *table.shape)),
                torch.from_numpy(table.targets[rows].astype(dtype)),
            )

        return Data(
            train=tensors(train),
            validation=tensors(validation),
            test=tensors(test),
            task=self.task,
            classes=table.classes,
            features=features,
            checksum=table.checksum,
            name=self.name,
            source=table.source,
        )

    def _split(self, table: Table, seed: int) -> list[NDArray[np.int64]]:
        """Row numbers of the training, validation and test split, stratified by class."""
        from sklearn.model_selection import train_test_split
        from sklearn.utils import resample

        labels = table.targets if self.task == CLASSIFICATION else None
        if labels is not None:
            self._check_classes(table)
        state = derive(seed, "split") % 2**32  # the range that scikit-learn takes

        def cut(rows: NDArray[np.int64], key: str) -> list[NDArray[np.int64]]:
            size = round(getattr(self, key) * len(table.targets))
            try:
                return train_test_split(
                    rows,
                    test_size=size,
                    stratify=None if labels is None else labels[rows],
                    random_state=state,
                )
            except ValueError as error:
                raise DataError(
                    f"dataset.{key}={getattr(self, key)}: of the {len(table.targets)} rows of "
                    f"{table.source} {size} cannot be cut off: {error}"
                ) from error

        rest, test = cut(np.arange(len(table.targets)), "test")
        train, validation = cut(rest, "validation")
        if self.train_size is not None:
            if self.train_size > len(train):
                raise ValueError(
                    f"dataset.train_size: {self.train_size} rows asked for, but the training split "
                    f"of {self.name} has {len(train)}; give at most that, or null for all"
                )
            train = resample(
                train,
                replace=False,
                n_samples=self.train_size,
                stratify=None if labels is None else labels[train],
                random_state=state,
            )
        if labels is not None:
            self._check_split(table, train, "train" if self.train_size is None else "train_size")
            self._check_split(table, validation, "validation")
            self._check_split(table, test, "test")
        return [train, validation, test]

    @staticmethod
    def _check_classes(table: Table) -> None:
        """Two classes or more, each with a row for every split."""
        rows = np.bincount(table.targets, minlength=len(table.classes))
        if (rows > 0).sum() < 2:
            raise DataError(
                f"{table.source}: all of its {rows.sum()} rows are of one class "
                f"({table.classes[int(rows.argmax())]!r}); there is nothing to learn"
            )
        if rows.min() < 3:
            raise DataError(
                f"{table.source}: class {table.classes[int(rows.argmin())]!r} has {rows.min()} "
                "row(s); training, validation and test split need one each"
            )

    def _check_split(self, table: Table, rows: NDArray[np.int64], key: str) -> None:
        """Every class has a row in the split."""
        count = np.bincount(table.targets[rows], minlength=len(table.classes))
        if count.min() > 0:
            return
        name = table.classes[int(count.argmin())]
        total = int((table.targets == int(count.argmin())).sum())
        if key == "train":
            setting = "dataset.validation + dataset.test"
            cure = "lower dataset.validation or dataset.test"
        else:
            setting = f"dataset.{key}={getattr(self, key)}"
            cure = f"raise dataset.{key}"
        raise DataError(
            f"{setting}: class {name!r} ({total} of the {len(table.targets)} rows of "
            f"{table.source}) gets none of the {len(rows)} rows of the "
            f"{key.removesuffix('_size')} split; {cure}"
        )


def array_checksum(arrays: Sequence[NDArray[Any]]) -> str:
    """SHA-256 over the types, shapes and bytes of arrays, for data that come without a file."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
