"""Splits of several seeds that share as few rows as they can: cross-validation, block by block.

Seeds go in blocks, 0 to 4, 5 to 9 and so on. Each block cuts the rows into as many folds, by draws
of its own, and each of its seeds begins at another fold: from there on rows are for the test, then
for validation, then for training. So in a block every row is tested once at most, and training
subsets share rows only where they are larger than a fold. A seed's split depends on its number
alone, for it makes the folds of its block anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regexp.dataset.data import Rows
from regexp.dataset.units import First
from regexp.dataset.whole import keep_whole
from regexp.random import derive

BLOCK = 5
"""Seeds of a block, if the test split is small enough for as many folds."""

_FEW = 3
"""Rows by which the roundings of two shares and of a fold's size may differ."""

FINE = 4
"""Units of rows that stay together which must fit into what is cut, for folds of like sizes."""


@dataclass(frozen=True)
class Folds:
    """The folds of a table's rows, block by block.

    Args:
        rows: that are split, [rows].
        test: share of them for the test split; 0 where it is not cut out of `rows`.
        validation: share of them for the validation split.
        strata: of all rows of the table; None where rows are split at random.
        units: of all rows of the table, which stay in one split; None if each stands alone.
        joined: whether test and validation split are whole folds together, where a few rows make
            the difference, as of a tenth of 1,797 rows each.
    """

    rows: Rows
    test: float
    validation: float
    strata: Rows | None
    units: First | None
    joined: bool = False

    @property
    def count(self) -> int:
        """Folds of a block, which are its seeds."""
        return min(BLOCK, int(1 / (self.test or self.validation) + 1e-9))

    @property
    def size(self) -> int:
        """Rows of a fold."""
        return len(self.rows) // self.count

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """Rows of the test and of the validation split: a fold where a row makes the difference.

        Two roundings may else leave a part of a row or two between them and the folds' ends, in
        which not all classes are.
        """
        test, validation = (
            self.size if abs(size - self.size) <= 1 else size
            for size in (round(self.test * len(self.rows)), round(self.validation * len(self.rows)))
        )
        more = (test + validation + _FEW) % self.size - _FEW  # than whole folds
        if self.joined and abs(more) <= _FEW < validation:
            validation -= more
        return test, validation

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """Rows of the parts of each fold, one after another, for splits that are no whole folds."""
        test, validation = self.sizes
        ends = {test % self.size, (test + validation) % self.size} - {0}
        return tuple(int(part) for part in np.diff([0, *sorted(ends), self.size]))

    def fit(self, classes: Rows | None) -> bool:
        """Whether the rows make folds: two or more, each with all classes, and no unit too large.

        Args:
            classes: of all rows of the table; None where there are none.
        """
        if self.count < 2 or self.size < 2 or sum(self.sizes) >= len(self.rows):
            return False
        least = min(self.test or self.validation, self.validation)
        largest, rarest, kinds = 1, len(self.rows), 1
        if self.units is not None:
            largest = FINE * int(np.bincount(self.units[self.rows]).max())
        if classes is not None:
            some = self.rows  # one row of each unit's of a class
            if self.units is not None:
                both = np.stack([classes[some], self.units[some]])
                some = some[np.unique(both, axis=1, return_index=True)[1]]
            counts = np.bincount(classes[some])
            rarest, kinds = int(counts[counts > 0].min()), int((counts > 0).sum())
        return min(self.parts) >= max(largest, kinds) and rarest * least > 1 - 1e-9

    def split(self, seed: int) -> tuple[list[Rows], Rows, Rows]:
        """The rows for training, in parts and in the order in which they are drawn; those for
        validation; those for the test.
        """
        place, parts = seed % self.count, self._cut(seed // self.count)
        begin = place * len(self.parts)
        circle, spare = parts[begin:-1] + parts[:begin], parts[-1]
        ends = np.cumsum(np.resize(self.parts, len(circle)))
        first, second = np.searchsorted(ends, np.cumsum(self.sizes), side="right")
        test = np.concatenate([spare[:0], *circle[:first]])
        return [*circle[second:], spare], np.concatenate(circle[first:second]), test

    def draw(self, pool: list[Rows], size: int, seed: int) -> Rows:
        """So many rows for training: the first parts of `split`, and of the next as many as miss.

        Units are kept whole where they allow it at this size.
        """
        drawn: list[Rows] = []
        missing = size
        for part in pool:
            if len(part) > missing:
                key = (seed // self.count, "train")
                whole, _ = self._take(part, missing, *key)
                fits = len(whole) == missing
                drawn.append(whole if fits else self._sample(part, missing, *key))
                break
            drawn.append(part)
            missing -= len(part)
        return np.concatenate(drawn)

    def _cut(self, block: int) -> list[Rows]:
        """The parts of all folds of a block, and last the few rows which are in no fold."""
        rng = np.random.default_rng(derive(block, "split", "folds"))
        rest, spare = self._spare(rng.permutation(self.rows))
        parts: list[Rows] = []
        for fold in range(self.count):
            part, rest = self._parted(rest, self.size, fold < self.count - 1, block, "fold", fold)
            for number, size in enumerate(self.parts):
                last = number == len(self.parts) - 1
                cut, part = self._parted(part, size, not last, block, "part", fold, number)
                parts.append(cut)
        return [*parts, spare]

    def _spare(self, rows: Rows) -> tuple[Rows, Rows]:
        """(rows that the folds have in equal numbers; the others, fewer than folds).

        These are of the strata whose rows the folds cannot have in equal numbers anyway.
        """
        strata = self._all_strata[rows]
        uneven = [
            rows[strata == stratum][: rows_in_all % self.count]
            for stratum, rows_in_all in enumerate(np.bincount(strata))
        ]
        among = np.isin(rows, np.concatenate(uneven))
        spare = rows[among][: len(rows) % self.count]
        return self._whole(rows[~np.isin(rows, spare)], spare)

    def _parted(
        self, rows: Rows, size: int, cut: bool, block: int, *path: str | int
    ) -> tuple[Rows, Rows]:
        """(as many rows, the others); all of them if nothing is to be cut."""
        return self._take(rows, size, block, *path) if cut else (rows, rows[:0])

    def _take(self, rows: Rows, size: int, block: int, *path: str | int) -> tuple[Rows, Rows]:
        """(about as many rows, stratified and in whole units; the others)."""
        taken = self._sample(rows, size, block, *path)
        rest, taken = self._whole(rows[~np.isin(rows, taken)], taken)
        return taken, rest

    def _whole(self, rest: Rows, part: Rows) -> tuple[Rows, Rows]:
        """(what is left, what is cut off), with whole units."""
        if self.units is None:
            return rest, part
        return keep_whole(rest, part, self.units, self._all_strata)

    @cached_property
    def _all_strata(self) -> Rows:
        """Of all rows of the table; one where rows are split at random."""
        if self.strata is not None:
            return self.strata
        return np.zeros(self.rows.max() + 1 if self.units is None else len(self.units), np.int64)

    def _sample(self, rows: Rows, size: int, block: int, *path: str | int) -> Rows:
        """As many rows, stratified, in an order drawn at random."""
        from sklearn.utils import resample

        if size == 0:
            return rows[:0]
        strata = None if self.strata is None else self.strata[rows]
        state = derive(block, "split", *path) % 2**32
        drawn: Rows = resample(
            rows, replace=False, n_samples=size, stratify=strata, random_state=state
        )
        return drawn
