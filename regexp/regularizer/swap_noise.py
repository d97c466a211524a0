"""Swap noise: single inputs taken from other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class SwapNoise(Regularizer, kind="input", neutral={"p": 0.0}):
    """Replace each input, with probability p, by the same feature of another row of the batch.

    x_ij becomes x_kj with k uniform over the rows but i, drawn anew for each row and feature. Each
    feature keeps its distribution (in expectation the histogram of its batch), so a replaced value
    is always a likely one, also of skewed or binary features; what is broken is the dependence
    between features. That goes for the columns of one category in one-hot code too, which are
    swapped one by one, so that a row may have two levels or none; and a value may be swapped
    without the column that says whether it was missing. Targets stay. A batch of one row stays as
    it is.

    Helps: tables of mixed or unscaled features, where normal noise or zeros would be values that
    never occur; not where one feature alone decides the target.

    Costs: two draws an input and one gather, next to nothing for tables, noticeable for images.

    Args:
        p: probability that an input is replaced, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        M. Jahrer, 1st place solution, Porto Seguro's Safe Driver Prediction (2017),
        https://www.kaggle.com/c/porto-seguro-safe-driver-prediction/discussion/44629; as the
        corruption of SCARF: D. Bahri et al., ICLR 2022, section 3. https://arxiv.org/abs/2106.15147
    """

    p: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        values = batch.inputs
        rows = len(values)
        if rows < 2:
            return batch
        swapped = step.rng.uniform(values.shape) < self.p
        ahead = 1 + step.rng.integers(rows - 1, values.shape)  # so that no row is its own partner
        row = torch.arange(rows, device=values.device).view(-1, *(1 for _ in values.shape[1:]))
        others = values.gather(0, (row + ahead) % rows)
        return batch._replace(inputs=torch.where(swapped, others, values))
