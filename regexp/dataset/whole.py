"""Keeping units of rows whole where a cut has torn them, at the sizes that it had."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.data import Rows
from regexp.dataset.units import First


def keep_whole(rest: Rows, part: Rows, first: First, strata: Rows) -> tuple[Rows, Rows]:
    """Move rows between the two sides of a cut until every unit is on one side.

    A unit goes where the cut has its first row, so that it is in `part` as often as any row. Rows
    that stand alone then make up for that, stratum by stratum. Where there are too few of these,
    whole units move first, as long as the counts come nearer to those of the cut.

    Args:
        rest, part: the two sides, each in an order drawn at random, by which it is decided what
            moves. Units lie within both together.
        first: the units of all rows of the table.
        strata: the class of all rows of the table, from 0.

    Returns:
        (rest, part): as they were, to the order of their rows, if no unit is torn.
    """
    cut = _Cut(rest, part, first, strata)
    if not cut.follow_first():
        return rest, part
    if cut.lacks_rows_alone():
        cut.move_units()
    cut.move_rows_alone()
    ordered = np.concatenate([rest, part])
    return ordered[~cut.inside[ordered]], cut.rows[cut.inside[cut.rows]]


PAIRED = 500
"""Units that are tried two by two; trying all would take the square of their number."""

LEAST = 1e-9
"""By which a move must lower the sum; less may be rounding."""


class _Cut:
    """Which rows are inside the part that is cut off; see `keep_whole`."""

    def __init__(self, rest: Rows, part: Rows, first: First, strata: Rows) -> None:
        self.rows = np.concatenate([part, rest])
        self.first = first
        self.strata = strata
        self.inside = np.zeros(len(first), dtype=bool)
        self.inside[part] = True
        self.wanted = self._count(part)
        alone = np.bincount(first[self.rows], minlength=len(first))[first[self.rows]] == 1
        self.alone, self.bound = self.rows[alone], self.rows[~alone]

    def follow_first(self) -> bool:
        """Put every unit where its first row is; whether one was torn."""
        follows = self.inside[self.first[self.rows]]
        torn = bool((follows != self.inside[self.rows]).any())
        self.inside[self.rows] = follows
        return torn

    def lacks_rows_alone(self) -> bool:
        """Whether the rows that stand alone are too few to bring every stratum to its count."""
        surplus, within = self._surplus(), self.inside[self.alone]
        leave, enter = self._count(self.alone[within]), self._count(self.alone[~within])
        return bool(((surplus > leave) | (-surplus > enter)).any())

    def move_rows_alone(self) -> None:
        """Move rows that stand alone until every stratum has its count, or no more of them."""
        surplus = self._surplus()
        for stratum in np.flatnonzero(surplus):
            movable = self.alone[
                (self.strata[self.alone] == stratum)
                & (self.inside[self.alone] == (surplus[stratum] > 0))
            ]
            self.inside[movable[: abs(surplus[stratum])]] ^= True

    def move_units(self) -> None:
        """Move whole units, or two at once, as long as that lowers sum(surplus^2 / rows).

        The sum is over the strata, a rare one counting as much as a frequent one, and over all rows
        together, so that seeds have parts of one size wherever units allow it.
        """
        from scipy.sparse import coo_array

        _, place, unit = np.unique(self.first[self.bound], return_index=True, return_inverse=True)
        # Numbered in the order of the rows, which decides between units that are as good.
        unit = np.argsort(np.argsort(place))[unit]
        inside = self.inside[self.bound[np.sort(place)]]
        surplus, rows = _with_sum(self._surplus()), _with_sum(np.maximum(self._count(self.rows), 1))
        of_all = np.full(len(unit), len(rows) - 1)
        columns = np.concatenate([self.strata[self.bound], of_all])
        ones, shape = np.ones(len(columns)), (len(place), len(rows))
        counts = coo_array((ones, (np.tile(unit, 2), columns)), shape=shape).tocsr()
        own = counts.power(2) @ (1 / rows)
        while True:
            sign = np.where(inside, -1.0, 1.0)  # of what a unit adds to the surplus if it moves
            change = own + 2 * sign * (counts @ (surplus / rows))
            moved = np.array([change.argmin()])
            if change[moved[0]] > -LEAST:
                some = counts[:PAIRED].toarray() * sign[:PAIRED, None]
                pairs = change[:PAIRED, None] + change[:PAIRED] + 2 * (some / rows) @ some.T
                np.fill_diagonal(pairs, np.inf)
                if pairs.min() > -LEAST:
                    break
                moved = np.array(np.unravel_index(pairs.argmin(), pairs.shape))
            surplus += sign[moved] @ counts[moved].toarray()
            inside[moved] ^= True
        self.inside[self.bound] = inside[unit]

    def _surplus(self) -> Rows:
        """Rows inside beyond those wanted, of each stratum."""
        return self._count(self.rows[self.inside[self.rows]]) - self.wanted

    def _count(self, rows: Rows) -> Rows:
        """Rows of each stratum."""
        return np.bincount(self.strata[rows], minlength=self.strata.max() + 1)


def _with_sum(counts: Rows) -> NDArray[np.float64]:
    return np.append(counts, counts.sum()).astype(float)
