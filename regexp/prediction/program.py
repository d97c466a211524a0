"""Preparation, network and what becomes of its outputs as one module of tensors.

Transformers of scikit-learn become modules that compute the same in float64, to the bit. Those that
have none here leave their preparation outside; see `Program.prepares`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.dataset.base import CLASSIFICATION, MULTILABEL
from regexp.dataset.digits import _scale
from regexp.dataset.fitted import IMAGES
from regexp.dataset.lazy import ChannelScaler
from regexp.dataset.preparation import axes_of
from regexp.metrics.ensemble import mean_prediction
from regexp.prediction.network import Network
from regexp.prediction.record import ModelRecord
from regexp.random import Rng
from regexp.regularizer.base import PredictionView
from regexp.regularizer.conflicts import ONE_PASS
from regexp.sweeps.ingredients import build_regularizer


class Program(nn.Module):
    """What a run predicts with, of rows as they were read.

    Args:
        record: of the run.

    Attributes:
        prepares: whether rows go in as they were read, in float64: numbers, NaN where one is
            missing, categories as numbers of their levels; series [rows, time, channels]; images
            in uint8. Else they go in as prepared, in float32.
        dtype: that the network computes in: that of its weights, also of a run in bfloat16.
    """

    scale: Tensor | None
    mean: Tensor | None

    def __init__(self, record: ModelRecord) -> None:
        super().__init__()
        preparation = record.preparation
        self.task = preparation.task
        self.network = Network(record).alone().requires_grad_(False)
        self.dtype = next(
            (p.dtype for p in self.network.parameters() if p.is_floating_point()), torch.float32
        )
        self._shape, self._read_shape = record.input_shape, preparation.read_shape
        techniques = build_regularizer(record.config["regularizer"]).techniques
        # at most one says what is predicted
        self._predicts = {n: t for n, t in techniques.items() if ONE_PASS in t.provides}
        memory = {name: record.memory.get(name, {}) for name in self._predicts}
        leaves, self._structure = pytree.tree_flatten(memory)
        self._remembered = [f"memory{index}" for index in range(len(leaves))]
        for name, leaf in zip(self._remembered, leaves, strict=True):
            self.register_buffer(name, leaf)
        found = _module_of(preparation.pipeline)
        self.prepares = found is not None
        self.preparation = found or nn.Identity()
        scale = preparation.target_scale
        self.register_buffer("scale", None if scale is None else _numbers(scale.scale))
        self.register_buffer("mean", None if scale is None else _numbers(scale.mean))

    def forward(self, rows: Tensor) -> Tensor:
        """Probabilities [rows, classes], or values in their own unit [rows, outputs]; float64."""
        if self.prepares:
            rows = self.preparation(rows.reshape(-1, *self._read_shape)).to(torch.float32)
        outputs = self._outputs(rows.reshape(-1, *self._shape).to(self.dtype)).to(torch.float64)
        if self.task == CLASSIFICATION:
            return outputs.softmax(1)
        if self.task == MULTILABEL:
            return outputs.sigmoid()
        if self.scale is None or self.mean is None:
            return outputs
        return outputs * self.scale + self.mean

    def _outputs(self, inputs: Tensor) -> Tensor:
        leaves = [self.get_buffer(name) for name in self._remembered]
        memory = pytree.tree_unflatten(leaves, self._structure)
        view = PredictionView({}, self.network, inputs, Rng(0))
        for name, technique in self._predicts.items():
            return mean_prediction(technique.predict(memory[name], view), self.task)
        outputs: Tensor = self.network(inputs)
        return outputs

    def example(self, record: ModelRecord) -> Tensor:
        """Two rows of zeros as they go in."""
        if not self.prepares:
            return torch.zeros(2, *record.input_shape)
        preparation = record.preparation
        images = isinstance(preparation.pipeline, ChannelScaler)
        kind = torch.uint8 if images else torch.float64
        axes = axes_of(preparation.shape, preparation.read_shape)
        return torch.zeros(2, *axes, dtype=kind)


def _numbers(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))


class _Affine(nn.Module):
    """(x - mean) / scale, of columns or of the channels of images."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Any, scale: Any, *axes: int) -> None:
        super().__init__()
        self.register_buffer("mean", _numbers(mean).reshape(-1, *axes))
        self.register_buffer("scale", _numbers(scale).reshape(-1, *axes))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


class _Series(_Affine):
    """The same of the channels of series, which stand side by side; 0 for what is missing."""

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(1, (-1, len(self.mean)))
        return torch.where(torch.isnan(steps), 0.0, super().forward(steps))


class _Images(_Affine):
    """The same in float32, as images are standardized when they are read."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.float32) - self.mean.to(torch.float32)) / self.scale.to(torch.float32)


class _Divided(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x / self.by


class _Imputed(nn.Module):
    """Numbers for missing ones, and in columns that are `unseen` for all."""

    values: Tensor
    unseen: Tensor

    def __init__(self, values: Any, unseen: Any = False) -> None:
        super().__init__()
        self.register_buffer("values", _numbers(values))
        self.register_buffer("unseen", torch.from_numpy(np.asarray(unseen, dtype=bool)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(torch.isnan(x) | self.unseen, self.values, x)


class _Missing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.isnan(x).to(x.dtype)


class _OneHot(nn.Module):
    """The levels of each column, one after another; NaN of a number that is no level."""

    column: Tensor
    code: Tensor
    levels: Tensor

    def __init__(self, levels: list[int]) -> None:
        super().__init__()
        self.register_buffer("column", torch.repeat_interleave(torch.tensor(levels)))
        codes = [float(code) for count in levels for code in range(count)]
        self.register_buffer("code", torch.tensor(codes, dtype=torch.float64))
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        is_level = (x >= 0) & (x < self.levels) & (x == x.floor())
        found = (x[:, self.column] == self.code).to(x.dtype)
        return torch.where(is_level[:, self.column], found, torch.nan)


class _Beside(nn.Module):
    """Parts of the columns, each by its own module, one beside another."""

    def __init__(self, parts: list[tuple[list[int], nn.Module]]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(module for _, module in parts)
        for number, (places, _) in enumerate(parts):
            self.register_buffer(f"places{number}", torch.tensor(places, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        columns = [self.get_buffer(f"places{number}") for number in range(len(self.parts))]
        pairs = zip(columns, self.parts, strict=True)
        return torch.cat([module(x[:, places]) for places, module in pairs], dim=1)


def _module_of(transformer: Any) -> nn.Module | None:
    """A fitted transformer as a module; None if there is none for its class or its settings.

    A class that inherits from one of these may transform in another way.
    """
    if transformer is None:
        return nn.Identity()
    kind = type(transformer)
    make = _KINDS.get(f"{kind.__module__}.{kind.__name__}")
    return None if make is None else make(transformer)


def _pipeline(pipeline: Any) -> nn.Module | None:
    steps = [step for _, step in pipeline.steps]
    names = [type(step).__name__ for step in steps]
    if names[:2] == ["UnseenAsMissing", "SimpleImputer"]:  # of earlier versions
        imputed = _Imputed(steps[1].statistics_, steps[0].unseen_)
        modules: list[nn.Module | None] = [imputed, *map(_module_of, steps[2:])]
    else:
        modules = list(map(_module_of, steps))
    known = [module for module in modules if module is not None]
    return nn.Sequential(*known) if len(known) == len(modules) else None


def _columns(transformer: Any) -> nn.Module | None:
    if transformer.transformer_weights is not None:
        return None
    parts, numbers = [], np.arange(transformer.n_features_in_)
    for _, fitted, given in transformer.transformers_:
        try:
            places = np.atleast_1d(numbers[given])  # a number, a list, a mask or a slice of them
        except (IndexError, TypeError):  # names
            return None
        if fitted == "drop" or not len(places):
            continue
        if (module := _module_of(fitted)) is None:
            return None
        parts.append((places.tolist(), module))
    return _Beside(parts)


def _standard(scaler: Any) -> nn.Module:
    count = scaler.n_features_in_
    mean = scaler.mean_ if scaler.with_mean else np.zeros(count)
    return _Affine(mean, scaler.scale_ if scaler.with_std else np.ones(count))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _imputer(imputer: Any) -> nn.Module | None:
    if not _is_nan(imputer.missing_values) or imputer.add_indicator:
        return None
    imputed = _Imputed(imputer.statistics_)
    return None if imputed.values.isnan().any() else imputed  # a column is taken away


def _indicator(indicator: Any) -> nn.Module | None:
    usual = indicator.features == "all" and _is_nan(indicator.missing_values)
    return _Missing() if usual else None


def _one_hot(encoder: Any) -> nn.Module | None:
    if (encoder.drop, encoder.min_frequency, encoder.max_categories) != (None, None, None):
        return None
    counted = [np.array_equal(codes, np.arange(len(codes))) for codes in encoder.categories_]
    return _OneHot([len(codes) for codes in encoder.categories_]) if all(counted) else None


def _function(transformer: Any) -> nn.Module | None:
    return _Divided(16.0) if transformer.func is _scale else None


_KINDS: dict[str, Callable[[Any], nn.Module | None]] = {
    "regexp.dataset.features.ColumnScaler": lambda known: _Affine(known.mean, known.scale),
    "regexp.dataset.features.SeriesScaler": lambda fit: _Series(
        fit.scaler_.mean_, fit.scaler_.scale_
    ),
    IMAGES: lambda fit: _Images(fit.mean, fit.scale, 1, 1),
    "sklearn.compose._column_transformer.ColumnTransformer": _columns,
    "regexp.dataset.scaling.Standardizer": _standard,
    "sklearn.impute._base.MissingIndicator": _indicator,
    "sklearn.impute._base.SimpleImputer": _imputer,
    "sklearn.pipeline.Pipeline": _pipeline,
    "sklearn.preprocessing._data.StandardScaler": _standard,
    "sklearn.preprocessing._encoders.OneHotEncoder": _one_hot,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": _function,
}
"""By the whole name of the transformer's class, so that none has to be imported."""
