"""Splitting the rows of a table by a seed: stratified by class, the same for every `train_size`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regexp.dataset.data import CLASSIFICATION, DataError, Rows, Splits, Table
from regexp.errors import ConfigError
from regexp.random import derive


@dataclass(frozen=True)
class Splitter:
    """Splits a table as its dataset's settings say.

    Args:
        table: whose rows are split.
        name: of the dataset.
        validation, test, train_size: see `regexp.dataset.base.Dataset`.
    """

    table: Table
    name: str
    validation: float
    test: float
    train_size: int | None

    def split(self, seed: int) -> Splits:
        """The rows of the training, validation and test split.

        Raises:
            DataError: rows that cannot be split as asked.
            ConfigError: a `train_size` that the training split cannot give.
        """
        from sklearn.model_selection import train_test_split
        from sklearn.utils import resample

        targets = self.table.targets
        labels = targets if self.table.task == CLASSIFICATION else None
        if labels is not None:
            self._check_classes()
        elif (constant := (targets == targets[0]).all(axis=0)).any():
            raise DataError(
                f"all of its {len(targets)} rows have the target {targets[0, constant][0]:g}; "
                "there is nothing to learn",
                key=self.table.source,
            )
        state = derive(seed, "split") % 2**32  # the range that scikit-learn takes

        def cut(rows: Rows, key: str) -> list[Rows]:
            size = round(getattr(self, key) * len(targets))
            try:
                return train_test_split(
                    rows,
                    test_size=size,
                    stratify=None if labels is None else labels[rows],
                    random_state=state,
                )
            except ValueError as error:
                raise DataError(
                    f"of the {len(targets)} rows of {self.table.source} {size} cannot be cut off: "
                    f"{error}",
                    key=f"dataset.{key}",
                    got=getattr(self, key),
                ) from error

        rest, test = cut(np.arange(len(targets)), "test")
        train, validation = cut(rest, "validation")
        if self.train_size is not None:
            check_train_size(self.train_size, len(train), self.name)
            train = resample(
                train,
                replace=False,
                n_samples=self.train_size,
                stratify=None if labels is None else labels[train],
                random_state=state,
            )
        if labels is not None:
            self._check_split(train, "train" if self.train_size is None else "train_size")
            self._check_split(validation, "validation")
            self._check_split(test, "test")
        return train, validation, test

    def _check_classes(self) -> None:
        """Two classes or more, each with a row for every split."""
        table = self.table
        rows = np.bincount(table.targets, minlength=len(table.classes))
        if (rows > 0).sum() < 2:
            raise DataError(
                f"all of its {rows.sum()} rows are of one class "
                f"({table.classes[int(rows.argmax())]!r}); there is nothing to learn",
                key=table.source,
            )
        if rows.min() < 3:
            raise DataError(
                f"class {table.classes[int(rows.argmin())]!r} has {rows.min()} row(s); training, "
                "validation and test split need one each",
                key=table.source,
            )

    def _check_split(self, rows: Rows, key: str) -> None:
        """Every class has a row in the split."""
        table = self.table
        count = np.bincount(table.targets[rows], minlength=len(table.classes))
        if count.min() > 0:
            return
        name = table.classes[int(count.argmin())]
        total = int((table.targets == int(count.argmin())).sum())
        problem = (
            f"class {name!r} ({total} of the {len(table.targets)} rows of {table.source}) gets "
            f"none of the {len(rows)} rows of the {key.removesuffix('_size')} split"
        )
        if key == "train":
            cure = "lower dataset.validation or dataset.test"
            raise DataError(problem, key="dataset.validation + dataset.test", cure=cure)
        cure = f"raise dataset.{key}"
        raise DataError(problem, key=f"dataset.{key}", got=getattr(self, key), cure=cure)


def check_train_size(asked: int, rows: int, name: str) -> None:
    """Raise ConfigError if the training split of this dataset has fewer rows than asked for."""
    if asked > rows:
        raise ConfigError(
            f"{asked} rows asked for, but the training split of {name} has {rows}",
            key="dataset.train_size",
            cure="give at most that, or null for all",
        )
