"""Masking noise: single inputs set to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class FeatureMask(Regularizer, kind="input", neutral={"p": 0.0}):
    """Set each input of each row to 0 with probability p: x * m, m ~ Bernoulli(1 - p).

    The inputs that stay are not scaled by 1 / (1 - p): that would be dropout on the inputs. Zero
    is the mean of a standardized feature; elsewhere it is a value like any other: in a column of
    one-hot code "not this level", in one that says whether a value was missing "it was there".
    Every number has its own coin, so the columns of one category are masked one by one, and in an
    image the channels of a pixel too.

    Helps: tables of redundant features, or where features will be missing; with few features that
    each matter it removes signal.

    Costs: one draw and one comparison an input, next to nothing.

    Args:
        p: probability that an input is masked, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        P. Vincent et al., Extracting and composing robust features with denoising autoencoders,
        ICML 2008, section 2.3. https://doi.org/10.1145/1390156.1390294
    """

    p: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        masked = step.rng.uniform(batch.inputs.shape) < self.p
        return batch._replace(inputs=torch.where(masked, 0, batch.inputs))
