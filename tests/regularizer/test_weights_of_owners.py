"""What acts on weights leaves all else as `none` does, of a network that has all sorts of it."""

from __future__ import annotations

import ast
import inspect
from functools import cache, partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from regexp.regularizer.base import GradientView, NotApplicable, Tensors, parameter_kinds
from tests.support import NAMES, make_data, make_member, make_step, run, technique

ROWS = 16


class Net(nn.Module):
    """Attention over features; it has matrices of many sorts that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(1, 4)
        self.token = nn.Parameter(torch.empty(1, 4))
        self.positions = nn.Parameter(torch.empty(1, 5, 4))
        self.table = nn.Embedding(5, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True)
        self.norm = nn.LayerNorm((6, 4))
        self.output = nn.Linear(4, 3)
        self.register_buffer("window", torch.rand(6, 1))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)  # zeros and ones would hide what acts on them

    def forward(self, x: Tensor) -> Tensor:
        columns = torch.arange(5, device=x.device)
        hidden = self.first(x.unsqueeze(-1)) + self.positions + self.table(columns)
        tokens = torch.cat([self.token.expand(len(x), 1, 4), hidden], 1)
        mixed, _ = self.attention(tokens, tokens, tokens)
        return self.output((self.norm(tokens + mixed) * self.window).mean(1))


WEIGHTS = {"first.weight", "attention.in_proj_weight", "attention.out_proj.weight", "output.weight"}
PARAMETERS = {name for name, _ in Net().named_parameters()}


def uses_weights(name: str) -> bool:
    source = inspect.getsource(inspect.getmodule(type(technique(name))))  # type: ignore[arg-type]
    return any(
        isinstance(node, ast.ImportFrom) and "weights" in {alias.name for alias in node.names}
        for node in ast.walk(ast.parse(source))
    )


ON_WEIGHTS = [name for name in NAMES if uses_weights(name)]
# They move weights, which changes the gradients of all, ask for the layers of all parameters, or
# average all.
REACH_ALL = {
    "weight_noise", "adaptive_gradient_clipping", "layerwise_lr_decay", "ema", "ema_half_life",
    "lawa", "lookahead", "schedule_free", "swa", "cautious_updates",
}  # fmt: skip
# They are seen from the second step on, or in what they remember.
LATER = {"l2_sp", "shrink_and_perturb", "swag"}
STRONG: dict[str, dict[str, Any]] = {"max_norm": {"limit": 0.01}, "pruning": {"sparsity": 0.5}}


def after_a_step(seeds: range, techniques: dict[str, Any]) -> list[dict[str, Tensor]]:
    """The weights of a stack of runs after their only step."""
    sgd = partial(torch.optim.SGD, lr=0.1)
    members = [
        make_member(seed, techniques, sgd, model=Net, data=make_data(seed, ROWS)) for seed in seeds
    ]
    results, _ = run(members, 1, ROWS, precision="float64")
    return [result.last["weights"] for result in results]


@cache
def plain(seeds: range) -> list[dict[str, Tensor]]:
    """The weights without a technique."""
    return after_a_step(seeds, {})


@pytest.mark.parametrize("seeds", [range(1), range(2)], ids=["alone", "stacked"])
@pytest.mark.parametrize("name", [name for name in ON_WEIGHTS if name not in REACH_ALL])
def test_changes_weights_alone(name: str, seeds: range) -> None:
    made = technique(name, **STRONG.get(name, {}))
    for ours, none in zip(after_a_step(seeds, {name: made}), plain(seeds), strict=True):
        changed = {key for key, value in ours.items() if not torch.equal(value, none[key])}
        assert changed <= WEIGHTS
        assert changed or name in LATER


def including() -> list[str]:
    return [name for name in ON_WEIGHTS if hasattr(technique(name), "include") and name != "l2_sp"]


@pytest.mark.parametrize("name", including())
def test_all_takes_every_parameter_and_no_buffer(name: str) -> None:
    made = technique(name, include="all", strength=0.1)
    (ours,), (none,) = after_a_step(range(1), {name: made}), plain(range(1))
    changed = {key for key, value in ours.items() if not torch.equal(value, none[key])}
    assert changed == PARAMETERS


@pytest.mark.parametrize("name", ["l2_sp", "pruning", "shrink_and_perturb", "swag"])
def test_what_is_remembered_is_that_of_weights(name: str) -> None:
    model = Net()
    made = technique(name, **STRONG.get(name, {}))
    memory = made.init(dict(model.state_dict()), parameter_kinds(model))
    assert set(memory["squares"] if name == "swag" else memory) == WEIGHTS


def test_noise_is_added_to_weights_alone() -> None:
    model = Net()
    parameters: Tensors = dict(model.named_parameters())
    asked: list[Tensors] = []

    def regradient(at: Tensors) -> Tensors:
        asked.append(at)
        return at

    step = make_step(kinds=parameter_kinds(model))
    technique("weight_noise").gradient(step, GradientView(parameters, parameters, regradient))
    (at,) = asked
    assert {name for name, value in at.items() if value is not parameters[name]} == WEIGHTS


@pytest.mark.parametrize("include", ["weights", "all"])
def test_l2_sp_remembers_no_buffer(include: str) -> None:
    model = Net()
    memory = technique("l2_sp", include=include).init(model.state_dict(), parameter_kinds(model))
    assert set(memory) == (WEIGHTS if include == "weights" else PARAMETERS)


def test_all_that_act_on_weights_are_tried() -> None:
    assert set(ON_WEIGHTS) > {"l1", "l2", "orthogonal", "max_norm", "pruning"} | REACH_ALL | LATER


@pytest.mark.parametrize("name", ["l2", "weight_decay", "max_norm", "pruning"])
def test_a_network_without_weights_is_refused_and_not_left_alone(name: str) -> None:
    """Else a model whose matrices have other names would train as `none` does, unsaid."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.rand(5, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.kernel

    class Said(Scaled):
        parameter_kinds: ClassVar[dict[str, str]] = {"kernel": "weight"}

    made = {name: technique(name, **STRONG.get(name, {}))}
    with pytest.raises(NotApplicable, match="parameter_kinds = "):
        run([make_member(0, made, model=Scaled)], 1)
    (ours,), _ = run([make_member(0, made, model=Said)], 1)
    (none,), _ = run([make_member(0, model=Said)], 1)
    assert not torch.equal(ours.last["weights"]["kernel"], none.last["weights"]["kernel"])
