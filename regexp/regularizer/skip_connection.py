"""Skip connections around hidden blocks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from regexp.regularizer.base import Block, NotApplicable, Regularizer, Residual, blocks


@dataclass(frozen=True)
class SkipConnection(Regularizer, kind="layer"):
    """Let hidden blocks add to what they get: h + block(h), for each block that keeps its shape.

    Such are linear layers with as many outputs as inputs, and convolutions of stride 1 that keep
    channels, height and width. Others stay as they are, and so do networks that have skip
    connections already (model=resnet_mlp, which without them is model=mlp). A block's
    normalization, activation and dropout lie within its branch.

    It is the switch of Kadra et al. (https://arxiv.org/abs/2106.11189). The branches are those that
    `stochastic_depth`, `shake_drop` and `shake_shake` look for, which are listed after it.

    Helps: deep networks, whose gradients go past the blocks; with two hidden layers expect little.

    Costs: one addition a block; a network that is no plain chain of layers any more is trained
    without the program that such chains have on the CPU.

    Raises:
        NotApplicable: for a model without hidden blocks that keep their shape.

    Reference:
        K. He et al., Deep residual learning for image recognition, CVPR 2016, section 3.2, eq. 1.
        https://arxiv.org/abs/1512.03385
    """

    def build(self, model: nn.Module) -> nn.Module:
        residual = {
            block: Residual(block) for block in blocks(model).values() if keeps_shape(block.layer)
        }
        if not residual:
            raise NotApplicable(
                f"{type(model).__name__} has no hidden block with as many outputs as inputs",
                key="regularizer",
                cure="make its hidden layers equally wide, as model=mlp model.hidden=[64,64]",
            )
        for parent in [m for m in model.modules() if not isinstance(m, Residual)]:
            # not named_children, which leaves out what stands in a second place
            for name, child in list(parent._modules.items()):
                if isinstance(child, Block) and child in residual:
                    setattr(parent, name, residual[child])
        return model


def keeps_shape(layer: nn.Module) -> bool:
    """Whether outputs have the shape of inputs, whatever rows there are."""
    if isinstance(layer, nn.Conv2d):
        sizes = zip(layer.kernel_size, layer.dilation, strict=True)
        lost = [dilation * (size - 1) for size, dilation in sizes]
        padding = layer.padding
        words = isinstance(padding, str)
        same = padding == "same" if words else [2 * pad for pad in padding] == lost
        return layer.in_channels == layer.out_channels and set(layer.stride) == {1} and same
    return isinstance(layer, nn.Linear) and layer.in_features == layer.out_features
