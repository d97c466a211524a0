"""The correlation filter and the pipeline around it."""

from __future__ import annotations

import numpy as np
import pytest

from regexp.dataset.features import CorrelationFilter, SeriesScaler, expansion
from regexp.dataset.scaling import Standardizer


@pytest.fixture
def table():
    """[200, 6]: three independent columns, a double of 0, a noisy copy of 1, a constant."""
    random = np.random.default_rng(0)
    a, b, c = random.normal(size=(3, 200))
    return np.stack([a, b, c, -2 * a + 1, b + 0.3 * random.normal(size=200), np.ones(200)], axis=1)


@pytest.mark.parametrize("scaler", [Standardizer(), SeriesScaler(3)], ids=["table", "series"])
def test_what_has_one_value_in_the_rows_fitted_is_zero_in_all(scaler):
    """Its weights are untrained: in its own unit, thousands would decide what is predicted."""
    rows = np.array([[1.0, 0.0, np.nan], [3.0, 0.0, np.nan], [5.0, np.nan, np.nan]])
    fitted = scaler.fit(rows)
    scale = np.std([1, 3, 5])
    new = fitted.transform(np.array([[7.0, 99_080.0, -5.0], [3.0, 0.0, np.nan]]))
    wanted = np.array([[4 / scale, 0, 0], [0, 0, 0]])
    assert np.allclose(np.nan_to_num(new), wanted)  # imputation comes before it in tables


def test_threshold_keeps_the_first_of_each_correlated_pair(table):
    assert CorrelationFilter(threshold=0.9).fit(table).kept_.tolist() == [0, 1, 2]
    assert CorrelationFilter(threshold=0.99).fit(table).kept_.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9, 0.999])
def test_no_pair_beyond_the_threshold_is_left(threshold):
    random = np.random.default_rng(1)
    X = random.normal(size=(100, 5)) @ random.normal(size=(5, 30)) + random.normal(size=(100, 30))
    kept = CorrelationFilter(threshold=threshold).fit_transform(X)
    rest = np.abs(np.corrcoef(kept, rowvar=False)) - np.eye(kept.shape[1])
    assert rest.max() <= threshold
    assert 2 <= kept.shape[1] <= 30


@pytest.mark.parametrize(("keep", "kept"), [(6, 6), (9, 6), (5, 5), (3, 3), (1, 1)])
def test_keep_leaves_so_many(table, keep, kept):
    assert CorrelationFilter(keep=keep).fit_transform(table).shape == (200, kept)


def test_constant_and_doubled_features_go_first(table):
    assert CorrelationFilter(keep=4).fit(table).kept_.tolist() == [0, 1, 2, 4]


def test_uncorrelated_features_can_be_dropped_too():
    """The correlation of the pair is 0 exactly; the first stays."""
    X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert CorrelationFilter(keep=1).fit(X).kept_.tolist() == [0]
    assert CorrelationFilter(threshold=0.01).fit(X).kept_.tolist() == [0, 1]


@pytest.mark.parametrize("arguments", [{}, {"threshold": 0.9, "keep": 3}])
def test_exactly_one_rule_must_be_given(table, arguments):
    with pytest.raises(ValueError, match="either `threshold` or `keep`"):
        CorrelationFilter(**arguments).fit(table)


def test_transform_takes_what_fit_chose(table):
    fitted = CorrelationFilter(keep=3).fit(table)
    other = np.arange(12.0).reshape(2, 6)
    assert np.array_equal(fitted.transform(other), other[:, :3])
    assert fitted.get_feature_names_out(list("abcdef")).tolist() == list("abc")
    with pytest.raises(ValueError, match="5 features"):
        fitted.transform(other[:, :5])


def test_expansion_makes_polynomial_exponential_and_log_features():
    X = np.random.default_rng(0).random((50, 2))
    pipeline = expansion(degree=2, log_offset=0.1, threshold=None, keep=9).fit(X)
    names = pipeline.get_feature_names_out(["a", "b"])
    assert list(names) == ["a", "b", "a^2", "a b", "b^2", "exp(a)", "exp(b)", "log(a)", "log(b)"]
    a, b = X.T
    made = np.stack(
        [a, b, a**2, a * b, b**2, np.exp(a), np.exp(b), np.log(a + 0.1), np.log(b + 0.1)], axis=1
    )
    expected = (made - made.mean(0)) / made.std(0)
    assert np.allclose(pipeline.transform(X), expected)
