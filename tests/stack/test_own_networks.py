"""Networks of torch's own modules in a stack, against them alone and a plain loop of torch's."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.guards import checked_outputs
from regexp.model.layers import Block, Inputs
from regexp.random import Rng
from regexp.regularizer.base import Regularizer
from regexp.stack.stack import Stack
from regexp.training.own_loop import Regularized
from regexp.training.train_step import train_step
from tests.support import make_data, make_member, run, stacked_and_alone, technique, tensor
from tests.technique_runs import SMOOTH

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")


class TabTransformer(nn.Module):
    """torch's encoder, one token a feature, and one that the class is read from."""

    def __init__(self, dropout: float = 0.1, width: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, width) * 0.1)
        self.bias = nn.Parameter(torch.zeros(5, width))
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x[..., None] * self.weight + self.bias
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        return self.head(self.encoder(tokens)[:, 0])


TECHNIQUES = [
    (),
    ("dropout",),
    ("sam",),
    ("ema",),
    ("mixup",),
    ("r_drop",),
    ("mc_dropout",),
    ("jacobian",),
]


@pytest.mark.parametrize("names", TECHNIQUES, ids="+".join)
def test_a_transformer_with_dropout_trains_stacked_as_alone(names: tuple[str, ...]) -> None:
    changes: dict[str, dict[str, int | None]] = {
        "r_drop": {"dropout": None}, "dropout": {"inputs": None}, "mc_dropout": {"samples": 3},
    }  # fmt: skip

    def member(seed: int):
        techniques = {name: technique(name, **changes.get(name, {})) for name in names}
        return make_member(seed, techniques, SMOOTH, model=TabTransformer)

    for result, curves, alone, expected in stacked_and_alone(member, range(4), epochs=2):
        for name, value in result.last["weights"].items():
            torch.testing.assert_close(value, alone.last["weights"][name], rtol=0, atol=1e-11)
        for ours, theirs in zip(curves, expected, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-9)


def test_its_dropout_counts_and_comes_from_the_runs_seed() -> None:
    def weights(dropout: float, seed: int = 0) -> Tensor:
        member = make_member(0, model=lambda: TabTransformer(dropout))
        member.seed = seed
        torch.manual_seed(seed + 7)  # of no account
        return run([member], 1)[0][0].last["weights"]["head.weight"]

    assert torch.equal(weights(0.1), weights(0.1))
    assert not torch.equal(weights(0.1), weights(0.0))
    assert not torch.equal(weights(0.1), weights(0.1, seed=1))


def test_without_dropout_it_is_a_plain_loop_of_torchs_to_the_bit() -> None:
    member = make_member(0, optimizer=SMOOTH, model=lambda: TabTransformer(0.0))
    model = copy.deepcopy(member.model)
    [result], _ = run([member], epochs=2, batch_size=32)
    optimizer, data = SMOOTH(model.parameters()), make_data(0)
    for epoch in range(2):
        order = Rng(0, "order", epoch).permutation(len(data.train))
        for rows in order.split(32):
            optimizer.zero_grad()
            outputs = model(tensor(data.train.inputs)[rows])
            F.cross_entropy(outputs, data.train.targets[rows]).backward()
            optimizer.step()
    for name, value in model.state_dict().items():
        assert torch.equal(result.last["weights"][name], value)


def test_a_step_of_a_network_that_draws_leaves_torchs_state_alone() -> None:
    stack = Stack([make_member(seed, model=TabTransformer) for seed in range(2)], 1, 32)
    before = torch.random.get_rng_state()
    train_step(stack, *next(stack.batches()))
    assert torch.equal(torch.random.get_rng_state(), before)


class Sometimes(nn.Module):
    """Draws from a global state that no stream reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * (0.5 if self.training and random.random() < 0.5 else 1.0)


class Later(Sometimes):
    """Draws after its first steps, as a schedule of noise would."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        return F.dropout(self.layer(x), 0.5, self.training and self.calls > 2)


def own_loop(model: nn.Module) -> Regularized:
    return Regularized(
        model,
        {},
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        example=torch.zeros(1, 5),
        classes=3,
        epochs=1,
        steps_per_epoch=2,
    )


def test_a_loop_of_ones_own_refuses_them_too_and_serves_the_others() -> None:
    with pytest.raises(ConfigError, match="Sometimes draws from Python's global random state"):
        own_loop(Sometimes())
    data = make_data(0)
    weights = []
    for seed in (5, 6):
        torch.manual_seed(0)
        loop = own_loop(nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 3)))
        torch.manual_seed(seed)  # of no account
        loop.train_batch(tensor(data.train.inputs), data.train.targets)
        weights.append(loop.parameters["2.weight"].detach())
    assert torch.equal(*weights)


def test_what_begins_to_draw_in_training_is_refused_there() -> None:
    with pytest.raises(ConfigError, match="drew from torch's global random state in training"):
        run([make_member(0, model=Later)], epochs=3)


class Calibrated(nn.Linear):
    """A layer with a state that is no tensor."""

    def __init__(self) -> None:
        super().__init__(5, 3)

    def get_extra_state(self) -> dict[str, int]:
        return {"bits": 8}

    def set_extra_state(self, state: object) -> None:
        pass


class Counted(nn.Linear):
    """A layer with an attribute that layers of techniques have in another sense."""

    def __init__(self) -> None:
        super().__init__(5, 3)
        self.numbers = 5


def test_an_attribute_called_numbers_is_the_users_own() -> None:
    for result in run([make_member(seed, model=Counted) for seed in range(2)])[0]:
        assert result.status == "FINISHED"


def test_extra_state_of_a_module_is_left_alone() -> None:
    for result in run([make_member(seed, model=Calibrated) for seed in range(2)])[0]:
        assert result.last["weights"].keys() == {"weight", "bias"}


@pytest.mark.parametrize("hook", ["observe", "weights", "predict", "restore"])
def test_what_draws_between_epochs_is_refused_too(hook: str) -> None:
    """Not in a hook of a step, and not before the second epoch."""

    class Drawing(Regularizer):
        kind = "penalty"
        calls = 0

        def drawn(self, value: Any) -> Any:
            self.calls += 1
            if self.calls > 1 or hook == "restore":
                torch.rand(1)
            return value

    values = {
        "observe": lambda self, memory, evaluation: self.drawn(memory),
        "weights": lambda self, memory, state: self.drawn(state),
        "predict": lambda self, memory, view: self.drawn(view.network(view.inputs)[None]),
        "restore": lambda self, memory, state: self.drawn(state),
    }
    setattr(Drawing, hook, values[hook])
    with pytest.raises(ConfigError, match="drew from torch's global random state in training"):
        run([make_member(0, {"drawing": Drawing()})], epochs=3)


class Words(nn.Module):
    """Numbers as words, 0 of which is padding, in a forward of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4, padding_idx=0)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        words = (x.detach().clamp(-1, 1) * 2.4 + 2.5).long()
        return self.out(self.table(words).mean(1))


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inputs = Inputs()
        self.first = Block(nn.Linear(5, 8), nn.Tanh())
        self.twice = Block(nn.Linear(8, 8), nn.Tanh())
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.twice(self.twice(self.first(self.inputs(x)))))


class PartlyFrozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8).requires_grad_(False)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.first(x).tanh())


class InOtherMemory(torch.optim.Optimizer):
    """SGD that gives its parameters new tensors."""

    def __init__(self, parameters: Any, lr: float = 0.1) -> None:
        super().__init__(parameters, {"lr": lr})

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data = parameter.data - group["lr"] * parameter.grad


class DecayOfWhatIsTrained(torch.optim.Optimizer):
    """SGD that decays all it is given but for what says that it is frozen."""

    def __init__(self, parameters: Any, lr: float = 0.1) -> None:
        super().__init__([p for p in parameters if p.requires_grad], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.9).sub_(group["lr"] * parameter.grad)


@pytest.mark.parametrize(
    ("model", "name", "optimizer"),
    [
        *[(Words, name, SMOOTH) for name in ("sam", "gsam", "look_sam", "weight_noise")],
        (CalledTwice, "manifold_mixup", SMOOTH),
        (TabTransformer, "none", InOtherMemory),
        (PartlyFrozen, "none", DecayOfWhatIsTrained),
    ],
)
def test_what_stands_once_in_a_stack_is_what_it_is_alone(
    model: Any, name: str, optimizer: Any
) -> None:
    def member(seed: int):
        techniques = {} if name == "none" else {name: technique(name)}
        return make_member(seed, techniques, optimizer, model=model)

    for result, _, alone, _ in stacked_and_alone(member, range(3), epochs=3):
        for key, value in result.last["weights"].items():
            torch.testing.assert_close(value, alone.last["weights"][key], rtol=0, atol=1e-11)
        if model is Words:
            assert not result.last["weights"]["table.weight"][0].any()


class Filled(nn.Module):
    """An encoder of torch's that its fast path in evaluation would serve."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.into = nn.Linear(1, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.into(x[..., None])).mean(1))


def test_a_network_is_looked_at_without_torchs_fast_path() -> None:
    model = technique("tabm").build(Filled())
    assert checked_outputs(model, torch.randn(2, 5)).shape == (2, 3)
