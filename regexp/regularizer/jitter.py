"""Jitter: normal noise on series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from regexp.regularizer.base import Batch, Regularizer, Step, check_range


@dataclass(frozen=True)
class Jitter(Regularizer):
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

    neutral: ClassVar[Mapping[str, Any] | None] = {"std": 0.0}
    kind: ClassVar[str] = "input"
    data: ClassVar[tuple[str, ...]] = ("series",)

    std: float

    def check(self) -> None:
        check_range("regularizer.jitter.std", self.std, 0)

    def batch(self, step: Step, batch: Batch) -> Batch:
        noise = step.rng.normal(batch.inputs.shape).to(batch.inputs.dtype)
        return batch._replace(inputs=batch.inputs + self.std * noise)
