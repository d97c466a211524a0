"""A stored preparation against the one that was fitted: the same tensors of the same raw rows."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from regexp.dataset import stored
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
    assert isinstance(data.preparation.pipeline, StandardScaler)
    assert len(stored.dumped(data.preparation.pipeline)) < 4000
