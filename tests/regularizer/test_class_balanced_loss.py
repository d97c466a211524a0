"""Class-balanced loss: the geometric sums of eq. 1, and torch's cross-entropy with weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.regularizer.base import Batch, TrainingSplit
from tests.by_hand import assert_trains_on, imbalanced
from tests.support import make_step, technique


def weights_of(counts: list[int], beta: float) -> Tensor:
    """The inverse of 1 + beta + ... + beta^(n-1), term by term, with the classes' number as sum.

    A class without a row has no say in it, and counts as the mean of the others.
    """
    sums = {at: sum(beta**k for k in range(n)) for at, n in enumerate(counts) if n}
    whole = sum(1 / effective for effective in sums.values())
    found = [len(sums) / sums[at] / whole if at in sums else 1 for at in range(len(counts))]
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_weights_are_inverses_of_effective_numbers(beta: float) -> None:
    counts = [100, 20, 3, 0]
    step = replace(make_step(), split=TrainingSplit(123, torch.tensor(counts).double()))
    targets = torch.eye(4).double()
    made = technique("class_balanced_loss", beta=beta)
    ours = made.batch(step, Batch(targets, targets)).weights
    torch.testing.assert_close(ours, weights_of(counts, beta), rtol=1e-12, atol=0)
    soft = torch.tensor([[0.25, 0.0, 0.75, 0.0]]).double()
    own = torch.tensor([3.0]).double()
    mixed = made.batch(step, Batch(soft, soft, own)).weights
    torch.testing.assert_close(mixed, 3 * soft @ ours, rtol=1e-12, atol=0)


def test_the_ends() -> None:
    """All alike, to the bit, and the inverse of the sizes."""
    assert torch.equal(weights_of([5, 9], 0.0), torch.ones(2).double())
    step = replace(make_step(), split=TrainingSplit(40, torch.tensor([30.0, 10]).double()))
    both = Batch(torch.eye(2).double(), torch.eye(2).double())
    near = technique("class_balanced_loss", beta=1 - 1e-9).batch(step, both).weights
    torch.testing.assert_close(near, torch.tensor([0.5, 1.5]).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("betas", [(0.9,), (0.99, 0.5)])
def test_runs_train_on_weighted_rows(betas: tuple[float, ...]) -> None:
    counts = imbalanced().train.targets.bincount(minlength=3).tolist()

    def objective(run: int, outputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        weights = weights_of(counts, betas[run])
        return F.cross_entropy(outputs, targets, weights, reduction="none").mean()

    assert_trains_on([technique("class_balanced_loss", beta=beta) for beta in betas], objective)
