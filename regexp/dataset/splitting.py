"""Splitting the rows of a table by a seed: stratified, the same for every `train_size`.

Rows that belong together, those of equal inputs and those of a group, stay in one split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regexp.dataset.data import CLASSIFICATION, REGRESSION, DataError, Rows, Splits, Table
from regexp.dataset.folds import Folds
from regexp.dataset.repeated import remarks_on
from regexp.dataset.strata import strata_of
from regexp.dataset.teachable import check_targets
from regexp.dataset.units import First, first_of, joined, repeats
from regexp.dataset.whole import keep_whole
from regexp.errors import ConfigError, count
from regexp.random import derive


@dataclass(frozen=True)
class Splitter:
    """Splits a table as its dataset's settings say.

    Args:
        table: whose rows are split.
        name: of the dataset.
        validation, test, train_size: see `regexp.dataset.base.Dataset`.
        together: whether rows of equal inputs stay in one split.
        balanced: whether seeds share as few rows as they can, see `regexp.dataset.folds`.
        test_rest: whether training rows that `train_size` leaves are tested as well.
        test_seed: the seed whose test split all seeds have; None for one of each.
    """

    table: Table
    name: str
    validation: float
    test: float
    train_size: int | None
    together: bool
    balanced: bool = False
    test_rest: bool = False
    test_seed: int | None = None

    @cached_property
    def held_out(self) -> Rows | None:
        """The test split that the data or `test_seed` tell; None where each seed draws its own."""
        if self.table.held_out is not None or self.table.splits is not None:
            return self.table.held_out
        if self.test_seed is None:
            return None
        return replace(self, test_seed=None, train_size=None).split(self.test_seed)[2]

    @cached_property
    def free(self) -> Rows:
        """The rows that are split by the seed: all but those that are held out."""
        every = np.arange(len(self.table.targets))
        return every if self.held_out is None else np.setdiff1d(every, self.held_out)

    @cached_property
    def counted(self) -> int:
        """How many rows `validation` and `test` are shares of."""
        return len(self.table.targets if self.table.held_out is None else self.free)

    @cached_property
    def units(self) -> First | None:
        """Which rows stay in one split; None if each may go where it will."""
        table = self.table
        if table.splits is not None:
            return None
        units = None if table.groups is None else first_of(table.groups)
        equal = table.first_equal if self.together else None
        if equal is not None and repeats(equal):
            units = equal if units is None else joined(units, equal)
        if units is not None and self.held_out is not None:  # test rows stay what they are
            tested = np.isin(np.arange(len(units)), self.held_out)
            units = first_of(2 * units + tested)
        return units

    @cached_property
    def strata(self) -> Rows | None:
        """What each row is stratified by; None where rows are split at random."""
        rest = 1 - self.validation - self.test
        return strata_of(self.table, min(self.validation, self.test, rest))

    @cached_property
    def folds(self) -> Folds | None:
        """The folds that seeds are split by; None where each seed is split by itself."""
        table = self.table
        if not self.balanced or table.splits is not None:
            return None
        test = self.test if self.held_out is None else 0
        rows, validation = len(self.free), self.validation
        if self.counted > rows:
            validation *= self.counted / rows
            fold = 1 / round(1 / validation)
            if abs(fold - validation) * rows <= 1:  # the row that `test` has beyond its share
                validation = fold
        classes = table.targets if table.task == CLASSIFICATION else None
        tried = (
            Folds(self.free, test, validation, self.strata, self.units, joined)
            for joined in (False, True)
        )
        return next((folds for folds in tried if folds.fit(classes)), None)

    def split(self, seed: int) -> Splits:
        """The rows of the training, validation and test split.

        Raises:
            DataError: rows that cannot be split as asked.
            ConfigError: a `train_size` that the training split cannot give.
        """
        table = self.table
        classified = table.task == CLASSIFICATION
        check_targets(table, self.free, held_out=self.held_out is not None)
        pool, validation, test = self._pool(seed)
        train = np.concatenate(pool)
        if classified:
            self._check_split(train, "train")
        if self.train_size is not None:
            check_train_size(self.train_size, len(train), self.name)
            train = self._draw(pool, self.train_size, seed)
            if classified:
                self._check_split(train, "train_size")
        if table.task == REGRESSION:
            self._check_values(train)
        if classified and table.splits is None:
            self._check_split(validation, "validation")
            if self.held_out is None:
                self._check_split(test, "test")
        if self.test_rest and self.train_size is not None:
            test = np.concatenate([test, self._rest(np.concatenate(pool), train)])
        return train, validation, test

    def _pool(self, seed: int) -> tuple[list[Rows], Rows, Rows]:
        """The rows for training, in parts to be drawn from in turn; for validation; for the test.

        Rows that are held out are the test split.
        """
        table = self.table
        if table.splits is not None:
            train, validation, test = table.splits
            return [train], validation, test
        if self.folds is not None:
            pool, validation, test = self.folds.split(seed)
            return pool, validation, test if self.held_out is None else self.held_out
        rest, told = self.free, self.held_out
        if told is None:
            rest, told = self._cut(rest, "test", seed)
        train, validation = self._cut(rest, "validation", seed)
        return [train], validation, told

    def _draw(self, pool: list[Rows], size: int, seed: int) -> Rows:
        """So many rows of those for training."""
        from sklearn.utils import resample

        if self.folds is not None:
            return self.folds.draw(pool, size, seed)
        [train] = pool
        if size == len(train) and self.table.splits is not None:
            return train
        drawn: Rows = resample(
            train,
            replace=False,
            n_samples=size,
            stratify=None if self.strata is None else self.strata[train],
            random_state=_state(seed),
        )
        return drawn

    def _rest(self, pool: Rows, train: Rows) -> Rows:
        """The rows for training that are not drawn, nor of a unit that a drawn row is of."""
        if self.table.splits is not None or self.held_out is not None:
            return pool[:0]
        units = np.arange(len(self.table.targets)) if self.units is None else self.units
        return pool[~np.isin(units[pool], units[train])]

    def training_rows(self, seed: int) -> int:
        """How many rows the training split has; whatever the seed, but where units are large."""
        if self.units is not None:
            return len(self.split(seed)[0])
        if self.train_size is not None:
            return self.train_size
        if self.table.splits is not None:
            return len(self.table.splits[0])
        rows = len(self.free)
        if self.folds is not None:
            return rows - sum(self.folds.sizes)
        test = round(self.test * rows) if self.held_out is None else 0
        return rows - test - round(self.validation * self.counted)

    def _cut(self, rows: Rows, key: str, seed: int) -> tuple[Rows, Rows]:
        """Cut off the split `key`: (what is left, the split)."""
        from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

        table, share = self.table, getattr(self, key)
        rows_in_all = self.counted
        size = round(share * rows_in_all)
        strata = self.strata
        # What `train_test_split` does, in half the time: it checks its arguments several times.
        drawn = ShuffleSplit if strata is None else StratifiedShuffleSplit
        try:
            [(left, cut)] = drawn(1, test_size=size, random_state=_state(seed)).split(
                rows, None if strata is None else strata[rows]
            )
        except ValueError as error:
            raise DataError(
                f"of the {rows_in_all} rows of {table.source} {size} cannot be cut off: {error}",
                key=f"dataset.{key}",
                got=share,
            ) from error
        rest, part = rows[left], rows[cut]
        if self.units is not None:
            one = np.zeros(len(table.targets), dtype=np.int64)
            rest, part = keep_whole(rest, part, self.units, one if strata is None else strata)
            self._check_sizes(rest, part, key, size)
        return rest, part

    def remarks(self) -> tuple[str, ...]:
        """What a user must know of rows that repeat others, in a line; nothing if none does."""
        whole = replace(self, test_seed=None)
        return remarks_on(self.table, self.name, whole.free, whole.units, self.together)

    def _check_values(self, rows: Rows) -> None:
        """The values of the training split differ: else their scale would be no other split's."""
        values = self.table.targets[rows]
        constant = (values == values[0]).all(axis=0)
        if len(rows) < 2 or not constant.any():
            return
        which = f" in column {int(constant.argmax()) + 1} of them" if len(constant) > 1 else ""
        problem = (
            f"all {len(rows)} rows of the training split have the target "
            f"{values[0, constant][0]:g}{which}, so that there is nothing to learn and no scale"
        )
        if self.train_size is not None:
            cure = "raise dataset.train_size"
            raise DataError(problem, key="dataset.train_size", got=self.train_size, cure=cure)
        raise DataError(problem, key=self.table.source)

    def _check_split(self, rows: Rows, key: str) -> None:
        """Every class has a row in the split."""
        table = self.table
        counts = np.bincount(table.targets[rows], minlength=len(table.classes))
        if counts.min() > 0:
            return
        name = table.classes[int(counts.argmin())]
        total = int((table.targets == int(counts.argmin())).sum())
        problem = (
            f"class {name!r} ({total} of the {len(table.targets)} rows of {table.source}) gets "
            f"none of the {len(rows)} rows of the {key.removesuffix('_size')} split"
        )
        if key == "train":
            if table.splits is not None:
                raise DataError(problem, key=table.source)
            cure = "lower dataset.validation or dataset.test"
            raise DataError(problem, key="dataset.validation + dataset.test", cure=cure)
        cure = f"raise dataset.{key}"
        if self.units is not None and key != "train_size":
            of_class = np.flatnonzero(table.targets == int(counts.argmin()))
            problem += f"; it is {self._in_units(of_class)}"
            cure = ", or ".join([cure, *self._cures()])
        raise DataError(problem, key=f"dataset.{key}", got=getattr(self, key), cure=cure)

    def _check_sizes(self, rest: Rows, part: Rows, key: str, size: int) -> None:
        """Units are small enough for a split to come near its size."""
        expected = len(rest) + len(part) - size
        if 2 * len(part) >= size and 2 * len(rest) >= expected:
            return
        table = self.table
        raise DataError(
            f"the {len(table.targets)} rows of {table.source} are "
            f"{self._in_units(np.arange(len(table.targets)))}: the {key} split would get "
            f"{len(part)} of them, not {size}",
            key=f"dataset.{key}",
            got=getattr(self, key),
            cure=", or ".join(self._cures()),
        )

    def _cures(self) -> list[str]:
        """What makes units smaller."""
        table = self.table
        cures = ["take a column of more and smaller groups"] if table.groups is not None else []
        if self.together and table.first_equal is not None and repeats(table.first_equal):
            cures.append("set dataset.repeats=apart to let equal rows be in different splits")
        return cures

    def _in_units(self, rows: Rows) -> str:
        """How many units some rows are, in words."""
        units = rows if self.units is None else self.units[rows]
        sizes = np.unique(units, return_counts=True)[1]
        return (
            f"{count(len(sizes), 'set')} of rows that stay together, the largest of {sizes.max()}"
        )


def _state(seed: int) -> int:
    """What scikit-learn draws a split from; it takes 32 bits."""
    return derive(seed, "split") % 2**32


def check_train_size(asked: int, rows: int, name: str) -> None:
    """Raise ConfigError if the training split of this dataset has fewer rows than asked for."""
    if asked > rows:
        raise ConfigError(
            f"{asked} rows asked for, but the training split of {name} has {rows}",
            key="dataset.train_size",
            cure="give at most that, or null for all",
        )
