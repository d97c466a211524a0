"""Whether the targets of a table can be learnt from."""

from __future__ import annotations

import numpy as np

from regexp.dataset.data import CLASSIFICATION, MULTILABEL, DataError, Rows, Table


def check_targets(table: Table, free: Rows, *, held_out: bool) -> None:
    """There is something to learn, and each class has a row for every split.

    Args:
        table: whose rows are split.
        free: those that are split by the seed.
        held_out: whether the others are the test split.

    Raises:
        DataError: there is not.
    """
    targets = table.targets
    if table.task != CLASSIFICATION:
        if (constant := (targets == targets[0]).all(axis=0)).any():
            label = ""
            if table.task == MULTILABEL:
                label = f" of the label {table.classes[int(constant.argmax())]!r}"
            raise DataError(
                f"all of its {len(targets)} rows have the target "
                f"{targets[0, constant][0]:g}{label}; there is nothing to learn",
                key=table.source,
            )
        return
    rows = np.bincount(targets[free], minlength=len(table.classes))
    if (rows > 0).sum() < 2:
        raise DataError(
            f"all of its {rows.sum()} rows are of one class "
            f"({table.classes[int(rows.argmax())]!r}); there is nothing to learn",
            key=table.source,
        )
    needed, splits = 3, "training, validation and test"
    if held_out:
        needed, splits = 2, "training and validation"
    if rows.min() < needed and table.splits is None:
        raise DataError(
            f"class {table.classes[int(rows.argmin())]!r} has {rows.min()} row(s); {splits} "
            "split need one each",
            key=table.source,
        )
