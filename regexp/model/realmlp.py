"""RealMLP: the multi-layer perceptron for tables whose numbers were tuned on many of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from regexp.model.activation import activation_module
from regexp.model.embedding import Embedding, FeatureEmbedding, Rows, embedded, in_memory
from regexp.model.layers import Block, Inputs

INITIAL_ROWS = 8192
"""Of the training split that the initial weights depend on."""


class RealMLP(nn.Sequential):
    """Robust scaling, an embedding, a learned scale of each input, and linear layers that have it.

        h = scale * embedding(smooth_clip(robust_scale(x)))
        h = act(W h / sqrt(inputs) + b)         for each hidden layer
        y = W h / sqrt(inputs) + b

    with act(z) = z + a * (activation(z) - z), a of each unit. scale and a begin as ones, W and b by
    `initialization`:

    - `data`, the paper's: W as N(0, 1), divided so that W h / sqrt(inputs) of each unit deviates by
      1 over the training rows (over the first 8192 of many), and b so that it has its kink at a
      random mean of five of them;
    - `normal`, of the paper's simpler RealMLP-TD-S: W and b as N(0, 1), and as zeros in the output
      layer, whose first outputs are then 0.

    The paper's clipping of a regression's outputs is not here.

    The paper trains some parameters with multiples of the learning rate. Here such a parameter is
    what is learned times its multiple, which is the same under Adam (but for its epsilon, and for
    a decay, which here has the plain learning rate).

    The paper's other parts are elsewhere: dropout, weight decay and label smoothing are techniques.

    Args:
        input_shape: [*features] of one row; it is flattened.
        outputs: numbers a row (classes, or values in regression).
        hidden: units of each hidden layer, one or more.
        activation: a name, see `regexp.model.activation`; the paper's are selu for classes and mish
            for values.
        clip: see `RobustScale`.
        embedding: makes one of `regexp.model.embedding`; null for none.
        initialization: `data` or `normal`.
        scale_rate, bias_rate, activation_rate: multiples of the learning rate for scale, b and a.
        training_inputs: of the training split, [rows, *features].

    Raises:
        ValueError: for a number out of its range, or an unknown activation.

    Reference:
        D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by default: strong pre-tuned MLPs and
        boosted trees on tabular data, NeurIPS 2024, section 3. https://arxiv.org/abs/2407.04491
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        hidden: Sequence[int],
        activation: str,
        clip: float,
        embedding: Embedding | None,
        initialization: Literal["data", "normal"],
        scale_rate: float,
        bias_rate: float,
        activation_rate: float,
        training_inputs: Rows = None,
    ) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"model.hidden: expected units >= 1 a layer, got {list(hidden)}")
        for name, rate in (
            ("scale_rate", scale_rate),
            ("bias_rate", bias_rate),
            ("activation_rate", activation_rate),
        ):
            if not rate > 0:
                raise ValueError(f"model.{name}: expected a number > 0, got {rate}")
        robust = RobustScale(math.prod(input_shape), clip)
        robust.fit(training_inputs)
        rows = robust(in_memory(training_inputs).flatten(1))
        encoding, size = embedded(embedding, robust.features, rows)
        sizes = [size, *hidden]
        layers = [
            Block(
                NTPLinear(before, units, bias_rate),
                ParametricActivation(units, activation, activation_rate),
            )
            for before, units in zip(sizes, hidden, strict=False)
        ]
        output = NTPLinear(sizes[-1], outputs, bias_rate)
        scale = Scale(size, scale_rate)
        super().__init__(
            OrderedDict(
                inputs=Inputs(),
                flatten=nn.Flatten(),
                robust=robust,
                **encoding,
                scale=scale,
                hidden=nn.Sequential(*layers),
                output=output,
            )
        )
        if initialization == "normal":
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)
        else:
            _begin_on(rows[:INITIAL_ROWS], [*encoding.values(), scale, *layers, output])


@torch.no_grad()
def _begin_on(h: Tensor, parts: Iterable[nn.Module]) -> None:
    """Initialise the linear layers among the parts of a network on what its training rows become.

    Args:
        h: inputs of the first part, [rows, features].
        parts: called one after another.
    """
    for part in parts:
        linear = part.layer if isinstance(part, Block) else part
        if isinstance(linear, NTPLinear):
            linear.begin_on(h)
        h = part(h)


class RobustScale(FeatureEmbedding):
    """Robust scaling and smooth clipping: h = z / sqrt(1 + (z / clip)^2), z = (x - median) / r.

    Median and r are those of the training split: r is the difference of its quartiles, or half of
    that between its largest and smallest value where the quartiles are equal; a constant feature
    becomes 0. All h lie within +-clip. It gives of standardized features what it gives of the
    features themselves.

    Args:
        features: of a row.
        clip: > 0.

    Raises:
        ValueError: for a number out of its range, or rows that are not in memory.

    Reference:
        D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by default: strong pre-tuned MLPs and
        boosted trees on tabular data, NeurIPS 2024, section 3. https://arxiv.org/abs/2407.04491
    """

    median: Tensor
    factor: Tensor

    def __init__(self, features: int, clip: float) -> None:
        super().__init__(features, 1)
        if not clip > 0:
            raise ValueError(f"model.clip: expected a number > 0, got {clip}")
        self.clip = clip
        self.register_buffer("median", torch.zeros(features))
        self.register_buffer("factor", torch.ones(features))

    def fit(self, rows: Rows) -> None:
        """Learn median and r."""
        values = in_memory(rows).flatten(1).double().numpy()
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        spread = np.where(high > low, high - low, np.ptp(values, axis=0) / 2)
        self.median.copy_(torch.from_numpy(median))
        factor = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        self.factor.copy_(torch.from_numpy(factor))

    def forward(self, x: Tensor) -> Tensor:
        z = (x - self.median.unsqueeze(-2)) * self.factor.unsqueeze(-2)
        return z / (1 + (z / self.clip).square()).sqrt()


class Scale(nn.Module):
    """h = rate * scale * x, with a scale of each of the features, whose product begins as 1.

    Args:
        features: of a row.
        rate: multiple of the learning rate.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, features: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.scale = nn.Parameter(torch.full((features,), 1 / rate))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.rate * self.scale).unsqueeze(-2)


class NTPLinear(nn.Linear):
    """A linear layer in neural tangent parametrization: W x / sqrt(inputs) + bias_rate * bias.

    All weights begin as N(0, 1), and so do bias_rate * bias.

    Args:
        in_features, out_features: as of `nn.Linear`.
        bias_rate: multiple of the learning rate.

    Reference:
        A. Jacot, F. Gabriel, C. Hongler, Neural tangent kernel, NeurIPS 2018, section 2.
        https://arxiv.org/abs/1806.07572

    Attributes:
        scales_weights: that it does, for techniques that give weights a size.
    """

    broadcasts: ClassVar[bool] = True
    scales_weights: ClassVar[bool] = True

    def __init__(self, in_features: int, out_features: int, bias_rate: float) -> None:
        self.bias_rate = bias_rate
        super().__init__(in_features, out_features)

    @torch.no_grad()
    def begin_on(self, x: Tensor) -> None:
        """Draw them again, as the data say: see `RealMLP`.

        Args:
            x: inputs of training rows, [rows, in_features].
        """
        weight = torch.randn(self.in_features, self.out_features)
        z = x * self.in_features**-0.5 @ weight
        deviation = z.std(0, correction=0)
        factor = torch.where(deviation > 0, 1 / deviation, 1)  # or it is the same in all rows
        self.weight.copy_((weight * factor).mT)
        rows = torch.randint(len(x), (self.out_features, 5))
        share = torch.empty(rows.shape).exponential_()
        kinks = (z * factor)[rows, torch.arange(self.out_features)[:, None]]
        self.bias.copy_(-(kinks * share / share.sum(1, keepdim=True)).sum(1) / self.bias_rate)

    def reset_parameters(self) -> None:
        """Draw the initial weights and biases."""
        nn.init.normal_(self.weight)
        nn.init.normal_(self.bias, std=1 / self.bias_rate)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.in_features**-0.5) @ self.weight.mT + (
            self.bias_rate * self.bias
        ).unsqueeze(-2)


class ParametricActivation(nn.Module):
    """x + rate * a * (activation(x) - x), with a of each unit, whose product begins as 1.

    Args:
        units: of a row.
        activation: a name, see `regexp.model.activation`.
        rate: multiple of the learning rate.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, units: int, activation: str, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.activation = activation_module(activation)
        self.share = nn.Parameter(torch.full((units,), 1 / rate))

    def forward(self, x: Tensor) -> Tensor:
        share = (self.rate * self.share).unsqueeze(-2)
        return x + (self.activation(x) - x) * share
