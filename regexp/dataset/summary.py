"""What a table is, in a few lines before training: rows, targets and what needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.data import CLASSIFICATION, MULTILABEL, Table
from regexp.errors import count, few


def summary_of(table: Table) -> tuple[str, ...]:
    """The rows and their targets, a line; the kinds of inputs, a line if these are columns."""
    shape = f" of {list(table.shape)}" if len(table.shape) > 1 else ""
    rows = f"{len(table.targets):,} rows{shape}; {_targets(table)}"
    return (rows, *_inputs(table), *table.notes)


def _targets(table: Table) -> str:
    """The task, and what is scored on all rows without a look at the inputs."""
    targets, classes = table.targets, table.classes
    if table.task == CLASSIFICATION:
        counts = np.bincount(targets, minlength=len(classes))
        ordered = np.argsort(-counts, kind="stable").tolist()
        shares = counts / len(targets)
        largest = classes[int(counts.argmax())]
        return (
            f"{len(classes)} classes: {_shares(classes, shares, ordered)}; accuracy of always "
            f"{largest!r}: {shares.max():.4f}"
        )
    if table.task == MULTILABEL:
        shares = targets.mean(axis=0)
        return (
            f"{count(len(classes), 'label')}: {_shares(classes, shares, range(len(classes)))}; "
            f"{targets.sum(axis=1).mean():.2f} labels a row, and none in "
            f"{(targets.sum(axis=1) == 0).mean():.1%} of the rows"
        )
    outputs = targets.shape[1]
    text = f"regression of {count(outputs, 'target')}"
    if table.naive:
        return f"{text}; test/rmse of always the last value: {table.naive['test']:.4f}"
    if outputs > 1:
        scaled = ", each standardized; errors are of all of them together"
        return text + scaled * table.standardize_targets
    return (
        f"{text} from {targets.min():.4g} to {targets.max():.4g}; rmse of always the mean, "
        f"{targets.mean():.4g}: {targets.std():.4g}"
    )


def _shares(names: Sequence[str], shares: NDArray[np.float64], ordered: Sequence[int]) -> str:
    return few([f"{names[place]} ({shares[place]:.1%})" for place in ordered])


def _inputs(table: Table) -> Iterator[str]:
    """The kinds of columns, and which have gaps."""
    inputs = table.inputs
    if not isinstance(inputs, np.ndarray) or inputs.ndim != 2 or len(table.shape) > 1:
        return
    levels = [len(table.levels[name]) for name in table.columns if name in table.levels]
    kinds = []
    if numbers := len(table.columns) - len(levels):
        kinds.append(count(numbers, "number"))
    if levels:
        least, most = min(levels), max(levels)
        of = f"{most}" if least == most else f"{least} to {most}"
        kinds.append(f"{len(levels)} categor{'y' if len(levels) == 1 else 'ies'} of {of} levels")
    yield f"inputs: {', '.join(kinds)}{_gaps(table)}"


def _gaps(table: Table) -> str:
    """The columns of numbers that have no value in some rows, the emptiest first."""
    assert isinstance(table.inputs, np.ndarray)
    gone = {
        name: float(np.isnan(table.inputs[:, place]).mean())
        for place, name in enumerate(table.columns)
        if name not in table.levels and table.inputs.dtype.kind == "f"
    }
    ordered = sorted((name for name in gone if gone[name]), key=lambda name: -gone[name])
    if not ordered:
        return ""
    return f"; missing: {few([f'{name!r} ({gone[name]:.1%})' for name in ordered])}"
