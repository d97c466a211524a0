"""What techniques share that know the training split and remember something of its rows."""

from __future__ import annotations

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, NotApplicable, Step


def class_counts(step: Step) -> Tensor:
    """Training rows of each class, float64 [classes]."""
    counts = None if step.split is None else step.split.class_counts
    if counts is None:
        raise NotApplicable(
            "nobody told how many training rows each class has",
            key="regularizer",
            cure="give Regularized split=TrainingSplit(rows, class_counts)",
        )
    return counts


def rows_of(batch: Batch) -> Tensor:
    """The numbers of a batch's rows in the training split, int64 [rows].

    Raises:
        NotApplicable: nobody told them.
    """
    if batch.rows is None:
        raise NotApplicable(
            "nobody told which rows of the training split a batch has",
            key="regularizer",
            cure="give train_batch(..., rows=numbers)",
        )
    return batch.rows


def remembered(step: Step, name: str, values: Tensor) -> Tensor:
    """What the memory has under a name for each row of the training split; zeros at first.

    Args:
        values: of some rows, [rows, ...], which give type and sizes.
    """
    assert step.split is not None, "for techniques that say `uses_rows`"
    table: Tensor | None = step.memory.get(name)
    return values.new_zeros(step.split.rows, *values.shape[1:]) if table is None else table


def with_rows(table: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """A table with other values in some of its rows: their mean, for a row that comes twice.

    Args:
        table: [all rows, ...].
        rows: numbers of rows of it, int64 [rows].
        values: [rows, ...].
    """
    ones = values.new_ones(len(values), *(1 for _ in values.shape[1:]))
    counts = table.new_zeros(len(table), *ones.shape[1:]).index_add(0, rows, ones)
    sums = torch.zeros_like(table).index_add(0, rows, values)
    return torch.where(counts > 0, sums / counts.clamp(min=1), table)
