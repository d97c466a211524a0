"""Rotation and zoom: against scipy.ndimage, torch.rot90 at 90 degrees, uniform in their range."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

# What scipy calls what lies outside.
SCIPY = {"zeros": "grid-constant", "border": "nearest", "reflection": "reflect"}


class Given:
    """A stream of one number."""

    def __init__(self, value):
        self.value = value

    def uniform(self, shape):
        return torch.full(shape, self.value)


def changed(name, images, draw=None, **changes):
    """The images after a step, with `draw` in place of the uniform draws."""
    step = make_step()
    if draw is not None:
        step = dataclasses.replace(step, rng=Given(draw))  # type: ignore[arg-type]
    batch = Batch(images, torch.zeros(len(images), 1))
    return technique(name, **changes).batch(step, batch).inputs


@pytest.fixture
def images():
    return torch.randn(2, 3, 9, 12, dtype=torch.float64)


@pytest.mark.parametrize("padding", SCIPY)
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.9])
def test_rotation_is_scipys(images, padding, draw):
    new = changed("rotate", images, draw, degrees=70.0, padding=padding)
    angle = 70 * (2 * np.float32(draw).astype(float) - 1)
    expected = ndimage.rotate(
        images.numpy(), angle, axes=(3, 2), reshape=False, order=1, mode=SCIPY[padding]
    )
    np.testing.assert_allclose(new, expected, atol=1e-12)


@pytest.mark.parametrize("padding", SCIPY)
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.9])
def test_zoom_is_scipys(images, padding, draw):
    new = changed("zoom", images, draw, amount=0.6, padding=padding)
    inverse = 1 / (1 + 0.6 * (2 * np.float32(draw).astype(float) - 1))
    centre = (np.array(images.shape) - 1) / 2
    matrix = np.array([1, 1, inverse, inverse])
    expected = ndimage.affine_transform(
        images.numpy(), matrix, (1 - matrix) * centre, order=1, mode=SCIPY[padding]
    )
    np.testing.assert_allclose(new, expected, atol=1e-12)


@pytest.mark.parametrize("padding", SCIPY)
@pytest.mark.parametrize(("degrees", "quarters"), [(90.0, 1), (180.0, 2)])
def test_right_angles_are_those_of_rot90(padding, degrees, quarters):
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for draw, turns in ((1.0, quarters), (0.0, -quarters)):
        new = changed("rotate", images, draw, degrees=degrees, padding=padding)
        torch.testing.assert_close(new, images.rot90(turns, (-2, -1)), rtol=0, atol=1e-12)


def ramps(rows):
    """Images whose two channels are x and y from the centre; a pixel right of it tells all."""
    at = torch.arange(7.0, dtype=torch.float64) - 3
    return torch.stack(torch.meshgrid(at, at, indexing="xy")).expand(rows, 2, 7, 7)


def test_angles_are_uniform_each_image_has_its_own():
    new = changed("rotate", ramps(1000), degrees=40.0)
    angle = torch.rad2deg(torch.atan2(new[:, 1, 3, 4], new[:, 0, 3, 4]))
    assert stats.kstest(angle.numpy(), "uniform", (-40, 80)).pvalue > 1e-3


def test_factors_are_uniform_each_image_has_its_own():
    new = changed("zoom", ramps(1000), amount=0.2)
    factor = 1 / new[:, 0, 3, 4]
    assert stats.kstest(factor.numpy(), "uniform", (0.8, 0.4)).pvalue > 1e-3
    torch.testing.assert_close(new[:, 0, 3, 4], new[:, 1, 4, 3])  # as much in both directions
