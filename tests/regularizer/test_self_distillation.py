"""PS-KD: a loop that keeps each row's last softmax, and mixes it into soft targets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.regularizer.base import Schedule
from tests.by_hand import assert_trains_on
from tests.support import technique

STEPS = 9
"""Of 87 rows in batches of 32, three times."""


@pytest.mark.parametrize("shares", [(0.5,), (0.3, 0.9), ({"from": 0.0, "to": 0.8},)])
def test_runs_train_on_soft_targets(shares: tuple[Any, ...]) -> None:
    predictions: list[dict[int, Tensor]] = [{} for _ in shares]
    done = [0 for _ in shares]

    def objective(run: int, outputs: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        share = shares[run] if isinstance(shares[run], float) else 0.8 * done[run] / STEPS
        done[run] += 1
        labels, now = F.one_hot(targets, 3).double(), outputs.detach().softmax(1)
        soft = []
        for place, row in enumerate(rows.tolist()):
            past = predictions[run].get(row, labels[place])
            soft.append((1 - share) * labels[place] + share * past)
            predictions[run][row] = now[place]
        return F.cross_entropy(outputs, torch.stack(soft))

    assert_trains_on([technique("self_distillation", share=share) for share in shares], objective)
    assert done == [STEPS] * len(shares)


def test_the_default_grows_over_the_run() -> None:
    assert technique("self_distillation").share == Schedule(0.0, 0.8)
