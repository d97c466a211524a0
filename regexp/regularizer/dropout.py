"""Dropout of hidden units and of input features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor, nn

from regexp.random import Rng
from regexp.regularizer.base import (
    Block,
    DropoutLayer,
    FeatureEmbedding,
    Range,
    Regularizer,
    blocks,
    inputs,
)


@dataclass(frozen=True)
class Dropout(Regularizer, kind="layer", neutral={"hidden": 0.0, "inputs": 0.0}):
    """Zero units at random: h * mask / (1 - p) in training, h in evaluation.

    Each element of each row is dropped by itself, in convolutional blocks too. The layer stands
    after the activation and so after its block's normalization: batch normalization right behind it
    would gather variances in training that are larger than those in evaluation. That of the next
    block still sees some of this. The output layer has none. Nothing is scaled in evaluation.

    A network that has no hidden blocks but an `nn.Dropout` of its own, as torch's transformers,
    gets another one behind each of these: of what they keep the share p is dropped as well.

    Helps:
        Networks that are large for their rows, most of all fully connected layers. With many rows,
        or next to batch normalization, little; in recurrent layers use variational dropout.

    Costs:
        One random number and one multiplication a hidden unit; more epochs until it has converged.

    Args:
        hidden: share p of every hidden block's outputs that is dropped, in [0, 1); None for no
            layers there, for a model that has neither hidden blocks nor dropout.
        inputs: share of the features that is dropped, in [0, 1); None for no layer there. In front
            of an embedding of features those that are kept are not scaled.

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without slots for the layers.

    Reference:
        N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
        JMLR 15 (2014), section 4. https://jmlr.org/papers/v15/srivastava14a.html
    """

    hidden: Annotated[float | None, Range(0, 1, open_high=True)]
    inputs: Annotated[float | None, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        if self.hidden is not None and not _add_behind_own(model, self.hidden):
            for block in blocks(model).values():
                block.dropout.append(DropoutLayer(self.hidden))
        if self.inputs is not None:
            embedded = any(isinstance(module, FeatureEmbedding) for module in model.modules())
            cure = "begin its forward with one, or give regularizer.dropout.inputs=null"
            slot = inputs(model, cure)
            slot.append((FeatureDropout if embedded else DropoutLayer)(self.inputs))
        return model


class FeatureDropout(DropoutLayer):
    """x * mask in training, else x: what is kept is not scaled.

    An embedding is not linear: a feature of 1 / (1 - p) times its value is another value of it.
    """

    def draw(self, rng: Rng, rows: int) -> Tensor:
        kept = super().draw(rng, rows)
        return (kept != 0).to(kept.dtype)


class DropoutTwice(nn.Dropout):
    """An `nn.Dropout` of a network, which it stands for, and another one behind it.

    Args:
        own: the network's; its draws stay as they are.
        p: share that is dropped of what it keeps.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, own: nn.Dropout, p: float) -> None:
        super().__init__(own.p, own.inplace)
        # a layer of torch's, which draws at the shape of each call: rows may lie on any axis
        self.behind = nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(super().forward(x))


def _add_behind_own(model: nn.Module, p: float) -> bool:
    """Put dropout behind each `nn.Dropout` of a network that has no hidden blocks.

    Returns:
        Whether it is such a network.
    """
    own = [module for module in model.modules() if type(module) is nn.Dropout]
    if not own or any(isinstance(module, Block) for module in model.modules()):
        return False
    both = {module: DropoutTwice(module, p) for module in own}
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if isinstance(child, nn.Dropout) and child in both:
                setattr(parent, name, both[child])
    return True
