"""Wine: marks as classes or as numbers."""

from __future__ import annotations

import torch

from tests.dataset.made import make, real_folder, wine_lines, write


def wine(**overrides):
    return make("wine_quality", **{"file": "wine.csv", "sha256": None, **overrides})


def test_marks_are_classes(tmp_path):
    write(tmp_path / "wine.csv", wine_lines())
    data = wine().load(0, tmp_path)
    assert data.classes == ("5", "6", "7")
    assert data.train.inputs.shape == (72, 11)
    assert data.features[-1] == "alcohol"


def test_marks_are_numbers_in_a_regression(tmp_path):
    write(tmp_path / "wine.csv", wine_lines())
    data = wine(target="regression").load(0, tmp_path)
    assert data.task == "regression"
    assert data.classes == ()
    assert data.train.targets.shape == (72, 1)
    assert data.train.targets.dtype == torch.float32
    assert set(data.train.targets.flatten().tolist()) == {5.0, 6.0, 7.0}


def test_another_separator_can_be_asked_for(tmp_path):
    write(tmp_path / "wine.csv", [line.replace(";", ",") for line in wine_lines()])
    assert len(wine(separator=",").load(0, tmp_path).train) == 72


def test_real_table():
    data = make("wine_quality").load(0, real_folder("winequality-red.csv"))
    targets = torch.cat([data.train.targets, data.validation.targets, data.test.targets])
    assert data.classes == ("3", "4", "5", "6", "7", "8")
    assert torch.bincount(targets).tolist() == [10, 53, 681, 638, 199, 18]
