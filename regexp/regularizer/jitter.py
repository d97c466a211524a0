"""Jitter: normal noise on series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class Jitter(Regularizer, kind="input", neutral={"std": 0.0}, data=("series",)):
    """Add noise to every value of a series: x + std * N(0, 1), new at each time and channel.

    The noise of sensors. For rows of any other kind the same is called `input_noise`; the two
    differ in their default alone. Targets stay.

    Helps: noisy sensors and few series; not forecasts of series that are nearly free of noise.

    Costs: one normal draw a value, next to nothing.

    Args:
        std: standard deviation, in units of the preprocessed inputs, >= 0.

    Raises:
        ValueError: for a negative number.

    Reference:
        T. Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring
        using convolutional neural networks, ICMI 2017 (jittering). https://arxiv.org/abs/1706.00527
        The default is that of B. Iwana, S. Uchida, PLOS ONE 16 (2021).
        https://arxiv.org/abs/2007.15951
    """

    std: Annotated[float, Range(0)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        noise = step.rng.normal(batch.inputs.shape).to(batch.inputs.dtype)
        return batch._replace(inputs=batch.inputs + self.std * noise)
