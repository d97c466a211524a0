"""Wine: marks as classes or as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
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


def test_no_test_row_of_the_real_table_is_a_training_row():
    """Repeats counted by pandas; 240 of the 1,599 rows are such."""
    folder = real_folder("winequality-red.csv")
    frame = pd.read_csv(folder / "winequality-red.csv", sep=";").drop(columns="quality")
    measures = [tuple(row) for row in frame.itertuples(index=False)]
    assert frame.duplicated().sum() == 240
    dataset, apart = make("wine_quality"), make("wine_quality", repeats="apart")
    table = dataset.read(folder)
    for seed in range(5):
        shared = []
        for one in (dataset, apart):
            train, validation, test = one.split_rows(table, seed)
            assert (len(train), len(validation), len(test)) == (961, 319, 319)
            seen = {measures[row] for row in train}
            shared.append(np.mean([measures[row] in seen for row in test]))
        assert shared[0] == 0
        assert 0.15 < shared[1] < 0.22
    assert dataset.load(0, folder).remarks[0].startswith("wine_quality: 240 of 1,599 rows repeat ")


def test_real_table():
    data = make("wine_quality").load(0, real_folder("winequality-red.csv"))
    targets = torch.cat([data.train.targets, data.validation.targets, data.test.targets])
    assert data.classes == ("3", "4", "5", "6", "7", "8")
    assert torch.bincount(targets).tolist() == [10, 53, 681, 638, 199, 18]
