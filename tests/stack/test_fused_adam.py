"""The step of fused Adam against torch's own method: the same bits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from regexp.stack.fused_adam import fused_adam_step
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
