"""Progressive freezing of the first layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from regexp.regularizer.base import (
    GradientView,
    Range,
    Regularizer,
    Step,
    Tensors,
    hidden_weights,
)
from regexp.regularizer.depth import last_block_before, layers_before_output


@dataclass(frozen=True)
class Freezing(Regularizer, kind="schedule", neutral={"start": 1.0}):
    """Freeze the hidden blocks one after another, the first after a share `start` of the steps.

    Of L hidden blocks, counted from 0 at the inputs, block i is frozen from step (start + (1 -
    start) * i / L) * steps on, and with it what stands before the next block, as the second layer
    of a residual branch, or before the first, as an embedding: nothing trains in front of a frozen
    layer. The output layer never is frozen. The paper's times lie on the same line ("linear,
    unscaled"), but it also anneals each layer's learning rate to zero by then; here the layers
    follow the run's schedule until they stop. The gradients of frozen parameters are zero, and what
    an optimizer's momentum or a decay does to them is undone: list it last. Constraints and
    sparsity come after it all the same, and act on frozen weights too. Running statistics of batch
    normalization in frozen blocks go on moving.

    Helps: where the first layers are right early (networks that were trained before, many layers);
    in small networks from a random start it mostly trains the last layers longer.

    Costs: nothing to speak of; the paper's saving, no backward pass through frozen layers, is not
    made here.

    Args:
        start: when the first block is frozen, as a share of the run's steps, in [0, 1]; at 1 none.

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        A. Brock et al., FreezeOut: accelerate training by progressively freezing layers (2017),
        section 2. https://arxiv.org/abs/1706.04983
    """

    start: Annotated[float, Range(0, 1)]

    def build(self, model: nn.Module) -> nn.Module:
        hidden_weights(model)  # or there is nothing to freeze
        return model

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        zeros = {name: torch.zeros_like(gradient) for name, gradient in view.gradients.items()}
        return self._where_frozen(step, zeros, view.gradients, view.parameters)

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        return self._where_frozen(step, old, new, old)

    def _where_frozen(
        self, step: Step, frozen: Tensors, free: Tensors, parameters: Tensors
    ) -> Tensors:
        """`free`, which may be of some of the parameters, but for what is `frozen` by now."""
        depths, before = last_block_before(parameters), layers_before_output(parameters, step.kinds)
        count = max(depths.values()) + 1
        result = dict(free)
        for name in free:
            if not before[name]:  # of the output layer
                continue
            begins = (self.start + (1 - self.start) * depths[name] / count) * step.steps
            # 0.07 * 100 is 7.000000000000001: rounding must not add a step
            now = torch.as_tensor(step.index_tensor >= begins - 1e-6, device=free[name].device)
            result[name] = torch.where(now, frozen[name], free[name])
        return result
