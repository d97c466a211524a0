"""What makes several numbers of each feature of a table, before the first layer of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

Rows = Tensor | None
"""Inputs of the training split, [rows, *features]; None where there are none to learn from."""


class FeatureEmbedding(nn.Module):
    """Abstract: [rows, features] -> [rows, features * width], each feature by itself.

    All features of a row are embedded alike, those of one-hot code too.

    Args:
        features: of a row.
        width: numbers that a feature becomes.
    """

    broadcasts: ClassVar[bool] = True
    parameter_kinds: ClassVar[Mapping[str, str]]

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"model.embedding.width: expected a number >= 1, got {width}")
        self.features, self.width = features, width

    def fit(self, rows: Rows) -> None:
        """Learn from the inputs of the training split what is not learned by gradients."""


Embedding = Callable[[int], FeatureEmbedding]
"""Makes one for a number of features."""


def embedded(make: Embedding | None, features: int, rows: Rows) -> tuple[dict[str, nn.Module], int]:
    """The embedding of a network as its part `encoding`, and how many numbers come out of it.

    Args:
        make: None for none.
        features: of a row, flattened.
        rows: see `FeatureEmbedding.fit`.
    """
    if make is None:
        return {}, features
    embedding = make(features)
    embedding.fit(rows)
    return {"encoding": embedding}, features * embedding.width


class EachFeature(nn.Module):
    """W_f x_f + b_f for each feature f: [rows, features, inputs] -> [rows, features, outputs].

    W and b begin uniformly within +-1 / sqrt(inputs), as those of `nn.Linear`.

    Args:
        features: 1 for one W and b of all features.
        inputs, outputs: numbers a feature.
        bias: whether there is a b.
    """

    broadcasts: ClassVar[bool] = True
    parameter_kinds: ClassVar[Mapping[str, str]] = {"weight": "embedding"}

    def __init__(self, features: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(features, inputs, outputs).uniform_(-bound, bound))
        offset = torch.empty(features, outputs).uniform_(-bound, bound) if bias else None
        self.bias = None if offset is None else nn.Parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        y = (x.transpose(-2, -3) @ self.weight).transpose(-2, -3)
        return y if self.bias is None else y + self.bias.unsqueeze(-3)


class PiecewiseLinear(FeatureEmbedding):
    """Piecewise-linear encoding (PLE), and a linear layer of each feature on it.

    With the edges b_0 < ... < b_T of a feature's bins its encoding e has T numbers

        e_t = clamp((x - b_(t-1)) / (b_t - b_(t-1)), 0, 1)

    of which the first is not clamped from below, nor the last from above, so that values beyond
    the bins go on in a line. The edges are quantiles of the training split, equal ones once; a
    feature of fewer bins has zeros between its last number and the others, a constant one zeros
    alone. Then

        h = w x + b + W e

    with W zero at first, as the authors of TabM recommend (version "B" of their package), so that
    it begins as a linear embedding.

    Args:
        features: of a row.
        bins: T, >= 1.
        width: numbers in h; null for e itself, of `bins` numbers.

    Raises:
        ValueError: for a number below 1, or rows that are not in memory.

    Reference:
        Y. Gorishniy, I. Rubachev, A. Babenko, On embeddings for numerical features in tabular deep
        learning, NeurIPS 2022, section 3.2, eq. 1. https://arxiv.org/abs/2203.05556
    """

    parameter_kinds: ClassVar[Mapping[str, str]] = {"weight": "embedding"}
    left: Tensor
    slope: Tensor

    def __init__(self, features: int, bins: int, width: int | None) -> None:
        if bins < 1:
            raise ValueError(f"model.embedding.bins: expected a number >= 1, got {bins}")
        super().__init__(features, bins if width is None else width)
        self.register_buffer("left", torch.zeros(features, bins))
        self.register_buffer("slope", torch.zeros(features, bins))
        self.linear: nn.Module | None = None
        if width is not None:
            bound = width**-0.5
            self.weight = nn.Parameter(torch.empty(features, width).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(features, width).uniform_(-bound, bound))
            self.linear = EachFeature(features, bins, width, bias=False)
            nn.init.zeros_(self.linear.weight)

    def fit(self, rows: Rows) -> None:
        """Learn the edges of the bins."""
        values = in_memory(rows).flatten(1).numpy()
        places = np.linspace(0, 1, self.left.shape[1] + 1)
        for feature, column in enumerate(values.T):
            # of float32: a bin must have a width where it is used
            edges = np.unique(np.quantile(column.astype(float), places).astype(np.float32))
            if len(edges) < 2:
                continue
            slopes = 1 / np.diff(edges.astype(float))
            for buffer, numbers in ((self.left, edges[:-1]), (self.slope, slopes)):
                buffer[feature, : len(numbers) - 1] = torch.from_numpy(numbers[:-1])
                buffer[feature, -1] = float(numbers[-1])

    def forward(self, x: Tensor) -> Tensor:
        encoded = (x.unsqueeze(-1) - self.left.unsqueeze(-3)) * self.slope.unsqueeze(-3)
        least, most = self._bounds()
        encoded = encoded.clamp(least.unsqueeze(-3), most.unsqueeze(-3))
        if self.linear is None:
            return encoded.flatten(-2)
        line = x.unsqueeze(-1) * self.weight.unsqueeze(-3) + self.bias.unsqueeze(-3)
        return (line + self.linear(encoded)).flatten(-2)

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Between which the encoding lies, [features, bins]; of one bin alone it is a line."""
        place = torch.arange(self.slope.shape[-1], device=self.slope.device)
        is_last = place == len(place) - 1
        has_one = (self.slope[..., :1] == 0) & is_last
        least = torch.where((place == 0) | has_one, -math.inf, 0.0)
        return least, torch.where(is_last, math.inf, 1.0).expand_as(least)


class Periodic(FeatureEmbedding):
    """Periodic embedding (PLR): h = relu(W [cos(2 pi c x), sin(2 pi c x)] + b).

    c, W and b are each feature's own and are learned. c begins as N(0, sigma^2), cut off at 3 sigma
    as in the authors' package.

    Args:
        features: of a row.
        frequencies: numbers in c, >= 1.
        sigma: deviation of c, in turns a unit of the standardized feature, > 0. What suits differs
            much between tables: tune it.
        width: numbers in h.
        activation: whether there is the relu (PLR), or not (PL).
        lite: whether all features share W and b.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        Y. Gorishniy, I. Rubachev, A. Babenko, On embeddings for numerical features in tabular deep
        learning, NeurIPS 2022, section 3.3, eq. 2. https://arxiv.org/abs/2203.05556
    """

    parameter_kinds: ClassVar[Mapping[str, str]] = {"frequencies": "embedding"}

    def __init__(
        self,
        features: int,
        frequencies: int,
        sigma: float,
        width: int,
        activation: bool,
        lite: bool,
    ) -> None:
        super().__init__(features, width)
        initial = _frequencies(features, frequencies, sigma)
        self.frequencies = nn.Parameter(
            nn.init.trunc_normal_(initial, 0, sigma, -3 * sigma, 3 * sigma)
        )
        self.linear = EachFeature(1 if lite else features, 2 * frequencies, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        turns = 2 * math.pi * x.unsqueeze(-1) * self.frequencies.unsqueeze(-3)
        h = self.linear(torch.cat([turns.cos(), turns.sin()], -1))
        return (h.relu() if self.activation else h).flatten(-2)


class PeriodicDense(FeatureEmbedding):
    """Periodic embedding beside the feature itself (PBLD): h = [W cos(2 pi c x + d) + b, x].

    c, d, W and b are each feature's own and are learned; c begins as N(0, sigma^2), d uniformly
    within +-pi. Each of them is what is learned times `rate`, so that under Adam their learning
    rate is that multiple of the run's.

    Args:
        features: of a row.
        frequencies: numbers in c and in d, >= 1.
        sigma: deviation of c, in turns a unit of the feature, > 0.
        width: numbers in h, x among them, >= 2.
        rate: multiple of the learning rate, > 0; the paper's is 0.1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by default: strong pre-tuned MLPs and
        boosted trees on tabular data, NeurIPS 2024, section 3. https://arxiv.org/abs/2407.04491
    """

    parameter_kinds: ClassVar[Mapping[str, str]] = {"frequencies": "embedding", "phases": "other"}

    def __init__(
        self, features: int, frequencies: int, sigma: float, width: int, rate: float
    ) -> None:
        super().__init__(features, width)
        if width < 2:
            raise ValueError(f"model.embedding.width: expected a number >= 2, got {width}")
        if not rate > 0:
            raise ValueError(f"model.embedding.rate: expected a number > 0, got {rate}")
        self.rate = rate
        initial = _frequencies(features, frequencies, sigma)
        self.frequencies = nn.Parameter(initial.normal_(0, sigma))
        self.phases = nn.Parameter(torch.empty_like(initial).uniform_(-math.pi, math.pi))
        self.linear = EachFeature(features, frequencies, width - 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.div_(rate)

    def forward(self, x: Tensor) -> Tensor:
        turns = 2 * math.pi * x.unsqueeze(-1) * (self.rate * self.frequencies).unsqueeze(-3)
        h = self.rate * self.linear((turns + (self.rate * self.phases).unsqueeze(-3)).cos())
        return torch.cat([h, x.unsqueeze(-1)], -1).flatten(-2)


def _frequencies(features: int, frequencies: int, sigma: float) -> Tensor:
    if frequencies < 1:
        raise ValueError(f"model.embedding.frequencies: expected a number >= 1, got {frequencies}")
    if not sigma > 0:
        raise ValueError(f"model.embedding.sigma: expected a number > 0, got {sigma}")
    return torch.empty(features, frequencies)


def in_memory(rows: Rows) -> Tensor:
    """The rows, of which something is learned.

    Raises:
        ValueError: there are none, or not in memory.
    """
    if getattr(rows, "in_memory", False):
        return cast(Tensor, rows)[:]  # images that are bytes, of `regexp.dataset.lazy`
    if not isinstance(rows, Tensor):
        raise ValueError("model: it learns from the training split, whose rows must be in memory")
    return rows
