"""Splitting the rows of a table by a seed: stratified by class, the same for every `train_size`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regexp.dataset.data import CLASSIFICATION, DataError, Rows, Splits, Table
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
            ValueError: a `train_size` that the training split cannot give.
        """
        from sklearn.model_selection import train_test_split
        from sklearn.utils import resample

        targets = self.table.targets
        labels = targets if self.table.task == CLASSIFICATION else None
        if labels is not None:
            self._check_classes()
        elif (constant := (targets == targets[0]).all(axis=0)).any():
            raise DataError(
                f"{self.table.source}: all of its {len(targets)} rows have the target "
                f"{targets[0, constant][0]:g}; there is nothing to learn"
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
                    f"dataset.{key}={getattr(self, key)}: of the {len(targets)} rows of "
                    f"{self.table.source} {size} cannot be cut off: {error}"
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
                f"{table.source}: all of its {rows.sum()} rows are of one class "
                f"({table.classes[int(rows.argmax())]!r}); there is nothing to learn"
            )
        if rows.min() < 3:
            raise DataError(
                f"{table.source}: class {table.classes[int(rows.argmin())]!r} has {rows.min()} "
                "row(s); training, validation and test split need one each"
            )

    def _check_split(self, rows: Rows, key: str) -> None:
        """Every class has a row in the split."""
        table = self.table
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


def check_train_size(asked: int, rows: int, name: str) -> None:
    """The training split of the dataset `name` can give the rows asked for.

    Raises:
        ValueError: it has fewer.
    """
    if asked > rows:
        raise ValueError(
            f"dataset.train_size: {asked} rows asked for, but the training split of {name} has "
            f"{rows}; give at most that, or null for all"
        )
