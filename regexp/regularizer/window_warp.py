"""Window warping: a part of a series runs faster or slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class WindowWarp(Regularizer, kind="input", neutral={"factor": 1.0}, data=("series",)):
    """Stretch a random window of each series by `factor` or 1 / factor; keep the whole length.

    On the time axis [0, T - 1] the window has the length w = window * (T - 1) and a start uniform
    in [0, T - 1 - w]. Stretched by f (factor or 1 / factor, by a coin) it makes the series
    (f - 1) w longer, and all of it is resampled linearly at T equal steps from the first value to
    the last, which both stay. All channels are warped alike. Targets stay.

    Helps: classifying series whose events differ in speed; harmful where a period or the distance
    to the last value is what counts (seasonal forecasts), for the rest of the series is squeezed.

    Costs: two gathers of the batch, next to nothing.

    Args:
        window: length of the window as a share of the series, in [0, 1].
        factor: by which it is stretched, or shrunk, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Le Guennec et al., Data augmentation for time series classification using convolutional
        neural networks, ECML/PKDD workshop AALTD 2016 (window warping).
        https://shs.hal.science/halshs-01357973
        The defaults are those of B. Iwana, S. Uchida, PLOS ONE 16 (2021).
        https://arxiv.org/abs/2007.15951
    """

    window: Annotated[float, Range(0, 1)]
    factor: Annotated[float, Range(1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        series = batch.inputs
        rows, end = len(series), series.shape[1] - 1
        slower = step.rng.uniform((rows, 1)) < 0.5
        factor = torch.as_tensor(self.factor, dtype=torch.float64, device=series.device)
        stretch = torch.where(slower, factor, 1 / factor)  # [rows, 1]
        length = self.window * end
        start = step.rng.uniform((rows, 1)).double() * (end - length)
        steps = torch.linspace(0, 1, end + 1, dtype=torch.float64, device=series.device)
        warped = steps * (end + (stretch - 1) * length)  # [rows, time], on the stretched axis
        inside = ((warped - start) / stretch).clamp(max=length)  # time spent in the window
        after = (warped - start - stretch * length).clamp(min=0)
        source = torch.where(warped < start, warped, start + inside + after)
        moved = (stretch != 1)[:, :, None]
        return batch._replace(inputs=torch.where(moved, _interpolate(series, source), series))


def _interpolate(series: Tensor, times: Tensor) -> Tensor:
    """The series [rows, time, channels] at real times [rows, time], linearly between its steps."""
    before = times.floor().long().clamp(0, series.shape[1] - 1)
    after = (before + 1).clamp(max=series.shape[1] - 1)
    share = (times - before).clamp(0, 1).to(series.dtype)[:, :, None]
    left, right = (
        series.gather(1, index[:, :, None].expand(series.shape)) for index in (before, after)
    )
    return (1 - share) * left + share * right
