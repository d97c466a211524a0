"""Tables of a class of a user's own whose parts do not fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regexp.dataset.base import DataError, Dataset, Table
from tests.dataset.made import config_of

ROWS = 60
INPUTS = np.random.default_rng(0).normal(size=(ROWS, 3))
CLASSES = np.arange(ROWS) % 3
TABLE = Table(INPUTS, CLASSES, ("a", "b", "c"), ("x", "y", "z"), checksum="", source="mine.bin")
VALUES = replace(TABLE, targets=INPUTS[:, :1], classes=(), task="regression")


class Mine(Dataset):
    name = "mine"
    table: Table

    def read(self, folder: Path) -> Table:
        return self.table

    def preprocessing(self, table: Table) -> Any:
        return None


def load(table: Table) -> Any:
    given = {key: value for key, value in config_of("iris").items() if key != "_target_"}
    dataset = Mine(**given)
    object.__setattr__(dataset, "table", table)
    return dataset.load(0, Path())


def test_a_table_that_fits_is_taken() -> None:
    for table in (TABLE, VALUES, replace(TABLE, targets=CLASSES > 0, classes=("no", "yes"))):
        assert len(load(table).train) == 36


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: replace(TABLE, targets=CLASSES[:50]), "60 rows of inputs and 50 of targets"),
        (lambda: replace(TABLE, weights=np.ones(61)), "60 rows of inputs and 61 of weights"),
        (lambda: replace(TABLE, groups=CLASSES[:59]), "60 rows of inputs and 59 of groups"),
        (lambda: replace(TABLE, columns=("a", "b")), "3 columns of inputs, and names of 2"),
        (
            lambda: replace(TABLE, targets=CLASSES / 1),
            r"float64 of shape \[60\]; expected int",
        ),
        (lambda: replace(TABLE, targets=np.eye(3, dtype=int)[CLASSES]), r"of shape \[60, 3\]; exp"),
        (lambda: replace(TABLE, targets=CLASSES + 1), "targets are 1 to 3; expected 0 to 2, as"),
        (lambda: replace(TABLE, targets=CLASSES - 1), "targets are -1 to 1; expected 0 to 2, as"),
        (
            lambda: replace(VALUES, targets=INPUTS[:, 0]),
            r"\[60, outputs\]; give targets\[:, N",
        ),
        (lambda: replace(TABLE, weights=np.where(CLASSES > 0, 1.0, -0.5)), "numbers >= 0"),
        (lambda: replace(TABLE, weights=np.where(CLASSES > 0, 1.0, np.nan)), "numbers >= 0"),
        (lambda: replace(TABLE, inputs=np.where(INPUTS > 2, np.nan, INPUTS)), "it is missing, and"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[], Table], message: str) -> None:
    with pytest.raises(DataError, match=f"^mine.bin: .*{message}"):
        load(change())
