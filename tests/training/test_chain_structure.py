"""Which stacks the program of plain chains trains, and how they lose runs and are resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.testing import assert_close

from regexp.model.mlp import MLP
from regexp.stack.member import Member
from regexp.stack.objective import Objective, OwnLoss
from regexp.stack.stack import Stack
from regexp.training.chain.program import RUNS, Program
from regexp.training.loop import train
from regexp.training.state import TrainingState
from regexp.training.steps import Steps
from tests.support import CONSTANT, make_member, run, technique
from tests.training.test_chain import ADAM, DROPOUT, ROWS, SGD, linear, network


def members_that_stop() -> list[Member]:
    """Of which some stop before others."""
    stopping = technique("early_stopping", patience=1, min_delta=0.02)
    techniques = {"batch_norm": technique("batch_norm"), **DROPOUT, "early_stopping": stopping}
    return [make_member(seed, techniques, partial(ADAM, lr=0.03)) for seed in range(RUNS + 4)]


def test_runs_that_leave_the_stack_leave_the_others_as_they_are() -> None:
    results, _ = run(members_that_stop(), 12, ROWS, "auto", precision="float64")
    assert len({result.epochs for result in results}) > 2
    general, _ = run(members_that_stop(), 12, ROWS, precision="float64")
    for ours, theirs in zip(results, general, strict=True):
        assert ours.epochs == theirs.epochs
        weights = theirs.last["weights"]
        # a bias before batch normalization has no gradient, and Adam makes steps of its rounding
        moved = [name for name in weights if "layer.bias" in name or "running_mean" in name]
        for name in weights.keys() - {*moved}:
            assert_close(ours.last["weights"][name], weights[name], rtol=1e-6, atol=1e-6)


def members_of_other_rates() -> list[Member]:
    techniques = {"ema": technique("ema"), **DROPOUT}  # of which no program makes the steps
    adams = (partial(ADAM, lr=0.01 * (1 + seed), fused=True) for seed in range(4))
    return [make_member(seed, techniques, adam) for seed, adam in enumerate(adams)]


def test_other_rates_beside_techniques_train_as_each_does() -> None:
    joined, each = (
        run(members_of_other_rates(), 4, ROWS, way, precision="float64")[0]
        for way in ("auto", "general")
    )
    for ours, theirs in zip(joined, each, strict=True):
        assert_close(ours.last["weights"], theirs.last["weights"], rtol=1e-9, atol=1e-9)
        assert_close(ours.last["optimizer"], theirs.last["optimizer"], rtol=1e-9, atol=1e-9)
        assert ours.metrics["test/loss"] == pytest.approx(theirs.metrics["test/loss"], rel=1e-9)


@pytest.mark.parametrize("make", [members_that_stop, members_of_other_rates])
def test_a_resumed_stack_goes_on_with_the_same_bits(make: Callable[[], list[Member]]) -> None:
    kept: list[Any] = []
    stack = Stack(make(), 12, ROWS)

    def save(epoch: int, content: Callable[[], Any]) -> None:
        kept.append(copy.deepcopy(content()))

    whole = train(stack, 12, lambda *_: None, save)
    for content in kept[1::3]:
        again = Stack(make(), 12, ROWS)
        state = TrainingState.resumed(again, content)
        for ours, theirs in zip(train(again, 12, lambda *_: None, state=state), whole, strict=True):
            assert ours.run == theirs.run
            assert_close(ours.last, theirs.last, rtol=0, atol=0)


def frozen() -> nn.Module:
    model = MLP((5,), 3, [8], "relu")
    model.get_parameter("hidden.0.layer.weight").requires_grad_(False)
    return model


def hooked() -> nn.Module:
    model = MLP((5,), 3, [8], "relu")
    model.get_submodule("output").register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


def with_hook(parameters: Any) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


def tied() -> nn.Module:
    layer = linear()
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(5, 3))


class Doubled(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "change",
    [
        {"techniques": {"l2": technique("l2")}},
        {"techniques": {"mixup": technique("mixup")}},
        {"techniques": {"ema": technique("ema")}},
        {"techniques": {"gaussian_dropout": technique("gaussian_dropout")}},
        {"optimizer": torch.optim.RMSprop},
        {"optimizer": with_hook},
        {"optimizer": partial(ADAM, amsgrad=True)},
        {"optimizer": partial(ADAM, maximize=True)},
        {"model": frozen},
        {"model": hooked},
        {"model": tied},
        {"model": lambda: Doubled(nn.Linear(5, 3))},
        {"model": network(partial(nn.BatchNorm1d, 5, momentum=None))},
        {"model": network(partial(nn.BatchNorm1d, 5, affine=False))},
        {"model": network(partial(nn.PReLU))},
        {"model": network(partial(nn.Dropout, 0.5))},
        {"model": network(partial(nn.utils.parametrizations.weight_norm, linear()))},
        {"model": lambda: nn.Sequential(nn.Linear(5, 3), nn.Softmax(-1))},
    ],
)
def test_what_a_program_does_not_know_goes_the_general_way(change: dict[str, Any]) -> None:
    assert Program.of(Stack([make_member(0, **change)], 3, ROWS)) is None


@pytest.mark.parametrize(
    "register", [register_module_forward_hook, register_optimizer_step_post_hook]
)
def test_hooks_on_everything_go_the_general_way(register: Callable[..., Any]) -> None:
    stack = Stack([make_member(0)], 3, ROWS)
    with register(lambda *_: None):
        assert Program.of(stack) is None
    assert Program.of(stack) is not None


def test_own_losses_half_precision_and_batches_of_one_row_go_the_general_way() -> None:
    def stack(loss: OwnLoss | None = None, rows: int = ROWS, precision: str = "float32") -> Stack:
        member = make_member(0)
        return Stack([replace(member, objective=Objective(loss))], 3, rows, precision=precision)

    assert Program.of(stack()) is not None
    assert Program.of(stack(precision="bfloat16")) is None
    assert Program.of(stack(rows=1)) is None
    assert Program.of(stack(OwnLoss(partial(F.cross_entropy, reduction="none")))) is None


def test_the_general_way_can_be_asked_for() -> None:
    bits = []
    for way in ("general", "auto"):
        stack = Stack([make_member(0, {}, SGD, CONSTANT)], 1, ROWS)
        steps = Steps(stack, way)
        steps.epoch()
        bits.append({name: value.clone() for name, value in stack.state().items()})
    [by_hand], _ = run([make_member(0, {}, SGD)], 1, ROWS)
    assert_close(bits[0], by_hand.last["weights"], rtol=0, atol=0)
    assert_close(bits[0], bits[1])
