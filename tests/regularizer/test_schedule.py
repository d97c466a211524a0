"""Numbers that change over a run: against their formulas, and loops written by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from regexp.config.nodes import check_node
from regexp.config.schema import conf_folder, register
from regexp.errors import ConfigError
from regexp.model.layers import DropoutLayer
from regexp.random import Rng
from regexp.random.keep import keep_numbers
from regexp.regularizer.base import Course, GradientView, Regularizer, Schedule, Step, Tensors
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.stack import Stack
from regexp.training.train_step import train_step
from tests.support import make_data, make_member, make_step, technique
from tests.technique_runs import train_stack

SGD = partial(torch.optim.SGD, lr=0.1)
ENDING = {"from": 0.4, "to": 0.0, "shape": "step", "until": 0.5}
FALLING = {"from": 0.8, "to": 0.2, "start": 0.25, "until": 0.75}


def at(schedule: Schedule, index: int, steps: int = 8) -> float:
    return float(schedule.at(replace(make_step(index), steps=steps)))


@pytest.mark.parametrize(
    ("shape", "middle"),
    [
        ("linear", 0.8 - 0.6 * 0.25),
        ("cosine", 0.2 + 0.6 * (1 + math.cos(math.pi / 4)) / 2),
        ("exponential", 0.8 * (0.2 / 0.8) ** 0.25),
        ("step", 0.8),
    ],
)
def test_shapes(shape: str, middle: float) -> None:
    """Closed forms: the ends exactly, and the value after a quarter of the way."""
    schedule = Schedule(0.8, 0.2, shape, 0.25, 0.75)
    assert [at(schedule, index) for index in (0, 2)] == [0.8, 0.8]
    assert at(schedule, 3) == pytest.approx(middle, rel=1e-15)
    assert [at(schedule, index) for index in (6, 7)] == [0.2, 0.2]


def test_a_schedule_that_stays_where_it_is_is_a_number() -> None:
    made = technique("dropout", hidden={"from": 0.5, "to": 0.5, "shape": "cosine"})
    assert made == technique("dropout", hidden=0.5)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_penalty_has_the_strength_of_its_step(runs: int) -> None:
    """A loop by hand, with torch's `weight_decay` of each step, whose gradient is wd * w."""
    decays = [technique("l2", strength={**FALLING, "from": 0.8 - 0.1 * run}) for run in range(runs)]
    members = [make_member(run, {"l2": decays[run]}, SGD, data=make_data()) for run in range(runs)]
    networks = [make_member(run, {}, SGD, data=make_data()).model for run in range(runs)]
    stack = Stack(members, 3, 32, precision="float64")
    optimizers = []
    for network in networks:
        named = dict(network.double().named_parameters()).items()
        groups = [{"params": [p for n, p in named if ("weight" in n) is w]} for w in (True, False)]
        optimizers.append(torch.optim.SGD(groups, lr=0.1))
    for _ in range(3):
        for inputs, targets, *_ in stack.batches():
            share = stack.step_index / stack.steps
            gone = min(max((share - 0.25) / 0.5, 0.0), 1.0)
            for run, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
                strength = (0.8 - 0.1 * run) * (1 - gone) + 0.2 * gone
                optimizer.param_groups[0]["weight_decay"] = 2 * strength
                own = (inputs[run], targets[run]) if runs > 1 else (inputs, targets)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(own[0]), own[1]).backward()
                optimizer.step()
            train_step(stack, inputs, targets)
        stack.epoch += 1
    for run, network in enumerate(networks):
        for name, value in network.named_parameters():
            ours = stack.parameters[name]
            assert torch.allclose(ours[run] if runs > 1 else ours, value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_layer_draws_with_the_number_of_its_step(runs: int) -> None:
    """The masks, to the bit, of a layer that was made with that number."""
    falling = technique("dropout", hidden=FALLING, inputs=None)
    members = [make_member(seed, {"dropout": falling}) for seed in range(runs)]
    stack = Stack(members, 2, 16)
    layer = next(m for m in stack.model.modules() if isinstance(m, DropoutLayer))
    assert layer.shape is not None
    dropped = []
    for inputs, targets, *_ in stack.batches():
        index, rows = stack.step_index, stack.count(inputs)
        train_step(stack, inputs, targets)
        gone = min(max((index / stack.steps - 0.25) / 0.5, 0.0), 1.0)
        share = 0.8 * (1 - gone) + 0.2 * gone
        for seed in range(runs):
            stream = Rng(seed, "step", index, "dropout", layer.key)
            mask = layer.noise[seed] if runs > 1 else layer.noise
            assert torch.equal(mask, stream.keep((rows, *layer.shape), share))
        dropped.append(keep_numbers(share)[0])
    assert len(set(dropped)) > 2


@pytest.mark.parametrize("way", ["general", "auto"])
def test_runs_with_other_schedules_are_one_stack(way: str) -> None:
    """Each run is what it is alone; as a rounding of schedules of one stack, which are tensors."""
    cocktails = [
        (
            ("dropout", technique("dropout", hidden={**FALLING, "until": end}, inputs=None)),
            ("mixup", technique("mixup", alpha={**ENDING, "from": end})),
        )
        for end in (0.5, 0.9)
    ]
    both, _ = train_stack("mlp", *enumerate(cocktails), way=way)
    for result in both:
        alone, _ = train_stack("mlp", (result.run, cocktails[result.run]), way=way)
        for name, value in alone[0].last["weights"].items():
            assert torch.allclose(result.last["weights"][name], value, rtol=1e-4, atol=1e-6)


def test_numbers_that_are_off_are_off_to_the_bit() -> None:
    """Mixup that ends at half of the run: its second half is that of a run without, from there."""
    ending = technique("mixup", alpha=ENDING)
    data = make_data()
    stack = Stack([make_member(0, {"mixup": ending}, SGD, data=data)], 2, 16)
    plain = Stack([make_member(0, {}, SGD, data=data)], 2, 16)
    for epoch in range(2):
        for batch in stack.batches():
            if epoch:
                plain.model.load_state_dict(stack.model.state_dict())
                plain.enter(stack.epoch, stack.step_index)
            losses = train_step(stack, *batch)
            if epoch:
                assert torch.equal(train_step(plain, *batch), losses)
                for name, value in plain.parameters.items():
                    assert torch.equal(value, stack.parameters[name])
        stack.epoch += 1


@dataclass(frozen=True)
class Faster(Regularizer):
    factor: float

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        return {name: self.factor * g for name, g in view.gradients.items()}


def test_gradients_of_single_numbers_keep_their_type() -> None:
    """A parameter without dimension, times such a number that is a tensor, is of float64."""
    rising: Any = {"from": 1.0, "to": 2.0}
    (result,), _ = train_stack("odd", (0, (("faster", Faster(rising)),)))
    assert result.status == "FINISHED"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"from": 0.5}, "hidden: a schedule needs `to`"),
        ({"from": 0.5, "to": 0.1, "form": "x"}, "hidden: a schedule has no form"),
        ({"from": 0.5, "to": 1.5}, "hidden: expected a number >= 0 and < 1, got 1.5"),
        ({"from": 0.5, "to": 0, "shape": "sine"}, "hidden.shape: expected one of linear"),
        ({"from": 0.5, "to": 0, "until": 0}, "hidden.until: expected shares of the run"),
        ({"from": 0.5, "to": 0, "shape": "step"}, "hidden.until: a step at the end of the run"),
        ({"from": 0.5, "to": 0, "shape": "exponential"}, "hidden.shape: an exponential way"),
        ({"from": "a", "to": 0}, "hidden.from: expected a number, got 'a'"),
    ],
)
def test_what_is_no_schedule_is_refused(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(technique("dropout"), hidden=value)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("early_stopping", {"min_delta": {"from": 0.1, "to": 0.0}}),
        ("zoneout", {"hidden": {"from": 0.1, "to": 0.0}}),
        ("schedule_free", {"beta": {"from": 0.9, "to": 0.5}}),
        ("drop_block", {"block_size": {"from": 1, "to": 3}}),
    ],
)
def test_numbers_that_hold_for_the_whole_run(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected one value for the whole run"):
        replace(technique(name), **changes)


def test_predictions_with_noise_need_noise_that_stays() -> None:
    falling = technique("dropout", hidden=FALLING)
    with pytest.raises(ConfigError, match="mc_dropout: the noise of dropout follows"):
        make_member(0, {"dropout": falling, "mc_dropout": technique("mc_dropout")})


def test_the_command_line_takes_schedules() -> None:
    register()
    with initialize_config_dir(str(conf_folder()), version_base=None):
        config = compose(
            "config",
            [
                "regularizer=dropout",
                "regularizer.dropout.hidden={from:0.5,to:0,until:0.3,shape:cosine}",
            ],
        )
    node = {k: v for k, v in config.regularizer.dropout.items() if k != "search"}
    check_node("regularizer.dropout", node, build=True)
    assert dict(node["hidden"]) == {"from": 0.5, "to": 0, "until": 0.3, "shape": "cosine"}


def test_advice_is_on_where_the_number_ends() -> None:
    course = Course([10, 20], list)
    rising = Cocktail({"ema": technique("ema", decay={"from": 0.5, "to": 0.9999})})
    still = Cocktail({"ema": technique("ema", decay=0.9999)})
    assert rising.advise(course) == still.advise(course) != []


def test_outside_of_steps_a_schedule_says_what_is_wrong() -> None:
    schedule = Schedule(0.5, 0.1)
    for use in (lambda: schedule + 1, lambda: schedule < 1, lambda: float(schedule)):
        with pytest.raises(ConfigError, match="no step is known"):
            use()
