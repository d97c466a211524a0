"""LookSAM: sharpness-aware minimization that takes its second gradient in some steps alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import GradientView, Memory, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import global_norm
from regexp.regularizer.flat_minima import gradients_along, orthogonal_part


@dataclass(frozen=True)
class LookSAM(Regularizer, kind="flatness", neutral={"rho": 0.0}):
    """Use SAM's gradient in every k-th step, and in between what it added, v, to the ordinary one.

    In steps 0, k, 2k ... the gradient is SAM's, s = g(w + rho * g / norm2(g)), and v the part of s
    that is orthogonal to g, which changes slowly. In between the gradient is

        g + alpha * norm2(g) / norm2(v) * v.

    Norms and products are over all parameters together (the paper's Look-LayerSAM, which has one
    for each layer, is for very large batches). Steps in between cost no second pass. Both gradients
    see the same batch and the same noise, and the second leaves running statistics alone. List it
    before techniques that change gradients, which then act on its result.

    Helps: where SAM does, a little less, for a part of its cost.

    Costs: one more forward and backward pass every k steps; a copy of the parameters. As steps
    differ they are not replayed, which small networks feel.

    Args:
        rho: radius of the neighbourhood, in units of the parameters' norm, >= 0.
        every: k, >= 1; 1 is SAM.
        alpha: weight of v in the steps in between, in units of the gradient's norm, >= 0.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        Y. Liu et al., Towards efficient and scalable sharpness-aware minimization, CVPR 2022,
        algorithm 1. https://arxiv.org/abs/2203.02714
    """

    rho: Annotated[float, Range(0)]
    every: Annotated[int, Range(1)]
    alpha: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        if step.index % self.every == 0:
            worst = gradients_along(view, view.gradients, self.rho)
            if self.every == 1:
                return worst, {}
            added = orthogonal_part(worst, view.gradients)
            # at a radius of 0 both gradients are one, and what is left of them is rounding
            moves = torch.as_tensor(self.rho, device=step.rng.device) > 0
            return worst, {name: torch.where(moves, v, 0.0) for name, v in added.items()}
        added = step.memory
        size = global_norm(added)
        scale = self.alpha * global_norm(view.gradients) / size.clamp(min=1e-12)
        mixed = {name: g + (scale * added[name]).to(g) for name, g in view.gradients.items()}
        return mixed, added
