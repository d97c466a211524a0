"""ZClip: the authors' class on a course of norms, with numpy's mean and variance to begin with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from regexp.regularizer.base import Course, GradientView
from tests.gradients import joined, split
from tests.support import BY_NAME, make_step, not_called, technique


class Authors:
    """`ZClip` of github.com/bluorion-com/ZClip, mode zscore and option adaptive_scaling."""

    def __init__(self, alpha, z_thresh, warmup_steps):
        self.alpha, self.z_thresh, self.warmup_steps = alpha, z_thresh, warmup_steps
        self.buffer, self.mean, self.var = [], math.nan, math.nan

    def left(self, norm):
        """The norm that a gradient of this norm is left with."""
        if math.isnan(self.mean):
            self.buffer.append(norm)
            if len(self.buffer) == self.warmup_steps:
                self.mean, self.var = np.mean(self.buffer), np.var(self.buffer)
            return norm
        std = math.sqrt(self.var)
        z = (norm - self.mean) / (std + 1e-6)
        if z > self.z_thresh:
            norm = self.mean + self.z_thresh * std / (z / self.z_thresh)
        self.mean = self.alpha * self.mean + (1 - self.alpha) * norm
        self.var = self.alpha * self.var + (1 - self.alpha) * (norm - self.mean) ** 2
        return norm


def clipped(norms, **numbers):
    """The norms that are left, of gradients in one direction."""
    made = technique("zclip", **numbers)
    unit = torch.linspace(-1, 2, 7, dtype=torch.float64)
    unit = unit / unit.norm()
    memory, left = made.init(split(unit), BY_NAME), []
    for index, norm in enumerate(norms):
        view = GradientView(split(norm * unit), split(unit), not_called)
        gradients, memory = made.gradient(make_step(index, memory=memory), view)
        left.append(float(joined(gradients) @ unit))
        torch.testing.assert_close(joined(gradients), left[-1] * unit)
    return left


@pytest.mark.parametrize(("threshold", "decay", "warmup"), [(2.5, 0.97, 25), (1.0, 0.8, 2)])
def test_steps_of_the_authors_code(threshold, decay, warmup):
    norms = np.random.default_rng(0).gamma(4, 1, 90)
    norms[[40, 41, 70]] *= 20
    authors = Authors(decay, threshold, warmup)
    expected = [authors.left(norm) for norm in norms]
    ours = clipped(norms, threshold=threshold, decay=decay, warmup=warmup)
    assert ours == pytest.approx(expected, rel=1e-9)
    assert ours[41] < norms[41] / 2
    assert ours[:warmup] == pytest.approx(norms[:warmup], rel=1e-12)


def test_no_threshold_leaves_gradients_to_the_bit():
    norms = [1.0, 2.0, 3.0, 1000.0]
    made = technique("zclip", threshold=math.inf, warmup=2)
    memory = made.init({"w": torch.zeros(3)}, BY_NAME)
    for index, norm in enumerate(norms):
        g = {"w": norm * torch.tensor([0.1, 0.2, 0.3])}
        step = make_step(index, memory=memory)
        after, memory = made.gradient(step, GradientView(g, g, not_called))
        assert torch.equal(after["w"], g["w"])


def test_advises_on_a_run_that_is_all_warm_up():
    assert list(technique("zclip").advise(Course([10, 20], list)))
    assert not list(technique("zclip").advise(Course([10, 40], list)))
