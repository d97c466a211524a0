"""Normal noise on the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class InputNoise(Regularizer, kind="input", neutral={"std": 0.0}):
    """Add noise to the training inputs: x + std * N(0, 1), new for every row, feature and step.

    For squared error and small noise this is a penalty on the network's slope (for a linear model
    exactly ridge, std^2 * norm2(w)^2). One `std` serves all features, so it means the same to each
    only after standardization.

    Helps: small tables and smooth targets; not binary or counted features, to which it gives values
    that never occur (see `swap_noise`).

    Costs: one normal draw an input, next to nothing.

    Args:
        std: standard deviation, in units of the preprocessed inputs, >= 0.

    Raises:
        ValueError: for a negative number.

    Reference:
        C. Bishop, Training with noise is equivalent to Tikhonov regularization, Neural Computation
        7 (1995), eq. 2.6-2.9. https://doi.org/10.1162/neco.1995.7.1.108
    """

    std: Annotated[float, Range(0)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        noise = step.rng.normal(batch.inputs.shape).to(batch.inputs.dtype)
        return batch._replace(inputs=batch.inputs + self.std * noise)
