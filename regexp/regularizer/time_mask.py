"""Time mask: a stretch of a series set to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import covered


@dataclass(frozen=True)
class TimeMask(Regularizer, kind="input", neutral={"fraction": 0.0}, data=("series",)):
    """Set consecutive steps of each series to 0: their number uniform in 0..round(fraction * T).

    The first of them is uniform where all lie inside. Zero is the mean of standardized inputs. All
    channels are masked alike. Targets stay.

    Helps: classifying long series, and sensors that fail for a while; forecasts lose the last
    values, which matter most, in some of the rows.

    Costs: one mask a row, next to nothing.

    Args:
        fraction: the longest mask as a share of the series, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        D. Park et al., SpecAugment: a simple data augmentation method for automatic speech
        recognition, Interspeech 2019, section 2. https://arxiv.org/abs/1904.08779
    """

    fraction: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        series = batch.inputs
        rows, steps = series.shape[:2]
        fraction = torch.as_tensor(self.fraction, dtype=torch.float64, device=series.device)
        longest = (fraction * steps).round()
        # In float64: in float32 these products may round up to the next whole number.
        length = (step.rng.uniform((rows,)).double() * (longest + 1)).floor()
        start = (step.rng.uniform((rows,)).double() * (steps - length + 1)).floor()
        masked = covered(steps, start, length)[:, :, None]
        return batch._replace(inputs=torch.where(masked, 0, series))
