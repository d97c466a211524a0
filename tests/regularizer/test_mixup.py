"""Mixup: convex mixtures of the rows of a batch, shares as Beta(alpha, alpha) has them."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS = 12


def mixed(mixup, index=0):
    """A batch of unit vectors: what comes out is the matrix [rows, rows] that mixes rows."""
    eye = torch.eye(ROWS, dtype=torch.float64)
    return mixup.batch(make_step(index), Batch(eye, eye.clone()))


def test_inputs_and_targets_are_mixed_alike_with_one_share_a_batch():
    mixup, shares = technique("mixup", alpha=1.0), set()
    for index in range(5):
        batch = mixed(mixup, index)
        assert torch.equal(batch.inputs, batch.targets)
        matrix = batch.inputs
        assert (matrix >= 0).all()
        torch.testing.assert_close(matrix.sum(0), torch.ones(ROWS).double())  # a permutation
        torch.testing.assert_close(matrix.sum(1), torch.ones(ROWS).double())  # convex
        own = matrix.diagonal()
        with_partner = own[own < 1]
        assert with_partner.numel() > 0
        assert with_partner.max() - with_partner.min() < 1e-12
        shares.add(with_partner[0].item())
    assert len(shares) == 5  # new every step


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_the_beta_distribution(alpha):
    mixup, values = technique("mixup", alpha=alpha), []
    for index in range(1500):
        own = mixed(mixup, index).inputs.diagonal()
        values.append(own.min().item())  # of a row with another partner than itself
    shares = torch.tensor(values)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 4 * (variance / len(shares)) ** 0.5
    assert abs(shares.var() - variance) < 0.15 * variance


def test_small_alpha_comes_near_the_identity_up_to_order():
    mixup = technique("mixup", alpha=0.01)
    shares = [mixed(mixup, i).inputs.diagonal().min() for i in range(60)]
    assert sum(bool(0.1 < share < 0.9) for share in shares) <= 6  # 4 in 100 are expected


def test_images_are_mixed_too():
    batch = Batch(torch.rand(6, 1, 4, 4), torch.rand(6, 2))
    new = technique("mixup", alpha=1.0).batch(make_step(), batch)
    assert new.inputs.shape == batch.inputs.shape
    assert not torch.equal(new.inputs, batch.inputs)
