"""MNIST-1D: numbers of the published data, and scikit-learn's logistic regression on ours."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from regexp.errors import ConfigError
from tests.dataset.made import make


def test_rows_are_the_published_ones(tmp_path):
    """Held against the file mnist1d_data.pkl of github.com/greydanus/mnist1d, read once by hand."""
    table = make("mnist1d").table_of(tmp_path)
    assert table.inputs.shape == (5000, 40)
    first = [-0.33200566736939, -0.47191036565572, -0.77869707629350, -1.00974082653670]
    last = [0.65987564707888, 0.87773434975280, 1.19315183683528]
    assert np.allclose(table.inputs[0, :4], first, atol=1e-6)
    assert np.allclose(table.inputs[-1, -3:], last, atol=1e-6)
    assert table.targets[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert np.bincount(table.targets).tolist() == [500] * 10
    assert abs(table.inputs.mean()) < 1e-6
    assert abs(table.inputs.std() - 1) < 1e-6


def test_the_last_rows_are_the_test(tmp_path):
    data = make("mnist1d").load(3, tmp_path)
    assert data.test.rows.tolist() == list(range(4000, 5000))
    assert len(data.train) == 3200
    assert len(data.validation) == 800
    assert data.train.inputs.shape == (3200, 40, 1)  # a series of one channel
    assert data.classes == tuple("0123456789")


def test_a_linear_model_is_as_bad_as_the_authors_say(tmp_path):
    """32% of the test rows."""
    data = make("mnist1d").load(0, tmp_path)
    inputs, targets = data.train.inputs.flatten(1).numpy(), data.train.targets.numpy()
    fitted = LogisticRegression(max_iter=200).fit(inputs, targets)
    score = fitted.score(data.test.inputs.flatten(1).numpy(), data.test.targets.numpy())
    assert score == pytest.approx(0.32, abs=0.03)


def test_without_disturbance_rows_are_their_templates(tmp_path):
    """With nothing random, a row is its digit's template, drawn out, and the same in each row."""
    still = {"scale": 0, "translation": 1, "correlated_noise": 0, "noise": 0, "shear": 0}
    table = make("mnist1d", padding=[0, 0], length=12, samples=100, **still).table_of(tmp_path)
    for digit in range(10):
        rows = table.inputs[table.targets == digit]
        assert np.ptp(rows, axis=0).max() == 0
    seven = table.inputs[table.targets == 7][0]
    heights = np.array([5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5])
    assert np.corrcoef(seven, heights)[0, 1] == pytest.approx(1, abs=1e-6)


def test_seed_and_order_of_the_points(tmp_path):
    plain, other, shuffled = (
        make("mnist1d", samples=200, **overrides).table_of(tmp_path)
        for overrides in ({}, {"generator_seed": 43}, {"shuffle": True})
    )
    assert plain.checksum == make("mnist1d", samples=200).table_of(tmp_path).checksum
    assert len({plain.checksum, other.checksum, shuffled.checksum}) == 3
    assert np.array_equal(np.sort(plain.inputs), np.sort(shuffled.inputs))
    assert not np.array_equal(plain.inputs, shuffled.inputs)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("generator_seed", -1, "a whole number below 2"),
        ("samples", 99, "100 or more"),
        ("translation", 0, "1 or more"),
        ("length", 1, "2 or more"),
        ("noise", -0.1, "a number"),
        ("shear", True, "a number"),
        ("train_share", 1.0, "a share"),
        ("padding", [60, 36], "least and most"),
        ("padding", 3, "least and most"),
        ("shuffle", 1, "true or false"),
    ],
)
def test_settings_out_of_range_are_refused(key, value, message):
    with pytest.raises(ConfigError, match=rf"dataset\.{key}: expected .*{message}"):
        make("mnist1d", **{key: value})
