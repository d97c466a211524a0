"""The step of fused Adam against torch's own method: the same bits."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler
from torch.testing import assert_close

from regexp.stack.fused_adam import FusedAdams, JoinedAdams, fused_adam_step
from regexp.stack.member import Member
from regexp.stack.optimizers import Optimizers, Stepper
from regexp.stack.stack import Stack
from regexp.training.chain.program import Program
from regexp.training.loop import train
from tests.support import make_member
from tests.technique_runs import assert_same_tree

SHAPES = ((5, 3), (7,), (2, 4, 3))


def optimizer(kind: type[Optimizer], **settings: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    return kind(parameters, lr=0.1, fused=True, **settings)  # type: ignore[call-arg]


def contents(made: Optimizer) -> list[Any]:
    return [[p.detach(), made.state[p]] for p in made.param_groups[0]["params"]]


def set_gradients(made: Optimizer, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in made.param_groups[0]["params"]:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
                                      {"maximize": True}])  # fmt: skip
def test_it_is_torchs_step(kind: type[Optimizer], settings: dict[str, Any]) -> None:
    ours, theirs = optimizer(kind, **settings), optimizer(kind, **settings)
    for step in range(5):
        for made in (ours, theirs):
            set_gradients(made, step)
            made.param_groups[0]["lr"] = 0.1 / (1 + step)
        done = fused_adam_step(ours)
        assert done == (step > 0)  # torch's first step makes the state
        if not done:
            ours.step()
        theirs.step()
        assert_same_tree(contents(ours), contents(theirs))


def stepped(made: Any) -> Any:
    set_gradients(made, 0)
    made.step()
    set_gradients(made, 1)
    return made


def test_what_asks_for_more_is_left_to_torch() -> None:
    assert not fused_adam_step(stepped(optimizer(Adam, amsgrad=True)))
    assert not fused_adam_step(stepped(Adam([nn.Parameter(torch.zeros(2))])))
    assert not fused_adam_step(stepped(Adam(nn.Linear(2, 2).parameters(), fused=False)))
    plain = stepped(optimizer(Adam))
    plain.param_groups[0]["lr"] = torch.tensor(0.1)
    assert not fused_adam_step(plain)
    hooked = stepped(optimizer(Adam))
    hooked.register_step_post_hook(lambda *_: None)
    assert not fused_adam_step(hooked)
    lacking = stepped(optimizer(Adam))
    lacking.param_groups[0]["params"][1].grad = None
    before = copy.deepcopy(contents(lacking))
    assert not fused_adam_step(lacking)
    assert_same_tree(contents(lacking), before)


RATES = (0.1, 0.03, 0.03, 0.01)
"""Of the runs of a stack: two neighbours have one optimizer."""

WHOLE_VECTORS = ((4, 8), (32,), (2, 4, 4))
"""The kernel rounds what is left over after whole vectors of a processor in another way."""


def stepper(lr: float, kind: Any = AdamW, **settings: Any) -> Stepper:
    make = partial(kind, lr=lr, **({"weight_decay": 0.1, "fused": True} | settings))
    return Stepper(make, partial(ExponentialLR, gamma=0.9), "step")


def values(step: int, runs: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(runs, *shape, generator=generator) for shape in WHOLE_VECTORS]


def step_together(made: Optimizers, gradients: list[Tensor]) -> None:
    for parameter, gradient in zip(made.parameters, gradients, strict=True):
        parameter.grad = gradient
    made.step()
    made.count_step()


def test_runs_that_differ_in_their_rates_are_stepped_as_each_is_alone() -> None:
    """Also after one of them has left, and after a state was loaded."""
    stacked = [nn.Parameter(one) for one in values(100, len(RATES))]
    made = Optimizers([*map(stepper, RATES)], stacked, ["weight"] * 3, lifted=True)
    alone = []
    for run, rate in enumerate(RATES):
        own = [nn.Parameter(one[run].detach().clone()) for one in stacked]
        optimizer = stepper(rate).optimizer(own)
        alone.append((own, optimizer, stepper(rate).scheduler(optimizer)))
    for step in range(9):
        if step == 4:
            made.take([0, 2, 3])
            del alone[1]
        if step == 6:
            made.load_state_dict(copy.deepcopy(made.state_dict()))
        gradients = values(step, len(alone))
        step_together(made, gradients)
        for run, (own, optimizer, schedule) in enumerate(alone):
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient[run].clone()
            optimizer.step()
            schedule.step()
            state, _ = made.state(run)
            ours = [[p[run], state["state"][at]] for at, p in enumerate(made.parameters)]
            assert_same_tree(ours, contents(optimizer))


def test_what_is_looked_up_once_serves_until_a_state_is_another() -> None:
    stacked = [nn.Parameter(one) for one in values(100, 2)]
    made = Optimizers([stepper(0.1), stepper(0.2)], stacked, ["weight"] * 3, lifted=True)
    assert FusedAdams.of([group.optimizer for group in made.groups], stacked, [1, 1]) is None
    step_together(made, values(0, 2))
    fused = FusedAdams.of([group.optimizer for group in made.groups], stacked, [1, 1])
    assert fused
    assert fused.step(values(1, 2))
    assert not fused.step([None, *values(1, 2)[1:]])
    first = made.groups[1].parameters[0]
    made.groups[1].optimizer.state[first]["step"] = torch.tensor(2.0)
    assert not fused.step(values(2, 2))


@pytest.mark.parametrize("change", ["memory", "moments", "cleared", "hooked", "own step"])
@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.2)])
def test_what_a_forward_or_a_scheduler_changes_is_seen(
    rates: tuple[float, ...], change: str
) -> None:
    """By a forward or a scheduler; against torch's own step of each run."""
    stacked = [nn.Parameter(one) for one in values(100, len(rates))]
    made = Optimizers([*map(stepper, rates)], stacked, ["weight"] * 3, lifted=len(rates) > 1)
    alone = copy.deepcopy([group.parameters for group in made.groups])
    theirs = [stepper(rate).optimizer(own) for rate, own in zip(rates, alone, strict=True)]

    def zero_first(one: Optimizer, *_: Any) -> None:
        one.param_groups[0]["params"][0].grad.zero_()

    def disturb(one: Any) -> None:
        last = one.param_groups[0]["params"][-1]
        if change == "moments":
            one.state[last]["exp_avg_sq"] = torch.ones_like(last)
        elif change == "cleared":
            one.state.clear()
        elif change == "hooked":
            one.register_step_pre_hook(zero_first)
        elif change == "own step":
            plain = one.step
            one.step = lambda: [last.grad.zero_(), plain()]

    for step in range(7):
        if step == 3:
            for one in [*theirs, *(group.optimizer for group in made.groups)]:
                disturb(one)
            if change == "memory" and len(rates) == 1:
                stacked[1].data = stacked[1].data.clone()
        gradients = values(step, len(rates))
        for run, (own, one) in enumerate(zip(alone, theirs, strict=True)):
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = (gradient[run] if len(rates) > 1 else gradient).clone()
            one.step()
        step_together(made, [gradient.clone() for gradient in gradients])
        for run, own in enumerate(alone):
            ours = [p.detach()[run] if len(rates) > 1 else p.detach() for p in stacked]
            assert_same_tree(ours, [p.detach() for p in own])
        for one in theirs:
            one.param_groups[0]["lr"] *= 0.9  # as the schedule of ours


class NormRate(LRScheduler):
    """A user's own: the rate follows the norm of the weights."""

    def get_lr(self) -> list[float | Tensor]:
        [group] = self.optimizer.param_groups
        norm = sum(float(one.detach().square().sum()) for one in group["params"])
        return [base / (1 + norm / 100) for base in self.base_lrs]


def test_own_schedulers_have_an_optimizer_a_run() -> None:
    def own(seed: int) -> Member:
        return make_member(seed, {}, partial(Adam, lr=0.05, fused=True), NormRate)

    assert not own(0).stepper.shares(own(1).stepper)
    rates = []
    for seeds in ((0,), (0, 1)):
        stack = Stack([*map(own, seeds)], 3, 8)
        assert Program.of(stack) is None  # whose weights are elsewhere within an epoch
        results = train(stack, 3, lambda run, epoch, metrics: None)
        rates.append(results[0].last["optimizer"]["param_groups"][0]["lr"])
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)


JOINED: dict[str, Any] = {"kind": Adam, "weight_decay": 0.0}


def stacked_by(joins: bool, **of_the_first: Any) -> Optimizers:
    """Of runs with `RATES`, the first of which may have other numbers as well."""
    parameters = [nn.Parameter(one) for one in values(100, len(RATES))]
    steppers = [stepper(rate, **JOINED) for rate in RATES]
    steppers[0] = stepper(RATES[0], **(JOINED | of_the_first))
    made = Optimizers(steppers, parameters, ["weight"] * len(parameters), lifted=True)
    made.joins = joins
    return made


def test_joined_steps_are_those_of_each_optimizer_to_rounding() -> None:
    """Also after a run has left, and with rates that change at every step."""
    joined, each = (stacked_by(joins) for joins in (True, False))
    for step in range(8):
        if step == 4:
            for made in (joined, each):
                made.take([0, 2, 3])
        for made in (joined, each):
            step_together(made, values(step, 3 if step >= 4 else 4))
        assert isinstance(joined._fused, JoinedAdams) == (step > 0)
        assert_close([*joined.parameters], [*each.parameters])
        for run in range(3):
            assert_close(joined.state(run)[0]["state"], each.state(run)[0]["state"])


def test_joined_steps_go_on_from_a_state_with_the_same_bits() -> None:
    whole = stacked_by(True)
    for step in range(3):
        step_together(whole, values(step, 4))
    kept = copy.deepcopy((whole.state_dict(), [p.detach() for p in whole.parameters]))
    again = stacked_by(True)
    again.load_state_dict(kept[0])
    for parameter, value in zip(again.parameters, kept[1], strict=True):
        parameter.data.copy_(value)
    for step in range(3, 6):
        step_together(whole, values(step, 4))
        step_together(again, values(step, 4))
    assert_same_tree(whole.state_dict(), again.state_dict())
    for ours, theirs in zip(whole.parameters, again.parameters, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "settings", [{"weight_decay": 0.1}, {"eps": 1e-3}, {"betas": (0.8, 0.9)}, {"fused": False}]
)
def test_optimizers_that_differ_in_more_than_rates_are_not_joined(settings: dict[str, Any]) -> None:
    made = stacked_by(True, **settings)
    for step in range(2):
        step_together(made, values(step, 4))
    assert not isinstance(made._fused, JoinedAdams)
