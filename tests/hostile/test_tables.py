"""Tables that others made are read as they are, or refused by the one documented error.

What is accepted is held against the fields that Python's csv module finds.
"""

from __future__ import annotations

import gzip
import io
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from regexp.config.nodes import build_node, check_node
from regexp.dataset.base import Data, DataError
from regexp.dataset.columns import read_columns, read_fields
from regexp.dataset.frames import Text, read_frame
from regexp.errors import ConfigError
from tests.hostile import tables
from tests.hostile.support import mutated, refused, searching


def load(node: dict[str, Any], folder: Path, seed: int = 0) -> Data:
    """A dataset as the command line makes it: its node checked and built, its data loaded."""
    check_node("dataset", node, build=True)
    return build_node("dataset", node).load(seed, folder)


def check(data: Data) -> None:
    """Whatever is accepted can be trained on."""
    for split in (data.train, data.validation, data.test):
        assert len(split) == len(split.targets) > 0
        assert np.isfinite(split.inputs[:].numpy()).all()
        assert np.isfinite(split.targets.numpy()).all()


@searching()
@given(case=tables.cases(), packed=st.booleans())
def test_a_table_is_loaded_or_refused(nowhere: Path, case: tables.Case, packed: bool) -> None:
    content, node = case
    path = nowhere / ("table.csv.gz" if packed else "table.tar")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    node = {"_target_": "regexp.dataset.table.TableFile", "path": path.name, **node}
    with refused(nowhere, DataError, ConfigError, ValueError, naming=(str(path), "dataset.")):
        check(load(node, nowhere))


def agrees(value: object, field: str) -> bool:
    """Whether a value of a data frame is what stands in a field of the text."""
    if isinstance(value, str):
        return value == field
    if isinstance(value, bool | np.bool_):
        return str(value).lower() == field.lower()
    if isinstance(value, int):
        return value == int(field)
    number = float(value)  # type: ignore[arg-type]
    return math.isnan(number) or math.isclose(number, float(field), rel_tol=1e-12)


@searching()
@given(case=tables.cases())
def test_every_value_is_the_one_in_the_file(nowhere: Path, case: tables.Case) -> None:
    path = nowhere / "table.csv"
    path.write_bytes(case[0])
    with refused(nowhere, DataError, naming=(str(path),)):
        frame = read_frame(path, Text(","))
        _, *rows = (fields for _, fields in read_fields(path, ","))
        assert frame.shape == (len(rows), len(rows[0]))
        for place, column in enumerate(frame):
            for value, fields in zip(frame[column], rows, strict=True):
                assert agrees(value, fields[place])


def series_of(path: Path, node: dict[str, Any]) -> dict[str, Any]:
    """The node of a series with the settings of a table."""
    of_tables = (
        "missing", "task", "drop", "categorical", "max_levels", "header", "weight",
        "rows_without_target",
    )  # fmt: skip
    return {
        "_target_": "regexp.dataset.series.Series", "path": path.name, "window": 3, "horizon": 2,
        "stride": 1, "sha256": None, "url": None,
    } | {key: value for key, value in node.items() if key not in of_tables}  # fmt: skip


def test_a_series_that_is_right_is_loaded(nowhere: Path) -> None:
    """Else a search over damaged ones would find nothing."""
    path = nowhere / "series.csv"
    parts = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    path.write_text("target,part\n" + "".join(f"{n % 7},{part}\n" for n, part in enumerate(parts)))
    node = tables.settings(["part", "target"])
    check(load(series_of(path, node), nowhere))
    check(load(series_of(path, node | {"split": "part"}), nowhere))


@searching()
@given(case=tables.cases(), several=st.booleans())
def test_columns_of_numbers_are_read_or_refused(
    nowhere: Path, case: tables.Case, several: bool
) -> None:
    content, node = case
    path = nowhere / "series.csv"
    path.write_bytes(content)
    with refused(nowhere, DataError, naming=(str(path),)):
        found = read_columns(path, ("target", "a") if several else ("target",), ",")
        assert np.isfinite(found.values).all()
    series = series_of(path, node)
    with refused(nowhere, DataError, ConfigError, ValueError, naming=(str(path), "dataset.")):
        check(load(series, nowhere))


@searching(0.5)
@given(data=st.data())
def test_a_damaged_parquet_file_is_read_or_refused(nowhere: Path, data: st.DataObject) -> None:
    path = nowhere / "table.parquet"
    path.write_bytes(data.draw(mutated(parquet())))
    file = {"_target_": "regexp.dataset.table.TableFile", "path": path.name}
    node = file | tables.settings(["target"])
    with refused(nowhere, DataError, ConfigError, naming=(str(path), "dataset.")):
        check(load(node, nowhere))


@cache
def parquet() -> bytes:
    """A small table of every kind of column, as Parquet."""
    rows = range(30)
    frame = pd.DataFrame(
        {
            "a": [row / 7 for row in rows],
            "b": pd.Categorical(["red", "green"] * 15),
            "c": [None, True, False] * 10,
            "target": [row % 3 for row in rows],
        }
    )
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()
