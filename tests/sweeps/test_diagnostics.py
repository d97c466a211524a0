"""The numbers behind a run's pictures."""

import json

import numpy as np
import pytest
import torch

from regexp.dataset.base import Data
from regexp.metrics.calibration import Reliability
from regexp.sweeps.final_metrics import calibration, diagnostics, weight_sizes
from regexp.training.state import Result
from tests.support import make_data

KINDS = {"w": "weight", "norm": "normalization", "layer.weight": "weight", "layer.bias": "bias"}


def finished(data: Data) -> Result:
    outputs = torch.randn(len(data.test), 3, generator=torch.Generator().manual_seed(0))
    weights = {"layer.weight": torch.eye(3), "layer.bias": torch.zeros(3)}
    return Result(0, "FINISHED", "", 1, 0.0, outputs=outputs, last={"weights": weights})


def test_weight_sizes_count_every_weight_once() -> None:
    weights = torch.tensor([[0.0, 1e-9, -1e-9, 1e-3], [-2e-3, 0.5, -1000.0, 0.0]])
    sizes = weight_sizes({"w": weights, "norm": torch.ones(3, 3), "mean": torch.ones(2, 2)}, KINDS)
    assert sizes["zeros"] == 2
    assert sizes["below"] == 2
    assert sizes["above"] == 1
    assert sizes["total"] == 8
    assert sum(sizes["counts"]) == 3
    edges = np.array(sizes["edges"])
    place = np.searchsorted(edges, np.log10(0.5)) - 1
    assert sizes["counts"][place] == 1
    assert edges[0] == -8
    assert edges[-1] == 2


def test_weights_that_are_not_numbers_lie_in_no_bin() -> None:
    sizes = weight_sizes({"w": torch.full((2, 2), torch.inf)}, KINDS)
    assert sizes["above"] == 4
    assert weight_sizes({}, KINDS)["total"] == 0


def test_classification_has_its_reliability() -> None:
    data = make_data()
    result = finished(data)
    content = json.loads(diagnostics(data, result, KINDS))
    found = Reliability.of(result.outputs, data.test.targets)
    assert content["reliability"]["count"] == found.count.tolist()
    assert sum(content["reliability"]["count"]) == len(data.test)
    empty = [count == 0 for count in content["reliability"]["count"]]
    assert [value is None for value in content["reliability"]["accuracy"]] == empty
    assert len(content["reliability"]["edges"]) == len(empty) + 1
    assert content["weights"]["zeros"] == 6
    assert calibration(data, result.outputs)["test/ece"] == pytest.approx(found.error)


def test_regression_has_none() -> None:
    data = make_data()
    values = Data(**{**vars(data), "task": "regression", "classes": ()})
    result = finished(data)
    assert "reliability" not in json.loads(diagnostics(values, result, KINDS))
    assert calibration(values, result.outputs) == {}
