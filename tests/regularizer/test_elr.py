"""ELR: a loop with the loss as the authors' code has it, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView, TrainingSplit
from regexp.regularizer.training_rows import with_rows
from tests.by_hand import assert_trains_on
from tests.support import make_step, not_called, technique


class ELRLoss:
    """`elr_loss` of github.com/shengliu66/ELR."""

    def __init__(self, rows: int, strength: float, beta: float) -> None:
        self.target = torch.zeros(rows, 3).double()
        self.strength, self.beta = strength, beta

    def __call__(self, index: Tensor, output: Tensor, label: Tensor) -> Tensor:
        y_pred = F.softmax(output, dim=1)
        y_pred = torch.clamp(y_pred, 1e-4, 1.0 - 1e-4)
        y_pred_ = y_pred.data.detach()
        self.target[index] = self.beta * self.target[index] + (1 - self.beta) * (
            (y_pred_) / (y_pred_).sum(dim=1, keepdim=True)
        )
        ce_loss = F.cross_entropy(output, label)
        elr_reg = ((1 - (self.target[index] * y_pred).sum(dim=1)).log()).mean()
        return ce_loss + self.strength * elr_reg


@pytest.mark.parametrize("numbers", [((3.0, 0.7),), ((1.0, 0.5), (2.0, 0.9))])
def test_runs_train_on_the_authors_loss(numbers: tuple[tuple[float, float], ...]) -> None:
    losses = [ELRLoss(200, *each) for each in numbers]

    def objective(run: int, outputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return losses[run](rows, outputs, targets)

    assert_trains_on([technique("elr", strength=s, beta=b) for s, b in numbers], objective)


def test_a_label_against_earlier_predictions_loses_its_gradient() -> None:
    """The signs of eq. 7: the slope of a contradicted class falls, of an agreed one it grows."""
    outputs = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    memory = {"averages": torch.tensor([[0.9, 0.1]]).double()}
    step = replace(make_step(memory=memory), split=TrainingSplit(1, torch.ones(2).double()))
    batch = Batch(outputs, torch.eye(2).double()[[1]], None, torch.tensor([0]))
    view = PenaltyView({}, outputs, batch, not_called, cross_entropy, {})
    penalty, _ = technique("elr").penalty(step, view)
    (slope,) = torch.autograd.grad(penalty, outputs)
    plain = outputs.detach().softmax(-1) - batch.targets
    assert (plain * slope < 0).all()


def test_rows_that_come_twice_are_remembered_by_their_mean() -> None:
    table = torch.arange(8.0).view(4, 2)
    new = with_rows(table, torch.tensor([2, 0, 2]), torch.tensor([[1.0, 2], [9, 9], [3, 6]]))
    assert new.tolist() == [[9, 9], [2, 3], [2, 4], [6, 7]]
