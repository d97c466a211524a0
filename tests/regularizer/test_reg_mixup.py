"""RegMixup: the authors' criterion on rows that are mixed by a known matrix; torch's losses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from regexp.metrics.loss import cross_entropy, squared_error
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique

ROWS = 12


@pytest.fixture
def outputs():
    """Of the mixed rows, whatever they are."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(ROWS, 3, generator=generator, dtype=torch.float64).requires_grad_()


def penalty_and_rows(reg_mixup, outputs, targets, loss=cross_entropy, weights=None, index=0):
    """The penalty of a batch of unit vectors, the share of each row and its partner."""
    seen = []

    def network(inputs, parameters=None, rng=None):
        assert rng is not None, "the noise should be new"
        seen.append(inputs)
        return outputs

    batch = Batch(torch.eye(ROWS, dtype=torch.float64), targets, weights)
    view = PenaltyView({}, outputs, batch, network, loss, {})
    penalty = reg_mixup.penalty(make_step(index), view)
    [matrix] = seen  # that mixes the rows
    share = matrix.diagonal().min()  # of a row with another partner than itself
    return penalty, share, (matrix - share * torch.eye(ROWS)).argmax(1)


def test_it_is_the_authors_criterion_of_mixed_rows(outputs):
    """https://github.com/FrancescoPinto/RegMixup, models/regmixup.py."""
    labels, reg_mixup = torch.arange(ROWS) % 3, technique("reg_mixup", eta=0.7)
    weights = torch.linspace(0, 2, ROWS, dtype=torch.float64)
    for counted in (None, weights):
        penalty, share, partner = penalty_and_rows(
            reg_mixup, outputs, torch.eye(3).double()[labels], weights=counted
        )
        assert torch.equal(partner.sort().values, torch.arange(ROWS))  # a permutation
        own = weights if counted is not None else torch.ones(ROWS)
        losses = [
            (own[rows] * F.cross_entropy(outputs, labels[rows], reduction="none")).mean()
            for rows in (torch.arange(ROWS), partner)
        ]
        expected = 0.7 * (share * losses[0] + (1 - share) * losses[1])
        torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_slope_is_that_of_mixed_targets(outputs, task):
    regression = task == "regression"
    loss, torchs = (squared_error, F.mse_loss) if regression else (cross_entropy, F.cross_entropy)
    targets = torch.eye(3).double()[torch.arange(ROWS) % 3]
    penalty, share, partner = penalty_and_rows(technique("reg_mixup"), outputs, targets, loss)
    expected = torchs(outputs, share * targets + (1 - share) * targets[partner])
    slopes = [torch.autograd.grad(value, outputs)[0] for value in (penalty, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-14)


def test_shares_have_the_variance_of_the_beta_distribution(outputs):
    targets = torch.eye(3).double()[torch.arange(ROWS) % 3]
    made = technique("reg_mixup", alpha=20.0)
    shares = torch.stack(
        [penalty_and_rows(made, outputs, targets, index=index)[1] for index in range(600)]
    )
    variance = 1 / (4 * (2 * 20 + 1))
    assert abs(shares.mean() - 0.5) < 4 * (variance / 600) ** 0.5
    assert abs(shares.var() - variance) < 0.25 * variance
