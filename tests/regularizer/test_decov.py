"""DeCov: numpy's covariance, without its diagonal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support import make_step, make_view, technique


def look(**hidden):
    return make_view({})._replace(outputs=torch.zeros(30, 2, dtype=torch.float64), hidden=hidden)


def values(*shape):
    generator = torch.Generator().manual_seed(0)
    independent = torch.randn(shape, generator=generator, dtype=torch.float64)
    return independent + 0.5 * independent.roll(1, 1)


def formula(samples):
    """The paper's, of samples [n, features]."""
    c = np.cov(samples.numpy(), rowvar=False, bias=True)
    return 0.5 * (np.linalg.norm(c) ** 2 - np.linalg.norm(np.diag(c)) ** 2)


def test_is_half_the_squared_covariances_off_the_diagonal():
    h = values(30, 5) + 7  # the mean does not matter
    value = technique("decov", strength=0.3).penalty(make_step(), look(hidden=h))
    assert float(value) == pytest.approx(0.3 * formula(h), rel=1e-12)


def test_features_of_sequences_and_channels_of_images_are_units():
    series, images = values(30, 4, 3), values(30, 3, 2, 4)
    decov = technique("decov", strength=0.3)
    value = decov.penalty(make_step(), look(series=series, images=images))
    expected = formula(series.reshape(-1, 3)) + formula(images.permute(0, 2, 3, 1).reshape(-1, 3))
    assert float(value) == pytest.approx(0.3 * expected, rel=1e-12)


def test_gradient_is_the_closed_form():
    """dL/dh = 2/n * (h - mean) (C - diag C)."""
    h = values(30, 5).requires_grad_()
    value = technique("decov", strength=0.3).penalty(make_step(), look(hidden=h))
    (slope,) = torch.autograd.grad(value, h)
    centred = (h - h.mean(0)).detach()
    c = torch.from_numpy(np.cov(centred.numpy(), rowvar=False, bias=True))
    expected = 0.3 * 2 / 30 * centred @ (c - torch.diag(torch.diag(c)))
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-15)


def test_is_zero_for_units_that_are_not_correlated():
    h, _ = torch.linalg.qr(values(30, 5) - values(30, 5).mean(0))  # orthonormal, mean zero
    value = technique("decov", strength=1.0).penalty(make_step(), look(hidden=9 * h))
    assert value < 1e-28
