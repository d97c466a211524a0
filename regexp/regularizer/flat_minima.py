"""What techniques share that take gradients nearby."""

from __future__ import annotations

import torch
from torch import Tensor

from regexp.regularizer.base import GradientView, Tensors
from regexp.regularizer.common import global_norm, gradients_at, in_one_order


def gradients_along(view: GradientView, direction: Tensors, rho: float | Tensor) -> Tensors:
    """The gradients at a distance of `rho` along a direction.

    Args:
        direction: by parameter; its norm is one over all of them together, and if it is 0 nothing
            moves (1e-12 as in the code of SAM's authors).
        rho: in units of the parameters' norm.
    """
    scale = rho / (global_norm(direction) + 1e-12)
    moved = {name: view.parameters[name] + (scale * d).to(d) for name, d in direction.items()}
    return gradients_at(view, moved)


def orthogonal_part(tensors: Tensors, to: Tensors) -> Tensors:
    """`tensors` without the part that is parallel to other ones, all of them taken together.

    Args:
        tensors: by name.
        to: of the same names and shapes.
    """
    names = in_one_order(to)
    product = torch.stack([(tensors[name] * to[name]).sum() for name in names]).sum()
    square = torch.stack([to[name].square().sum() for name in names]).sum()
    share = product / square.clamp(min=torch.finfo(square.dtype).tiny)
    return {name: x - (share * to[name]).to(x) for name, x in tensors.items()}
