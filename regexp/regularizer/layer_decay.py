"""Weight decay and learning rates that change with a layer's distance from the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import (
    Include,
    NotApplicable,
    Range,
    Regularizer,
    Step,
    Tensors,
    parameter_kinds,
    weights,
)
from regexp.regularizer.common import towards
from regexp.regularizer.depth import layers_before_output


@dataclass(frozen=True)
class LayerDecay(Regularizer, kind="decay", neutral={"strength": 0.0}):
    """Decay by depth: w <- w - lr * (u + d * factor^k * w), k layers before the output layer.

    u is the optimizer's update of the plain gradient and the decay is decoupled from it, as in
    `weight_decay`. The output layer (k = 0) is decayed by d; a factor below 1 spares the layers
    near the inputs, one above 1 decays them more; at 1 all are alike. Layers are counted in the
    order of the model's parameters, those with weights alone. The geometric profile is that of
    `layerwise_lr_decay`; Ishii & Sato fit a strength to each layer by the size of its gradients.

    Helps: where one strength over-regularizes some layers while others overfit, in deep networks;
        in a network of two or three layers there is little to gain over `weight_decay`.
    Costs: nothing noticeable: as weight decay.

    Args:
        strength: d, of the output layer, per step and unit of learning rate, >= 0.
        factor: strength of a layer relative to the next nearer to the output, > 0.
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a number out of its range or another `include`.

    Reference:
        M. Ishii, A. Sato, Layer-wise weight decay for deep neural networks, PSIVT 2017.
        https://doi.org/10.1007/978-3-319-75786-5_23
    """

    strength: Annotated[float, Range(0)]
    factor: Annotated[float, Range(0, open_low=True)]
    include: Include

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        rate = step.learning_rate * self.strength
        before = layers_before_output(old, step.kinds)
        selected = weights(old, step.kinds, self.include)
        return new | {n: new[n] - rate * self.factor ** before[n] * w for n, w in selected.items()}


@dataclass(frozen=True)
class LayerwiseLRDecay(
    Regularizer,
    kind="schedule",
    neutral={"factor": 1.0},
    provides=("learning rates by layer",),
    refuses=("learning rates by layer",),
):
    """Smaller steps far from the output: w <- w_old + factor^k * (w_new - w_old).

    k counts the layers before the output layer, whose learning rate stays. A layer's biases and the
    normalization after it move at its rate. Torch's optimizers step by the learning rate times a
    direction that does not depend on it, so this is a learning rate for each layer (nearly so with
    ASGD, Adafactor and Rprop, whose steps have decays or bounds of their own).
    Decoupled decay that is listed before it is scaled as well, as torch's decay would be by the
    layer's rate. Constraints come after it and act on all layers alike.

    Helps: fine-tuning, where early layers are good already; from a random start it slows them
        down, which is rarely wanted.
    Costs: one elementwise operation on the parameters each step.

    Args:
        factor: learning rate of a layer relative to the next nearer to the output, in [0, 1]; 1
            changes nothing, with 0 the optimizer trains the output layer alone.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model of one layer.

    Reference:
        J. Howard, S. Ruder, Universal language model fine-tuning for text classification, ACL
        2018, section 3.2 (factor 1 / 2.6). https://arxiv.org/abs/1801.06146. By a power of the
        depth: K. Clark et al., ELECTRA, ICLR 2020, appendix B (.8 to .9).
        https://arxiv.org/abs/2003.10555
    """

    factor: Annotated[float, Range(0, 1)]

    def check_model(self, model: nn.Module) -> None:
        kinds = parameter_kinds(model)
        if not any(layers_before_output(dict(model.named_parameters()), kinds).values()):
            raise NotApplicable(
                "the model has one layer, whose learning rate stays as it is",
                key="regularizer.layerwise_lr_decay",
                cure="leave the technique out",
            )

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        before = layers_before_output(old, step.kinds)
        return {n: towards(old[n], w, self.factor ** before[n]) for n, w in new.items()}
