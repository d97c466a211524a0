"""The two datasets that ship with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from tests.dataset.conftest import make


def test_digits_are_the_images_over_16(tmp_path):
    data = make("digits").load(0, tmp_path)
    assert data.train.inputs.shape == (1079, 1, 8, 8)
    assert data.classes == tuple("0123456789")
    images = torch.cat([data.train.inputs, data.validation.inputs, data.test.inputs])[:, 0]
    expected = load_digits().images / 16
    order = np.lexsort(images.flatten(1).numpy().T)
    assert np.array_equal(images.numpy()[order], expected[np.lexsort(expected.reshape(-1, 64).T)])


def test_breast_cancer_is_standardized_by_its_training_rows(tmp_path):
    data = make("breast_cancer").load(0, tmp_path)
    train = data.train.inputs.double()
    assert data.classes == ("malignant", "benign")
    assert train.mean(0).abs().max() < 1e-6
    assert (train.std(0, unbiased=False) - 1).abs().max() < 1e-6
    # The other rows are scaled by the training rows' numbers, so theirs are near, not equal.
    assert 0.01 < data.test.inputs.mean(0).abs().max() < 1


def test_checksums_are_those_of_the_arrays(tmp_path):
    first, again = (
        [make(name).load(seed, tmp_path).checksum for name in ("digits", "breast_cancer")]
        for seed in (0, 1)
    )
    assert first == again
    assert first[0] != first[1]
