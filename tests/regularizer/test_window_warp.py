"""Window warping: numpy.interp along the piecewise linear time axis; length and ends are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

TIME = 21


def warped(series, index=0, **changes):
    batch = Batch(series, torch.zeros(len(series), 1))
    return technique("window_warp", **changes).batch(make_step(index), batch).inputs


def clocks(rows):
    """Series that tell the time, so that a warped one tells where its values were."""
    return torch.arange(TIME, dtype=torch.float64).view(1, -1, 1).expand(rows, TIME, 1)


def test_series_run_along_a_piecewise_linear_time():
    """The draws again, and the warp by numpy: knots of the stretched axis over the old ones."""
    rows, window, factor = 30, 0.4, 3.0
    series = torch.randn(rows, TIME, 2, dtype=torch.float64)
    new = warped(series, window=window, factor=factor)
    rng, end = make_step().rng, TIME - 1
    coins, places = rng.uniform((rows, 1))[:, 0], rng.uniform((rows, 1))[:, 0].double()
    for row in range(rows):
        stretch = factor if coins[row] < 0.5 else 1 / factor
        length = window * end
        start = float(places[row]) * (end - length)
        total = end + (stretch - 1) * length
        time = np.interp(
            np.linspace(0, total, TIME),
            [0, start, start + stretch * length, total],
            [0, start, start + length, end],
        )
        for channel in range(2):
            expected = np.interp(time, np.arange(TIME), series[row, :, channel])
            np.testing.assert_allclose(new[row, :, channel], expected, atol=1e-12)


def test_length_and_ends_are_kept_and_time_runs_forward():
    new = warped(clocks(200), window=0.3, factor=2.0)
    assert new.shape == (200, TIME, 1)
    torch.testing.assert_close(new[:, 0], torch.zeros(200, 1).double())
    torch.testing.assert_close(new[:, -1], torch.full((200, 1), TIME - 1.0).double())
    assert (new.diff(dim=1) > 0).all()


def test_half_of_the_rows_are_slowed_down_anywhere():
    """A quarter at half the speed makes steps of 5/4 and 5/8; at double, of 7/8 and 7/4."""
    rows = 600
    new = warped(clocks(rows), window=0.25, factor=2.0)
    slow = new.diff(dim=1).amin((1, 2)) < 0.63
    assert abs(slow.double().mean() - 0.5) < 4 * (0.25 / rows) ** 0.5
    # On the stretched axis, of 25 steps, a window that begins at s shows (s + time) / 2 at a time.
    time = torch.linspace(0, 25, TIME, dtype=torch.float64)
    late = time - new[slow, :, 0]
    inside = ((late > 1e-9) & (late < 5 - 1e-9)).long().argmax(1)
    starts = time[inside] - 2 * late[torch.arange(len(late)), inside]
    assert stats.kstest(starts.numpy(), "uniform", (0, 15)).pvalue > 1e-3


@pytest.mark.parametrize("window", [0.0, 1.0])
def test_no_window_and_one_of_all_are_no_warp(window):
    series = torch.randn(5, TIME, 2, dtype=torch.float64)
    new = warped(series, window=window, factor=2.0)
    torch.testing.assert_close(new, series, rtol=0, atol=1e-12)


def test_a_series_of_one_step_stays():
    series = torch.randn(5, 1, 2)
    assert torch.equal(warped(series), series)
