"""Stochastic depth: dropout of residual branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import DropoutLayer, Range, Regularizer, residuals

WHOLE = (0, 1, 2)
"""Axes of a row: all that there may be."""


@dataclass(frozen=True)
class StochasticDepth(Regularizer, kind="layer", neutral={"p": 0.0}):
    """Leave out residual branches at random: x + branch(x) * mask / (1 - p_l), one mask a row.

    The l-th of L branches is dropped with probability p_l = l / L * p, so that the first, which
    later ones build on, is kept most often and the last is dropped with p. In evaluation all are
    there, unscaled (the paper keeps training unscaled and scales in evaluation instead, which is
    the same in expectation). Drawn a row, as timm's DropPath; timm's rates begin at 0 and so are
    (l - 1) / (L - 1) * p.

    Helps:
        Deep residual networks; with two or three branches expect little.

    Costs:
        One random number a row and branch. The branch is computed for all rows, so none of the
        paper's saved time.

    Args:
        p: share of rows for which the last branch is dropped, in [0, 1).

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without residual branches.

    Reference:
        G. Huang et al., Deep networks with stochastic depth, ECCV 2016, section 3, eq. 4.
        https://arxiv.org/abs/1603.09382
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        branches = residuals(model).values()
        for index, residual in enumerate(branches, start=1):
            residual.drop.append(DropoutLayer(self.p * index / len(branches), WHOLE))
        return model
