"""Optimizers of pytorch_optimizer in a stack, held against the same ones by themselves and against
the library's own decay; and the messages and numbers that do not need the library."""

from __future__ import annotations

import copy
import sys
from functools import partial
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from regexp.config.nodes import check_node
from regexp.errors import ConfigError
from regexp.scheduler import Schedule, learning_rate_of
from regexp.stack.optimizers import Optimizers, Stepper
from tests.optimizer.test_optimizer import EXTRA, FOLDER
from tests.support import CONSTANT, make_member, run, technique
from tests.technique_runs import assert_same_bits, assert_same_tree


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("pytorch_optimizer", reason="regexp[optimizers] is not installed")


def made(name: str, **changes: Any) -> Any:
    return instantiate(OmegaConf.merge(OmegaConf.load(FOLDER / f"{name}.yaml"), changes))


@pytest.mark.parametrize("name", sorted(EXTRA))
def test_a_stack_is_its_runs(library: Any, name: str) -> None:
    seeds = (0, 1)
    together, _ = run([make_member(seed, {}, made(name)) for seed in seeds])
    for seed, ours in zip(seeds, together, strict=True):
        (alone,), _ = run([make_member(seed, {}, made(name))])
        for key, value in ours.last["weights"].items():
            torch.testing.assert_close(value, alone.last["weights"][key], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["lion", "prodigy"])
def test_the_techniques_decay_is_the_librarys(library: Any, name: str) -> None:
    """SOAP decays after its step, what a step has made of the weights; ours what was before it."""
    decay = {"weight_decay": technique("weight_decay", strength=0.1, include="all")}
    (ours,), history = run([make_member(0, decay, made(name))], 20, precision="float64")
    optimizer = made(name, weight_decay=0.1)
    (theirs,), _ = run([make_member(0, {}, optimizer)], 20, precision="float64")
    (without,), _ = run([make_member(0, {}, made(name))], 20, precision="float64")
    for key, value in ours.last["weights"].items():
        torch.testing.assert_close(value, theirs.last["weights"][key], rtol=1e-6, atol=1e-8)
    assert any(
        (value - without.last["weights"][key]).abs().max() > 1e-4
        for key, value in ours.last["weights"].items()
    )
    rates = [epoch["lr"] for epoch in history[0]]
    assert rates == sorted(rates)
    assert (rates[-1] > 100 * rates[0]) == (name == "prodigy")  # it has found one


@pytest.mark.parametrize("name", sorted(EXTRA))
def test_a_missing_library_is_told_with_what_brings_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    node: Any = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))
    with pytest.raises(ConfigError, match=r"pip install 'regexp\[optimizers\]'"):
        check_node("optimizer", node, given=["params"])


class Finding(torch.optim.SGD):
    """Keeps its numbers as Prodigy and SOAP do: in the group, and in lists of tensors."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr)
        self.param_groups[0] |= {"d": 1e-6, "d0": 1e-6, "found": torch.zeros(1)}

    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        for parameter in group["params"]:
            lists = self.state[parameter].setdefault("factors", [torch.zeros(2), []])
            lists[0] += 1
        group["d"] *= 2
        group["found"] += 1


def test_the_rate_is_the_one_that_the_optimizer_has_found() -> None:
    optimizer = Finding([nn.Parameter(torch.zeros(2))], lr=0.5)
    schedule = Schedule(CONSTANT, "epoch", optimizer)
    assert schedule.changes_every_step
    optimizer.step()
    assert schedule.learning_rate == learning_rate_of(optimizer) == 0.5 * 2e-6
    adafactor = torch.optim.Adafactor([nn.Parameter(torch.zeros(2))], lr=0.5, d=3.0)
    assert learning_rate_of(adafactor) == 0.5
    assert not Schedule(CONSTANT, "epoch", adafactor).changes_every_step


def test_techniques_see_the_rate_of_each_step() -> None:
    _, history = run([make_member(0, {}, partial(Finding, lr=1.0))], 2)
    steps = 3  # an epoch; the rate of its last step is recorded
    assert [epoch["lr"] for epoch in history[0]] == [1e-6 * 2 ** (steps * n - 1) for n in (1, 2)]


def test_what_was_kept_of_an_optimizer_stays_as_it_was() -> None:
    parameters = [nn.Parameter(torch.zeros(2, 3))]
    stepper = Stepper(partial(Finding, lr=1.0), CONSTANT, "epoch")
    optimizers = Optimizers([stepper, stepper], parameters, ["weight"], lifted=True)
    optimizers.step()
    kept, _ = optimizers.state(0)
    before = copy.deepcopy(kept)
    optimizers.step()
    assert_same_tree(kept, before)
    assert_same_bits({"found": kept["param_groups"][0]["found"]}, {"found": torch.ones(1)})
