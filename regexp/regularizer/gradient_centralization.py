"""Gradient centralization."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from regexp.regularizer.base import GradientView, Layout, Regularizer, Step, Tensors, weights


@dataclass(frozen=True)
class GradientCentralization(Regularizer, kind="gradient"):
    """Take the mean from the gradient of each unit's incoming weights: g_unit - mean(g_unit).

    torch stores weights as [units, incoming ...], so the mean is over all axes but the first (a
    filter's channels and pixels in a convolution). With plain gradient steps the sum of a unit's
    incoming weights so stays what it was at the start. Biases and normalization are left alone, and
    so are units with a single incoming weight, which could not move at all. It has no strength.

    Helps: convolutional networks, with normalization, by a smoother loss; on tables, where features
        are standardized and their common mean carries little, hardly.
    Costs: one mean of the gradient each step.

    Reference:
        H. Yong et al., Gradient centralization: a new optimization technique for deep neural
        networks, ECCV 2020, eq. 1. https://arxiv.org/abs/2004.01461
    """

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        selected = weights(view.gradients, step.kinds)
        return view.gradients | {
            name: _centred(g, step.layout(name)) for name, g in selected.items()
        }


def _centred(g: Tensor, layout: Layout) -> Tensor:
    g = layout.units_first(g)
    if g[0].numel() > 1:
        g = g - g.mean(dim=tuple(range(1, g.ndim)), keepdim=True)
    return layout.units_first(g)
