"""One technique a batch: against steps with that technique alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from regexp.errors import ConfigError
from regexp.regularizer.base import (
    NotApplicable,
    ParameterKinds,
    PenaltyView,
    Regularizer,
    Step,
    Tensors,
)
from regexp.stack.stack import Stack
from regexp.training.train_step import train_step
from tests.support import make_data, make_member, technique
from tests.technique_runs import train_stack

SGD = partial(torch.optim.SGD, lr=0.1)
NAMES = ("input_noise", "dropout", "label_smoothing", "weight_decay", "gradient_clipping", "l2")
NUMBERS: dict[str, dict[str, Any]] = {
    "gradient_clipping": {"limit": 0.01},
    "l2": {"strength": 0.5},
    "weight_decay": {"strength": 0.5},
}


def of(*names: str, **others: Any) -> dict[str, Any]:
    return {name: technique(name, **NUMBERS.get(name, {})) for name in names} | others


@pytest.mark.parametrize("runs", [1, 2])
def test_each_batch_gets_one(runs: int) -> None:
    """Every step is, to the bit, that of one of the techniques alone from the same weights."""
    data = make_data()

    def made(*names: str) -> Stack:
        own = of(*names)
        return Stack([make_member(seed, own, SGD, data=data) for seed in range(runs)], 8, 16)

    ours = made(*NAMES, "one_of")
    alone = {name: made(name) for name in NAMES}
    taken: list[list[str]] = [[] for _ in range(runs)]
    for _ in range(8):
        for batch in ours.batches():
            for one in alone.values():
                one.set_parameters(ours.copy_parameters())
                one.enter(ours.epoch, ours.step_index)
                train_step(one, *batch)
            train_step(ours, *batch)
            for run in range(runs):
                same = [name for name in NAMES if _same(ours, alone[name], run)]
                assert len(same) == 1
                taken[run] += same
        ours.epoch += 1
    assert all(len(set(names)) > 3 for names in taken)
    assert runs == 1 or taken[0] != taken[1]


@dataclass(frozen=True)
class Watch(Regularizer, kind="penalty"):
    """Notes by how much two passes differ, the second with new noise, as R-Drop compares them."""

    def init(self, state: Tensors, kinds: ParameterKinds) -> torch.Tensor:
        return next(iter(state.values())).flatten()[0]

    def penalty(self, step: Step, view: PenaltyView) -> tuple[float, torch.Tensor]:
        inputs = view.batch.inputs
        passes = view.network(inputs), view.network(inputs, rng=step.rng)
        return 0.0, (passes[0] - passes[1]).abs().amax()


@pytest.mark.parametrize("runs", [1, 2])
def test_a_pass_with_new_noise_has_that_of_the_turn_alone(runs: int) -> None:
    techniques = of("dropout", "input_noise", watch=Watch())
    techniques["one_of"] = technique("one_of", techniques=["dropout", "input_noise"])
    data = make_data()
    stack = Stack([make_member(seed, techniques, SGD, data=data) for seed in range(runs)], 8, 16)
    seen: list[tuple[bool, float]] = []
    for _ in range(4):
        for batch in stack.batches():
            turns = stack.regularizer.turns(stack.step())["dropout"].reshape(runs)
            train_step(stack, *batch)
            seen += zip(turns.tolist(), stack.memory["watch"].reshape(runs).tolist(), strict=True)
        stack.epoch += 1
    assert {turn for turn, _ in seen} == {True, False}
    assert all((size > 0) is turn for turn, size in seen)


def _same(ours: Stack, theirs: Stack, run: int) -> bool:
    pairs = zip(ours.parameters.values(), theirs.parameters.values(), strict=True)
    return all(torch.equal(ours.of_run(a, run), theirs.of_run(b, run)) for a, b in pairs)


def test_of_names_the_others_act_in_every_step() -> None:
    """Weight decay beside two that are off is weight decay."""
    listed = technique("one_of", techniques=["mixup", "input_noise"])
    off = {"mixup": technique("mixup", alpha=0.0), "input_noise": technique("input_noise", std=0.0)}
    cocktail = (*off.items(), ("weight_decay", technique("weight_decay")), ("one_of", listed))
    ours, plain = (
        train_stack("mlp", (0, techniques))[0][0].last["weights"]
        for techniques in (cocktail, (("weight_decay", technique("weight_decay")),))
    )
    assert all(torch.equal(ours[name], value) for name, value in plain.items())


@pytest.mark.parametrize(
    ("others", "changes", "error", "message"),
    [
        (["mixup"], {}, NotApplicable, "regularizer.one_of: expected at least two techniques"),
        (["mixup", "l2"], {"techniques": ["mixup", "l1"]}, ConfigError, "l1 is not among the"),
        (["mixup", "ema"], {}, ConfigError, "ema works over more than one step"),
        (["mixup", "batch_norm"], {}, ConfigError, "batch_norm: adds BatchNorm1d, which acts in"),
    ],
)
def test_what_cannot_take_turns_is_refused(
    others: list[str], changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_member(0, of(*others, one_of=technique("one_of", **changes)))


def test_networks_without_layers_of_noise_are_left_alone() -> None:
    """A network of torch's own layers, which no technique of the list touches."""
    network = lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    made = make_member(0, of("mixup", "input_noise", "one_of"), model=network)
    assert [type(module) for module in made.model.children()] == [nn.Linear, nn.ReLU, nn.Linear]
