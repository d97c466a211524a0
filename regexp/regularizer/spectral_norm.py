"""Spectral normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

from regexp.regularizer.base import Range, Regularizer, hidden_weights
from regexp.regularizer.common import check_own_scale

TINY = 1e-12
"""Least length of a vector that is divided by its length; torch's."""


@dataclass(frozen=True)
class SpectralNorm(
    Regularizer,
    kind="normalization",
    provides=("parametrized weights", "weights whose length has no effect"),
    refuses=("parametrized weights",),
):
    """Divide weights by their largest singular value: W / sigma(W), so a layer stretches by 1.

    For the weights of hidden blocks, as matrices [units, inputs] (a convolution's kernels as
    [channels, the rest], which bounds the convolution itself only up to a factor; a recurrent
    layer's with the rows of all gates). Biases and the output layer stay as they are. A multi-layer
    perceptron with activations of slope at most 1 (not SELU) so has a slope of at most 1 up to its
    output layer; normalization layers, residual branches and recurrence have slopes of their own.

    In training sigma = u' W v, with u and v from `iterations` steps of power iteration a forward
    pass, which go on from the last step's v; they begin at the singular vectors of the initial
    weights, and count as constants in the gradient. In evaluation sigma is exact, so that the bound
    holds for averaged or loaded weights too (torch keeps the last estimate there).

    What is trained is `...parametrizations.weight.original`. Its length has no effect on the
    outputs, so L2 and weight decay only change the size of its steps.

    Helps:
        Where the network must not amplify small changes of its inputs: robustness, adversarial
        training. It often limits accuracy; the spectral penalty is the soft form.

    Costs:
        Two products of weights and a vector a layer and step, which small networks feel most: up to
        a step's time again; a singular value decomposition a layer in evaluation.

    Args:
        iterations: steps of power iteration in a forward pass of training, >= 1.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        T. Miyato et al., Spectral normalization for generative adversarial networks, ICLR 2018,
        section 2.1 and algorithm 1. https://arxiv.org/abs/1802.05957
    """

    iterations: Annotated[int, Range(1)]

    def check_model(self, model: nn.Module) -> None:
        check_own_scale("spectral_norm", model)

    def build(self, model: nn.Module) -> nn.Module:
        for layer, name in hidden_weights(model):
            spectral = Spectral(getattr(layer, name), self.iterations)
            parametrize.register_parametrization(layer, name, spectral)
        return model


class Spectral(nn.Module):
    """weight / sigma(weight).

    Args:
        weight: at the start, [units, *inputs].
        iterations: steps of power iteration in a forward pass of training.

    Attributes:
        v: the right singular vector of the largest singular value, about; [product of inputs].
    """

    v: Tensor

    def __init__(self, weight: Tensor, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        _, _, vh = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
        self.register_buffer("v", vh[0].clone())

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        if self.training:
            u, v = PowerIteration.apply(matrix.detach(), self.v, self.iterations)
            sigma = torch.dot(u, matrix @ v)
        else:
            # of a run that diverged: no decomposition exists, and the quotient is no number anyway
            sigma = torch.linalg.matrix_norm(matrix.nan_to_num(), 2)
        return weight / sigma.clamp(min=TINY)


class PowerIteration(torch.autograd.Function):
    """`u, v = PowerIteration.apply(matrix, v, iterations)`; the `v` given is overwritten.

    A function of its own because functions that `torch.func` differentiates, as penalties do, may
    not write into tensors from outside; this has no derivative, so it may.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, v: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        new = v
        for _ in range(iterations):
            u = normalize(matrix @ new, dim=0, eps=TINY)
            new = normalize(matrix.mT @ u, dim=0, eps=TINY)
        v.copy_(new)
        return u, new

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        return None, None, None
