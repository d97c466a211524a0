"""Logit adjustment: torch's cross-entropy of shifted outputs, and the minimum in closed form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView, TrainingSplit
from tests.by_hand import assert_trains_on, imbalanced
from tests.support import make_step, minimize, not_called, technique


@pytest.mark.parametrize("taus", [(0.7,), (1.0, 2.0)])
def test_runs_train_on_shifted_outputs(taus: tuple[float, ...]) -> None:
    counts = imbalanced().train.targets.bincount(minlength=3)
    prior = (counts / counts.sum(dtype=torch.float64)).double()

    def objective(run: int, outputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return F.cross_entropy(outputs + taus[run] * prior.log(), targets)

    assert_trains_on([technique("logit_adjustment", tau=tau) for tau in taus], objective)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_minimum_without_inputs(tau: float) -> None:
    """softmax(z + tau log prior) = prior there: z = (1 - tau) log prior, at tau = 1 all alike."""
    counts = torch.tensor([80.0, 15, 5, 0], dtype=torch.float64)
    classes = torch.arange(4).repeat_interleave(counts.long())
    step = replace(make_step(), split=TrainingSplit(100, counts))
    targets = torch.eye(4).double()[classes]
    made = technique("logit_adjustment", tau=tau)

    def loss(z: Tensor) -> Tensor:
        outputs = torch.cat([z, -20 * torch.ones(1)]).expand(100, 4).double()  # of no row
        view = PenaltyView({}, outputs, Batch(outputs, targets), not_called, cross_entropy, {})
        penalty: Tensor = made.penalty(step, view)
        return cross_entropy(outputs, targets).mean() + penalty + 1e-9 * z.square().sum()

    z = minimize(loss, torch.zeros(3, dtype=torch.float64))
    expected = (1 - tau) * (counts[:3] / 100).log()
    torch.testing.assert_close(z - z.mean(), expected - expected.mean(), rtol=0, atol=1e-6)
