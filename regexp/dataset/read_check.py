"""Whether what a dataset read fits together, which one of a user's own may not."""

from __future__ import annotations

import numpy as np

from regexp.dataset.data import CLASSIFICATION, MULTILABEL, DataError, Table


def check_read(table: Table) -> None:
    """Check that a table has as many targets as inputs, in the form that its task has.

    Raises:
        DataError: it has not.
    """
    rows, key = len(table.inputs), table.source
    beside = {"targets": table.targets, "weights": table.weights, "groups": table.groups}
    for name, values in beside.items():
        if values is not None and len(values) != rows:
            raise DataError(f"{rows} rows of inputs and {len(values)} of {name}", key=key)
    if isinstance(table.inputs, np.ndarray) and table.inputs.ndim == 2 and table.columns:
        columns, named = table.inputs.shape[1], len(table.columns)
        if columns != named:
            raise DataError(f"{columns} columns of inputs, and names of {named}", key=key)
    targets, classes = table.targets, len(table.classes)
    got = f"{targets.dtype} of shape {list(targets.shape)}"
    if table.task == CLASSIFICATION:
        if targets.ndim != 1 or targets.dtype.kind not in "biu":
            expected = f"integers of shape [{rows}], the number of each row's class from 0"
            raise DataError(f"targets are {got}; expected {expected}", key=key)
        low, high = (int(targets.min()), int(targets.max())) if rows else (0, 0)
        if low < 0 or high >= classes:
            expected = f"0 to {classes - 1}, as there are names of {classes} classes"
            raise DataError(f"targets are {low} to {high}; expected {expected}", key=key)
        return
    width = str(classes) if table.task == MULTILABEL else "outputs"
    if targets.ndim != 2 or (table.task == MULTILABEL and targets.shape[1] != classes):
        cure = "; give targets[:, None]" if targets.ndim == 1 else ""
        raise DataError(f"targets are {got}; expected [{rows}, {width}]{cure}", key=key)
