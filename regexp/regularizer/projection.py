"""Constraints that project weights onto a set after every step: unit norm, non-negative."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn

from regexp.regularizer.base import (
    Layout,
    NotApplicable,
    ParameterKinds,
    Regularizer,
    Step,
    Tensors,
    parameter_kinds,
    weights,
)
from regexp.regularizer.common import check_own_scale, unit_norms


@dataclass(frozen=True)
class UnitNorm(Regularizer, kind="constraint", refuses=("weights whose length has no effect",)):
    """Scale each unit's incoming weights to norm 1 after every step: w_unit / norm2(w_unit).

    torch stores weights as [units, incoming ...], so the norm is over all axes but the first (a
    filter's channels and pixels in a convolution; those of transposed ones lie otherwise); Keras's
    default axis is another for the same thing. A norm below 1e-7, Keras's epsilon, counts as that,
    so a unit of zeros stays. The initial weights are scaled by the first step, not before it. In a
    cocktail it comes after decay and `lookahead`, which change lengths, wherever it is listed;
    averaged weights (`ema`, `swa`) are not scaled again, and shorter than 1.

    Helps: to take the scale of weights out of training, as before a normalization or with cosine
        similarities; on an output layer it bounds the logits, so leave that out by `names` where
        classes should become certain.
    Costs: one norm of the weights each step.

    Args:
        names: which weights: a pattern of parameter names with `*` and `?`, such as
            `hidden.*`; `*` for all weights. Biases and normalization are never among them.

    Raises:
        NotApplicable: if the model has no weights of such names.

    Reference:
        Keras, constraints.UnitNorm. https://keras.io/api/layers/constraints/
    """

    names: str

    def build(self, model: nn.Module) -> nn.Module:
        _check_names("unit_norm", self.names, model)
        return model

    def check_model(self, model: nn.Module) -> None:
        check_own_scale("unit_norm", model)

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        selected = matching(new, step.kinds, self.names)
        return new | {name: _unit(w, step.layout(name)) for name, w in selected.items()}


@dataclass(frozen=True)
class NonNegative(
    Regularizer, kind="constraint", refuses=("weights that are shifted", "factors of either sign")
):
    """Set negative weights to zero after every step: max(w, 0).

    This is the projection onto the non-negative numbers, so with plain gradient steps the training
    is projected gradient descent, which finds non-negative least squares for a linear model. In a
    cocktail it comes after decay, wherever it is listed, for decay would take a share of the old
    weight from a new zero.

    Helps: where effects are known to be monotone or parts to add up: with non-decreasing
        activations and all weights non-negative, outputs rise with every input. Anywhere else it
        costs accuracy, so name the layers that need it.
    Costs: one elementwise operation on the weights each step.

    Args:
        names: which weights: a pattern of parameter names with `*` and `?`, such as
            `output.*`; `*` for all weights. Biases and normalization are never among them.

    Raises:
        NotApplicable: if the model has no weights of such names.

    Reference:
        Keras, constraints.NonNeg. https://keras.io/api/layers/constraints/. J. Chorowski,
        J. Zurada, Learning understandable neural networks with nonnegative weight constraints,
        IEEE TNNLS 26 (2015). https://doi.org/10.1109/TNNLS.2014.2310059
    """

    names: str

    def build(self, model: nn.Module) -> nn.Module:
        _check_names("non_negative", self.names, model)
        return model

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        selected = matching(new, step.kinds, self.names)
        return new | {name: w.clamp(min=0) for name, w in selected.items()}


def matching(parameters: Tensors, kinds: ParameterKinds, pattern: str) -> Tensors:
    """The weights whose names match `pattern`."""
    return {n: w for n, w in weights(parameters, kinds).items() if fnmatchcase(n, pattern)}


def _check_names(technique: str, pattern: str, model: nn.Module) -> None:
    parameters: Tensors = dict(model.named_parameters())
    kinds = parameter_kinds(model)
    if not matching(parameters, kinds, pattern):
        raise NotApplicable(
            f"{pattern!r} is the name of none of the model's weights",
            key=f"regularizer.{technique}.names",
            cure=f"they are {', '.join(weights(parameters, kinds))}",
        )


def _unit(w: Tensor, layout: Layout) -> Tensor:
    w = layout.units_first(w)
    return layout.units_first(w / unit_norms(w).clamp(min=1e-7))
