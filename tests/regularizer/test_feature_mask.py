"""Masking noise: its rate, and the loss of a linear model against its closed form."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def masked(mask, x, index=0):
    return mask.batch(make_step(index), Batch(x, torch.zeros(len(x), 1))).inputs


def test_each_input_is_masked_by_its_own_coin_and_the_others_keep_their_bits():
    x = torch.rand(600, 20) + 1
    new = masked(technique("feature_mask", p=0.3), x)
    gone = new == 0
    assert torch.equal(new[~gone], x[~gone])
    assert abs(gone.float().mean() - 0.3) < 4 * (0.3 * 0.7 / x.numel()) ** 0.5
    assert abs(torch.corrcoef(gone.float().T).triu(1)).max() < 5 / 600**0.5


def test_loss_of_a_linear_model_has_its_closed_form(regression):
    """E (y - sum_j m_j x_j w_j)^2 = (y - (1 - p) x w)^2 + p (1 - p) sum_j (x_j w_j)^2."""
    (x, y), p = regression, 0.3
    w = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    mask = technique("feature_mask", p=p)
    losses = torch.stack([(masked(mask, x, index) @ w - y).square().mean() for index in range(600)])
    rest = (y - (1 - p) * x @ w).square().mean()
    expected = rest + p * (1 - p) * (x * w).square().sum(1).mean()
    assert abs(losses.mean() - expected) < 4 * losses.std() / len(losses) ** 0.5


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 2), (3, 1, 4, 4)])
def test_masks_every_feature_at_one(shape):
    assert not masked(technique("feature_mask", p=1.0), torch.randn(shape)).any()
