"""A stored preparation against the one that was fitted: the same tensors of the same raw rows."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer

from regexp.dataset import fitted, stored
from regexp.dataset.base import Table
from regexp.dataset.kinds import MISSING
from regexp.dataset.lazy import Images
from regexp.dataset.preparation import Preparation
from regexp.errors import ConfigError
from tests.dataset.made import make


def again(preparation: Preparation, allowed: tuple[str, ...] = ()) -> Preparation:
    """A preparation, written and read."""
    described = json.loads(json.dumps(stored.described(preparation)))
    return stored.restored(described, stored.dumped(preparation.pipeline), allowed)


def raw_rows(table: Table, rows: Any) -> Any:
    """Rows as a user has them: categories by their names."""
    if isinstance(table.inputs, Images):
        return table.inputs.read(rows)
    values = table.inputs[rows]
    if not table.levels:
        return values
    frame = pd.DataFrame(values, columns=list(table.columns))
    for name, levels in table.levels.items():
        named = [levels[int(code)] for code in frame[name]]
        frame[name] = [None if level == MISSING else level for level in named]
    return frame


def test_every_dataset_prepares_rows_as_before(dataset: Any, tmp_path: Path) -> None:
    data = dataset.load(0, tmp_path)
    table, test = dataset.table_of(tmp_path), data.test
    assert not stored.dumped(data.preparation.pipeline)  # it is plain text, as all of regexp's are
    restored = again(data.preparation)
    read = dataset.read_inputs(raw_rows(table, test.rows), restored)
    inputs = restored.inputs(read, test.rows)
    got, wanted = inputs[: len(test)], test.inputs[: len(test)]
    assert torch.equal(torch.as_tensor(got), torch.as_tensor(wanted))
    assert torch.equal(restored.targets(table.targets[test.rows], test.rows), test.targets)
    assert restored.classes == data.classes
    assert restored.target_scale == data.target_scale


def shifted(x: Any, by: float) -> Any:
    """What a user's own transformer may call."""
    return x + by


def test_what_is_not_trusted_is_left_alone_until_it_is_allowed(tmp_path: Path) -> None:
    iris = make("iris").load(0, tmp_path)
    own = FunctionTransformer(partial(shifted, by=2.0)).fit(np.zeros((2, 4)))
    preparation = Preparation(**{**vars(iris.preparation), "pipeline": own})
    name = f"{__name__}.shifted"
    with pytest.raises(ConfigError, match=f"made of {name}, .*--allow {name}"):
        again(preparation)
    rows = np.arange(3)
    inputs = again(preparation, (name,)).inputs(np.ones((3, 4)), rows)
    assert torch.equal(torch.as_tensor(inputs[:3]), torch.full((3, 4), 3.0))
    assert again(preparation, (f"{__name__}.",)).pipeline is not None


def test_names_of_pixels_are_not_stored(tmp_path: Path) -> None:
    """A run would have megabytes of them."""
    from tests.dataset.made import made_files

    data = make("galaxy_images", **made_files("galaxy_images", tmp_path)).load(0, tmp_path)
    described = json.dumps(stored.described(data.preparation))
    assert "red[" not in described
    assert len(described) < 1000


def test_a_pipeline_is_small(tmp_path: Path) -> None:
    data = make("breast_cancer").load(0, tmp_path)
    assert len(json.dumps(fitted.encoded(data.preparation.pipeline))) < 4000


def test_plain_values_come_back_as_they_were() -> None:
    values: tuple[Any, ...] = (
        [1, 2.5, float("inf"), "a", None, True],
        {"a": (1, 2), 3: slice(0, 4)},
        np.float32(0.1),
        np.array([[1.5, np.nan]]),
        np.array(["a", None], dtype=object),
        np.dtype("int64"),
        partial(np.exp, where=True),
    )
    again = fitted.decoded(json.loads(json.dumps(fitted.encoded(values))))
    assert again[:2] == values[:2]
    for first, second in zip(values[2:5], again[2:5], strict=True):
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        np.testing.assert_array_equal(first, second)
    assert again[5] == values[5]
    assert (again[6].func, again[6].keywords) == (np.exp, {"where": True})


@pytest.mark.parametrize(
    "node",
    [
        {"named": "os.system"},
        {"class": "subprocess.Popen", "state": {"dict": []}},
        {"class": "regexp.dataset.preparation.Preparation", "state": {"dict": []}},
        {"array": "", "dtype": "O", "shape": [0]},
        {"dtype": "O"},
        [1],
    ],
)
def test_nothing_else_is_read(node: Any) -> None:
    with pytest.raises(ValueError, match="a part of the preparation is not known"):
        fitted.decoded(node)
