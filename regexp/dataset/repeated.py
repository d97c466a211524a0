"""What a user must know of rows that repeat others, in words."""

from __future__ import annotations

import numpy as np

from regexp.dataset.data import Rows, Table
from regexp.dataset.units import First, first_of, repeats


def remarks_on(
    table: Table, name: str, free: Rows, units: First | None, together: bool
) -> tuple[str, ...]:
    """Lines on rows of a table that repeat others; none if none does.

    Args:
        table: whose rows are split.
        name: of the dataset.
        free: the rows that are split by the seed.
        units: which rows stay in one split; None if each may go where it will.
        together: whether rows of equal inputs do.
    """
    if table.splits is not None:
        return ()
    if table.first_equal is None:
        told = f"{name}: rows are not compared where memory does not hold them; equal ones "
        return (f"{told}may be in different splits.",) if together else ()
    again = repeats(first_of(table.first_equal[free]))
    lines = _tested(table, name, free, table.first_equal)
    if again == 0:
        return lines
    said = (
        f"{name}: {again:,} of {len(free):,} rows {'repeats' if again == 1 else 'repeat'} the "
        "inputs of an earlier one; "
    )
    if not together:
        cure = "(dataset.repeats=together: in one)"
        return (*lines, f"{said}equal rows may be in different splits {cure}.")
    if table.groups is not None and units is not None:
        groups, joint = len(np.unique(table.groups)), len(np.unique(units))
        said += f"they join the {groups:,} groups to {joint:,}; " if joint < groups else ""
    return (*lines, f"{said}equal rows stay in one split (dataset.repeats=apart: anywhere).")


def _tested(table: Table, name: str, free: Rows, first: First) -> tuple[str, ...]:
    """A line on the rows of a test split that the data tell which other splits have as well."""
    test = table.held_out
    seen = 0 if test is None else int(np.isin(first[test], first[free]).sum())
    if test is None or seen == 0:
        return ()
    return (
        f"{name}: {seen:,} of {len(test):,} test rows have the inputs of a training or "
        "validation row; they stay in the test, which the data tell.",
    )
