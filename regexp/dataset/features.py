"""Features made of features, and the filter that drops those that say nearly the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from regexp.dataset.data import DataError, Table
from regexp.dataset.scaling import Standardizer


class UnseenAsMissing(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Make missing what stands in columns without a value in the rows fitted.

    Of pipelines of earlier versions, which runs have stored; `Standardizer` does more since.

    Attributes:
        unseen_: which columns these are, [columns].
    """

    def fit(self, X: NDArray[Any], y: object = None) -> Self:
        """Note the columns without a value in `X`, [rows, columns], NaN where one is missing."""
        X = validate_data(self, X, ensure_all_finite="allow-nan")
        self.unseen_ = np.isnan(X).all(axis=0)
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """[rows, columns], NaN in the columns noted."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        return np.where(self.unseen_, np.nan, X)


@dataclass(frozen=True)
class LevelNames:
    """Names of one-hot features, `column=level`.

    Attributes:
        levels: of each category, the levels' names by number.
    """

    levels: Mapping[str, tuple[str, ...]]

    def __call__(self, column: str, code: float) -> str:
        """The name of the feature that is 1 where the column has the level of this number."""
        if column not in self.levels:  # scikit-learn tries this on words of its own
            return f"{column}={code}"
        return f"{column}={self.levels[column][int(code)]}"


class ColumnScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale columns by numbers that are known: (x - mean) / scale; nothing is fitted.

    Args:
        mean, scale: one a column, in its own unit; a scale of infinity makes a column 0.
    """

    def __init__(self, mean: tuple[float, ...], scale: tuple[float, ...]) -> None:
        self.mean = mean
        self.scale = scale

    def fit(self, X: NDArray[Any], y: object = None) -> Self:
        """Nothing."""
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """[..., columns], scaled."""
        return (X - np.array(self.mean)) / np.array(self.scale)

    def get_feature_names_out(self, names: Any = None) -> Any:
        """A value stays what it is."""
        return names


class SeriesScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardize the channels of series over all values of the rows fitted; 0 what is missing.

    Args:
        channels: of a series, which stand side by side for each step of time.

    Attributes:
        scaler_: of [values, channels].
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def fit(self, X: NDArray[Any], y: object = None) -> Self:
        """Learn from `X`, [rows, time * channels], NaN where there is no value."""
        X = validate_data(self, X, ensure_all_finite="allow-nan")
        self.scaler_ = Standardizer().fit(X.reshape(-1, self.channels))
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """[rows, time * channels]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        scaled = self.scaler_.transform(X.reshape(-1, self.channels)).reshape(X.shape)
        return np.where(np.isnan(X), 0.0, scaled)


class CorrelationFilter(TransformerMixin, BaseEstimator):
    """Keep one feature of each highly correlated pair.

    As long as there are too many features, the pair with the greatest absolute Pearson correlation
    loses its later feature; so what stands first (a raw feature before its powers) survives. A
    feature that is constant on the rows fitted counts as correlated 1 with all others.

    Args:
        threshold: drop features until no pair is correlated beyond this, in (0, 1]; None if `keep`
            is given. How many are left depends on the rows.
        keep: drop features until this many are left, whatever their correlation; None if
            `threshold` is given. Inputs of fewer features are left alone.

    Attributes:
        kept_: indices of the features kept, ascending.
    """

    def __init__(self, threshold: float | None = None, keep: int | None = None) -> None:
        self.threshold = threshold
        self.keep = keep

    def fit(self, X: NDArray[Any], y: object = None) -> Self:
        """Choose among the features of `X`, [rows, features]."""
        if (self.threshold is None) == (self.keep is None):
            raise ValueError("give either `threshold` or `keep`, and not both")
        X = validate_data(self, X)
        with np.errstate(divide="ignore", invalid="ignore"):  # constant columns, see below
            correlation = np.abs(np.atleast_2d(np.corrcoef(X, rowvar=False)))
        correlation[np.isnan(correlation)] = 1.0
        # Rounded, so that ties (a feature and its double) do not hang on the last bit of a sum,
        # which may differ with the number of threads.
        correlation = correlation.round(12)
        correlation[np.tril_indices(len(correlation))] = -1.0  # each pair once, as (first, later)
        kept = np.ones(len(correlation), dtype=bool)
        while self._too_many(int(kept.sum()), float(correlation.max())):
            _, later = np.unravel_index(int(correlation.argmax()), correlation.shape)
            kept[later] = False
            correlation[later, :] = correlation[:, later] = -1.0
        self.kept_ = np.flatnonzero(kept)
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """[rows, features] -> [rows, features kept]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return X[:, self.kept_]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names of the features kept."""
        check_is_fitted(self)
        if input_features is None:
            input_features = [f"x{index}" for index in range(self.n_features_in_)]
        return np.asarray(input_features, dtype=object)[self.kept_]

    def _too_many(self, features: int, greatest: float) -> bool:
        if self.keep is not None:
            return features > self.keep
        return self.threshold is not None and greatest > self.threshold


def expansion(
    degree: int, log_offset: float, threshold: float | None, keep: int | None
) -> Pipeline:
    """Polynomial, exponential and log features, the correlation filter, standardization.

    [rows, columns] -> [rows, features].

    Args:
        degree: greatest degree of the monomials x_i, x_i * x_j, ...
        log_offset: the log features are log(x + log_offset), so that x = 0 has one.
        threshold, keep: see `CorrelationFilter`.
    """
    features = FeatureUnion(
        [
            ("polynomial", PolynomialFeatures(degree, include_bias=False)),
            ("exp", FunctionTransformer(np.exp, feature_names_out=partial(_names, "exp"))),
            (
                "log",
                FunctionTransformer(
                    _log, kw_args={"offset": log_offset}, feature_names_out=partial(_names, "log")
                ),
            ),
        ],
        verbose_feature_names_out=False,
    )
    return Pipeline(
        [
            ("features", features),
            ("filter", CorrelationFilter(threshold=threshold, keep=keep)),
            ("scale", Standardizer()),
        ]
    )


def of_columns(table: Table) -> ColumnTransformer:
    """Imputation and standardization of numbers, one-hot encoding of categories.

    [rows, columns] -> [rows, features]; see `regexp.dataset.framed.FrameDataset`.

    Args:
        table: its columns, their levels, and which of them have gaps.

    Raises:
        DataError: a column is called as a level of another one is, or what tells of its gaps.
    """
    assert isinstance(table.inputs, np.ndarray)
    places = range(len(table.columns))
    numeric = [place for place in places if table.columns[place] not in table.levels]
    # Of all rows, as the levels are: which columns have gaps is the same for every seed.
    gaps = [place for place in numeric if np.isnan(table.inputs[:, place]).any()]
    categorical = [place for place in places if table.columns[place] in table.levels]

    names = [table.columns[place] for place in numeric]
    names += [f"missingindicator_{table.columns[place]}" for place in gaps]
    names += [f"{column}={level}" for column, levels in table.levels.items() for level in levels]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise DataError(
            f"{table.name or 'the table'}: two inputs would be called {twice[0]!r}, as a column, "
            "and a level or the gaps of another, are called so; rename one of the columns"
        )

    encoder = OneHotEncoder(
        categories=[np.arange(len(levels), dtype=float) for levels in table.levels.values()],
        feature_name_combiner=LevelNames(table.levels),
        sparse_output=False,
    )
    # A column without a value in the training rows is 0 in all, and stays a feature.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(imputer, Standardizer()), numeric),
            ("missing", MissingIndicator(features="all"), gaps),
            ("categories", encoder, categorical),
        ],
        verbose_feature_names_out=False,
    )


def _log(x: NDArray[Any], offset: float) -> NDArray[Any]:
    return np.log(x + offset)


def _names(function: str, transformer: object, columns: NDArray[Any]) -> list[str]:
    return [f"{function}({column})" for column in columns]
