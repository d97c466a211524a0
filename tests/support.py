"""What tests of the core build runs from: small data that the test makes, and members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from regexp.dataset.base import Data, Split
from regexp.dataset.lazy import LazyInputs
from regexp.model.cnn import CNN
from regexp.model.layers import Block, Inputs
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng
from regexp.regularizer.base import (
    Batch,
    Evaluation,
    ParameterKinds,
    PenaltyView,
    Step,
    Tensors,
)
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import Member, initial_stream
from regexp.stack.optimizers import Stepper
from regexp.stack.stack import Stack
from regexp.training.loop import train
from regexp.training.state import Result

ADAM = partial(torch.optim.Adam, lr=1e-2)
CONSTANT = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)

History = dict[int, list[dict[str, float]]]


def make_data(
    seed: int = 0, rows: int = 90, shape: tuple[int, ...] = (5,), task: str = "classification"
) -> Data:
    """Three noisy linear classes; labels, one for each; or the first of their scores as a value."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows + 60, *shape, generator=generator)
    directions = torch.randn(inputs[0].numel(), 3, generator=torch.Generator().manual_seed(99))
    scores = inputs.flatten(1) @ directions + torch.randn(rows + 60, 3, generator=generator)
    targets = {
        "classification": scores.argmax(1),
        "multilabel": (scores > 0).float(),
        "regression": scores[:, :1],
    }[task]

    def split(first: int, last: int) -> Split:
        return Split(inputs[first:last], targets[first:last])

    train, validation, test = split(0, rows), split(rows, rows + 30), split(rows + 30, rows + 60)
    names = () if task == "regression" else ("a", "b", "c")
    return Data(train, validation, test, task, names, (), "none", "made", "the test")


def recurrent(kind: str, outputs: int = 3) -> nn.Module:
    return RecurrentNetwork((6, 2), outputs, kind=kind, features=[5], hidden=[4], activation="relu")


class Gain(nn.Module):
    """Tensors that everyday layers do not have: single numbers, one of them learned, and a frozen
    weight."""

    scale: Tensor
    largest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.frozen = nn.Parameter(torch.rand(6, 6), requires_grad=False)
        self.register_buffer("scale", torch.tensor(0.5))
        self.register_buffer("largest", torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # a moving average, as quantization has it
            self.largest.mul_(0.9).add_(0.1 * x.detach().abs().amax())
        return self.gain * (x @ self.frozen) * self.scale / (1 + self.largest)


def odd() -> nn.Module:
    """Single numbers, a frozen weight, and two layers that share theirs."""
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(
        Inputs(), Block(nn.Linear(5, 6), nn.ReLU()), first, Gain(), second, nn.Linear(6, 3)
    )


class Core(nn.Module):
    """Every kind of parameter, module and draw that networks of users have, in one.

    A scalar, a tied, a frozen and a shared parameter, normalization of three dimensions, attention,
    and dropout of torch's that is called twice, once of it in training only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tied = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.tied.weight
        self.shared = nn.Linear(8, 8)
        self.norm = nn.LayerNorm((2, 4))
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.frozen = nn.Parameter(torch.linspace(0.5, 1.5, 8), requires_grad=False)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.tied(x).tanh()).tanh()
        x = self.shared(self.drop(self.shared(x).tanh()))
        x = self.norm(x.unflatten(-1, (2, 4)))
        x = (x + self.attention(x, x, x)[0]).flatten(-2)
        if self.training:
            x = self.drop(x)
        return x * self.frozen * self.scale


def mixed() -> nn.Module:
    """A network of everything, whose second block is called twice."""
    twice = Block(nn.Linear(8, 8), nn.Tanh())
    first = Block(nn.Linear(5, 8), nn.Tanh())
    return nn.Sequential(Inputs(), first, twice, Core(), twice, nn.Linear(8, 3))


class TiedLanguageModel(nn.Module):
    """The next of 7 words, by a table of them that is the output layer's weight as well."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.a, self.b, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 7)
        self.head.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        logits: Tensor = self.head(self.b(self.a(self.table(words)).tanh()).tanh().mean(-2))
        return logits


class Branching(nn.Sequential):
    """A network whose forward decides by values, which no stack can follow."""

    def __init__(self) -> None:
        super().__init__(Inputs(), Block(nn.Linear(5, 8), nn.ReLU()), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        outputs = super().forward(x)
        return outputs if outputs.mean() > 0 else outputs.tanh()


NETWORKS: dict[str, tuple[tuple[int, ...], str, Callable[[], nn.Module]]] = {
    "mlp": ((5,), "classification", lambda: MLP((5,), 3, [8, 6], "relu")),
    "selu": ((5,), "classification", lambda: MLP((5,), 3, [8, 6], "selu")),
    "logistic": ((5,), "classification", lambda: MLP((5,), 3, [], "relu")),
    "resnet_mlp": (
        (5,), "classification",
        lambda: ResNetMLP((5,), 3, width=6, hidden=8, depth=2, activation="relu"),
    ),
    "cnn": ((2, 8, 8), "classification", lambda: CNN((2, 8, 8), 3, [4, 4], 6, "relu")),
    "lstm": ((6, 2), "regression", lambda: recurrent("lstm", outputs=1)),
    "gru": ((6, 2), "classification", lambda: recurrent("gru")),
    "odd": ((5,), "classification", odd),
    "mixed": ((5,), "classification", mixed),
    "branching": ((5,), "classification", Branching),
}  # fmt: skip
"""Shape of a row, task, and how it is made, of small networks for `make_data`."""


FOLDER = Path(__file__).parents[1] / "conf" / "regularizer"

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "none")
"""Of all techniques."""


def technique(name: str, **changes: Any) -> Any:
    """As its YAML says, with some values changed."""
    return instantiate(OmegaConf.merge(_node(name), changes))


@cache
def _node(name: str) -> DictConfig:
    """The YAML of a technique, read once, without its ranges."""
    node = OmegaConf.load(FOLDER / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    node.pop("search", None)
    return node


class KindsByName(Mapping[str, str]):
    """Kinds of any parameters, for tests of techniques on tensors that belong to no network."""

    def __getitem__(self, name: str) -> str:
        path, _, own = name.rpartition(".")
        return "bias" if "bias" in own else "normalization" if "norm" in path else "weight"

    def __iter__(self) -> Iterator[str]:
        return iter(("any.weight",))

    def __len__(self) -> int:
        return 1


BY_NAME = KindsByName()


def make_step(
    index: int = 0,
    learning_rate: float | Tensor = 0.1,
    memory: Any = None,
    seed: int = 0,
    epoch: int = 0,
    ends_epoch: bool = False,
    kinds: ParameterKinds = BY_NAME,
) -> Step:
    """A step of a run of 100."""
    rng, shared = Rng(seed, "test", index), Rng(seed, "test", index, "shared")
    memory = {} if memory is None else memory
    return Step(rng, shared, index, 100, epoch, ends_epoch, learning_rate, memory, kinds)


def make_view(parameters: Tensors) -> PenaltyView:
    """What a penalty that looks at parameters alone sees."""
    nothing = torch.zeros(0, 0)
    return PenaltyView(parameters, nothing, Batch(nothing, nothing), not_called, not_called, {})


def make_evaluation(metrics: Tensors, state: Tensors) -> Evaluation:
    """What `observe` sees, of a technique that looks at no outputs."""
    runs = next(iter(metrics.values())).shape
    return Evaluation(metrics, state, torch.zeros(*runs, 4, 3), torch.zeros(*runs, 4).long())


def minimize(objective: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The minimum of a smooth convex function, to rounding."""
    point = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [point], max_iter=500, tolerance_grad=1e-14, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(point)
        loss.backward()
        return loss

    optimizer.step(closure)
    return point.detach()


def not_called(*arguments: Any) -> Any:
    """Stands for a function that a hook is given and must not call."""
    pytest.fail(f"called with {arguments}")


def tensor(inputs: Tensor | LazyInputs) -> Tensor:
    """Inputs that are a tensor, as those of `make_data` are."""
    assert isinstance(inputs, Tensor)
    return inputs


def make_member(
    seed: int = 0,
    techniques: dict[str, Any] | None = None,
    optimizer: Callable[..., Any] = ADAM,
    scheduler: Callable[..., Any] = CONSTANT,
    interval: str = "epoch",
    model: Callable[[], nn.Module] = lambda: MLP((5,), 3, [8, 8], "relu"),
    data: Data | None = None,
) -> Member:
    cocktail = Cocktail(techniques or {})
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which notes for GPUs where it was called from: that takes longer
        torch.default_generator.manual_seed(initial_stream(seed, cocktail))
        built = cocktail.build(model())
    stepper = Stepper(optimizer, scheduler, interval)
    return Member(seed, data or make_data(seed), built, cocktail, stepper)


def run(
    members: Sequence[Member],
    epochs: int = 3,
    batch_size: int = 32,
    way: str = "general",
    **options: Any,
) -> tuple[list[Result], History]:
    """Train a stack; results in the order of the members, and every reported metric.

    By the way of making steps that is the same for all networks and techniques, to the bit.
    """
    history: History = {}

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        history.setdefault(run, []).append({"epoch": epoch, **metrics})

    stack = Stack(members, epochs, batch_size, **options)
    results = train(stack, epochs, report, way=way)
    return sorted(results, key=lambda result: result.run), history


def stacked_and_alone(
    make: Callable[[int], Member], seeds: Sequence[int], epochs: int = 3
) -> Iterator[tuple[Result, list[dict[str, float]], Result, list[dict[str, float]]]]:
    """In float64, for each seed: result and metrics of its run in a stack, and of it alone."""
    stacked, histories = run([make(seed) for seed in seeds], epochs, precision="float64")
    for position, seed in enumerate(seeds):
        (alone,), history = run([make(seed)], epochs, precision="float64")
        yield stacked[position], histories[position], alone, history[0]
