"""The datasets that ship with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression

from tests.dataset.made import make

TABLES = {
    "breast_cancer": (343, 30, ("malignant", "benign")),
    "diabetes": (266, 10, ()),
    "wine": (108, 13, ("class_0", "class_1", "class_2")),
    "iris": (90, 4, ("setosa", "versicolor", "virginica")),
}


def test_digits_are_the_images_over_16(tmp_path):
    data = make("digits").load(0, tmp_path)
    assert data.train.inputs.shape == (1079, 1, 8, 8)
    assert data.classes == tuple("0123456789")
    images = torch.cat([data.train.inputs, data.validation.inputs, data.test.inputs])[:, 0]
    expected = load_digits().images / 16
    order = np.lexsort(images.flatten(1).numpy().T)
    assert np.array_equal(images.numpy()[order], expected[np.lexsort(expected.reshape(-1, 64).T)])


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_standardized_by_their_training_rows(name, tmp_path):
    rows, features, classes = TABLES[name]
    data = make(name).load(0, tmp_path)
    train = data.train.inputs.double()
    assert train.shape == (rows, features)
    assert data.classes == classes
    assert train.mean(0).abs().max() < 1e-6
    assert (train.std(0, unbiased=False) - 1).abs().max() < 1e-6
    # The other rows are scaled by the training rows' numbers, so theirs are near, not equal.
    assert 0.01 < data.test.inputs.mean(0).abs().max() < 1


def test_a_regressions_target_is_standardized_by_its_training_rows(tmp_path):
    data = make("diabetes").load(0, tmp_path)
    targets = data.train.targets.double()
    assert targets.shape == (266, 1)
    assert abs(targets.mean()) < 1e-6
    assert abs(targets.std(unbiased=False) - 1) < 1e-6
    (mean,), (scale,) = data.target_scale.mean, data.target_scale.scale
    parts = (data.train, data.validation, data.test)
    back = np.concatenate([part.targets.numpy() for part in parts])[:, 0] * scale + mean
    assert np.allclose(np.sort(back), np.sort(load_diabetes().target), atol=1e-3)


def test_linear_models_reach_what_is_known_of_them(tmp_path):
    """Yardsticks, mean of five seeds: R2 0.49 of diabetes, accuracy 0.97 of iris, 0.98 of wine."""
    scores: dict[str, list[float]] = {"diabetes": [], "iris": [], "wine": []}
    for name, own in scores.items():
        dataset = make(name)
        model = LinearRegression() if name == "diabetes" else LogisticRegression()
        for seed in range(5):
            data = dataset.load(seed, tmp_path)
            model.fit(data.train.inputs.numpy(), data.train.targets.numpy())
            own.append(model.score(data.test.inputs.numpy(), data.test.targets.numpy()))
    assert np.mean(scores["diabetes"]) == pytest.approx(0.49, abs=0.06)
    assert np.mean(scores["iris"]) == pytest.approx(0.96, abs=0.03)
    assert np.mean(scores["wine"]) == pytest.approx(0.98, abs=0.02)


def test_checksums_are_those_of_the_arrays(tmp_path):
    names = ("digits", *TABLES)
    first, again = ([make(name).load(seed, tmp_path).checksum for name in names] for seed in (0, 1))
    assert first == again
    assert len(set(first)) == len(names)
