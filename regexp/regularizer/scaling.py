"""Scaling: series multiplied by a random factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class Scaling(Regularizer, kind="input", neutral={"std": 0.0}, data=("series",)):
    """Multiply each channel of a series by a factor 1 + std * N(0, 1), the same at all times.

    The factor is about the zero of the preprocessed inputs, the mean of standardized ones. Targets
    stay: a forecast of the scaled series would have to be scaled too, so keep `std` small there.

    Helps: classifying series whose amplitude says little (sensors of differing gain); forecasts
    of levels are harmed by large factors, for their targets keep the old scale.

    Costs: one normal draw a channel, next to nothing.

    Args:
        std: standard deviation of the factor, >= 0.

    Raises:
        ValueError: for a negative number.

    Reference:
        T. Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring
        using convolutional neural networks, ICMI 2017 (scaling). https://arxiv.org/abs/1706.00527
    """

    std: Annotated[float, Range(0)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        series = batch.inputs
        rows, _, channels = series.shape
        noise = step.rng.normal((rows, 1, channels)).to(series.dtype)
        return batch._replace(inputs=series * (1 + self.std * noise))
