"""Gaussian noise on the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors, weights
from regexp.regularizer.common import gradients_at


@dataclass(frozen=True)
class WeightNoise(Regularizer, kind="flatness", neutral={"std": 0.0}):
    """Use the gradient at weights with noise: g(w + std * z), z standard normal.

    In expectation it is the gradient of the loss smoothed by a Gaussian, which sharp minima do not
    survive. z is drawn anew at every step for the weights of layers (no biases, no normalization
    parameters); the weights themselves and what is evaluated have no noise. The gradient sees the
    same batch and the same noise of layers as the plain one, which is not used; running statistics
    are left alone. List it before techniques that change gradients.

    Helps:
        Small networks with few rows, recurrent ones above all. Under batch normalization the size
        of the weights is free, and they grow away from noise of a fixed size.

    Costs:
        One more gradient: about twice the time of a step.

    Args:
        std: standard deviation of the noise, in units of the weights, >= 0.

    Raises:
        ValueError: for a negative number.

    Reference:
        G. An, The effects of adding noise during backpropagation training on a generalization
        performance, Neural Computation 8 (1996), section 4.
        https://doi.org/10.1162/neco.1996.8.3.643; A. Graves, Practical variational inference for
        neural networks, NeurIPS 2011 (adaptive).
    """

    std: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        noisy = {
            name: w + self.std * step.rng.normal(w.shape).to(w)
            for name, w in weights(view.parameters, step.kinds).items()
            if name in view.gradients
        }
        return gradients_at(view, noisy)
