"""What techniques see as targets, held against the rows of the data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regexp.regularizer.base import Batch, GradientView, PenaltyView, Regularizer, Step, Tensors
from regexp.stack.stack import Stack
from regexp.training.own_loop import Regularized
from regexp.training.train_step import train_step
from tests.support import ADAM, NETWORKS, make_data, make_member, technique, tensor

Seen = list[Tensor]


@dataclass(frozen=True)
class Probe(Regularizer):
    """Notes the targets that its penalty sees, also where gradients are taken elsewhere."""

    seen: Callable[[Tensor], None]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        rows = view.loss(view.outputs, view.batch.targets)
        assert rows.shape == view.outputs.shape[:1]
        self.seen(view.batch.targets)
        return 0.0

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        view.regradient(view.parameters)
        return view.gradients


@dataclass(frozen=True)
class Untouched(Regularizer):
    """Has a `batch` hook that changes nothing."""

    def batch(self, step: Step, batch: Batch) -> Batch:
        return batch


def seen_in_a_stack(network: str, runs: int, others: dict[str, Any]) -> tuple[Seen, Tensor]:
    """What the probe sees in one step of a stack, and the targets [runs, rows, ...] given to it."""
    seen: Seen = []
    shape, task, model = NETWORKS[network]

    def note(targets: Tensor) -> None:
        seen.append(targets.detach().clone() if runs == 1 else targets)

    members = [
        make_member(
            seed,
            {"probe": Probe(note), **others},
            model=model,
            data=make_data(seed, 60, shape, task),
        )
        for seed in range(runs)
    ]
    stack = Stack(members, 1, 8)
    inputs, targets, *_ = next(iter(stack.batches()))
    train_step(stack, inputs, targets)
    return seen, targets


OTHERS: dict[str, dict[str, Any]] = {
    "alone": {},
    "beside a batch hook": {"other": Untouched()},
    "beside noise": {"dropout": technique("dropout")},
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("runs", [1, 3])
def test_classes_are_seen_as_probabilities(runs: int, others: dict[str, Any]) -> None:
    seen, targets = seen_in_a_stack("mlp", runs, others)
    assert len(seen) == 2  # in the step, and for the gradients elsewhere
    for one in seen:
        assert one.shape == (8, 3)  # of one run
        assert one.dtype == torch.float32
        if runs == 1:
            assert torch.equal(one, torch.eye(3)[targets])


@pytest.mark.parametrize("others", [{}, {"other": Untouched()}])
def test_values_are_seen_as_they_are(others: dict[str, Any]) -> None:
    seen, targets = seen_in_a_stack("lstm", 1, others)
    assert seen
    assert all(torch.equal(one, targets) for one in seen)


def test_a_loop_of_ones_own_shows_probabilities_too() -> None:
    seen: Seen = []
    data = make_data()
    ours = Regularized(
        nn.Linear(5, 3).double(), {"probe": Probe(seen.append)}, ADAM,
        example=torch.zeros(1, 5), classes=3, epochs=1, steps_per_epoch=1,
    )  # fmt: skip
    ours.train_batch(tensor(data.train.inputs).double(), data.train.targets)
    for one in seen:
        assert torch.equal(one, torch.eye(3).double()[data.train.targets])
    assert seen


def test_what_a_batch_hook_made_of_them_is_seen() -> None:
    seen, targets = seen_in_a_stack("mlp", 1, {"label_smoothing": technique("label_smoothing")})
    smoothed = technique("label_smoothing").batch(None, Batch(targets, torch.eye(3)[targets]))
    assert all(torch.equal(one, smoothed.targets) for one in seen)
    assert not torch.equal(smoothed.targets, torch.eye(3)[targets])


def test_penalties_of_both_forms_are_the_same_number() -> None:
    """A penalty by the loss of the targets is that by the loss of the classes, by hand."""
    found: list[Tensor] = []

    @dataclass(frozen=True)
    class Loss(Regularizer):
        def penalty(self, step: Step, view: PenaltyView) -> Tensor:
            found.append(view.loss(view.outputs, view.batch.targets))
            found.append(view.outputs)
            return found[0].mean()

    data = make_data()
    ours = Regularized(
        nn.Linear(5, 3).double(), {"loss": Loss()}, ADAM,
        example=torch.zeros(1, 5), classes=3, epochs=1, steps_per_epoch=1,
    )  # fmt: skip
    ours.train_batch(tensor(data.train.inputs).double(), data.train.targets)
    by_hand = -found[1].log_softmax(1).gather(1, data.train.targets[:, None])[:, 0]
    torch.testing.assert_close(found[0], by_hand, rtol=0, atol=1e-14)
