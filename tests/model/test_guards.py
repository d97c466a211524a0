"""Networks that draw what could not be drawn again, each refused by what it draws from."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.guards import checked_outputs, outputs_of

X = torch.arange(8.0).view(2, 4)


class Net(nn.Module):
    """What all of these are but for one line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.factor(x)

    def factor(self, x: Tensor) -> Tensor | float:
        return 1.0


class Python(Net):
    def factor(self, x: Tensor) -> float:
        return 0.5 if self.training and random.random() < 0.5 else 1.0


class NumPy(Net):
    def factor(self, x: Tensor) -> float:
        return float(np.random.uniform()) if self.training else 1.0  # noqa: NPY002


class Generator(Net):
    def factor(self, x: Tensor) -> float:
        return float(np.random.default_rng().uniform()) if self.training else 1.0


class InEvaluation(Net):
    def factor(self, x: Tensor) -> Tensor:
        return F.dropout(torch.ones(3), 0.5)


class Torchs(Net):
    def factor(self, x: Tensor) -> Tensor:
        return F.dropout(torch.ones(3), 0.5, self.training)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Python, "Python draws from Python's global random state.*functions of torch"),
        (NumPy, "NumPy draws from NumPy's global random state"),
        (Generator, "Generator gives other outputs each time"),
        (InEvaluation, "InEvaluation draws in evaluation mode too.*self.training"),
    ],
)
def test_what_could_not_be_drawn_again_is_refused(kind: type[nn.Module], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_outputs(kind(), X)


class RunningMean(Net):
    """Takes the mean of what it has seen away."""

    persistent = False

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4), persistent=self.persistent)
        self.mean: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.move(x.detach().mean(0))
        return self.layer(x if self.mean is None else x - self.mean)

    def move(self, mean: Tensor) -> None:
        self.get_buffer("mean").mul_(0.9).add_(0.1 * mean)


class Replaced(RunningMean):
    def move(self, mean: Tensor) -> None:
        self.mean = 0.9 * self.get_buffer("mean") + 0.1 * mean


class First(RunningMean):
    """Begins with the first batch's."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = None

    def move(self, mean: Tensor) -> None:
        self.mean = mean if self.mean is None else 0.9 * self.mean + 0.1 * mean


class FirstKept(First):
    persistent = True


class Kept(RunningMean):
    persistent = True


class Fresh(RunningMean):
    """Its buffer is of the present batch alone."""

    def move(self, mean: Tensor) -> None:
        self.get_buffer("mean").copy_(mean)


@pytest.mark.parametrize("kind", [RunningMean, Replaced, First, FirstKept])
@pytest.mark.parametrize("rows", [X[:1], torch.zeros(1, 4)], ids=["numbers", "zeros"])
def test_buffers_that_no_state_dict_has_may_not_remember(
    kind: type[nn.Module], rows: Tensor
) -> None:
    network = nn.Sequential(nn.Identity(), kind())
    message = r"Sequential moves 1\.mean, a buffer that no .*; register .*persistent=True"
    with pytest.raises(ConfigError, match=message):
        checked_outputs(network, rows)


@pytest.mark.parametrize("kind", [Kept, Fresh])
def test_buffers_that_are_kept_or_made_anew_are_taken(kind: type[nn.Module]) -> None:
    network = kind()
    before = {name: value.clone() for name, value in network.named_buffers()}
    checked_outputs(network, X)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


class TriedIn(Net):
    """Looks at the shape of a part's outputs, and leaves it as it was for that."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Dropout(0.5).eval()


def test_a_part_that_was_left_in_evaluation_mode_is_refused() -> None:
    message = "part of TriedIn is in evaluation mode.*call part.train"
    with pytest.raises(ConfigError, match=message):
        checked_outputs(TriedIn(), X)
    checked_outputs(TriedIn().train(), X)


class Pair(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return self.layer(x), x


@pytest.mark.parametrize("call", [checked_outputs, outputs_of])
def test_what_gives_no_tensor_is_told(call: Callable[[nn.Module, Tensor], Tensor]) -> None:
    message = r"Pair gives a tuple.*expected a tensor \[rows, outputs\]"
    with pytest.raises(ConfigError, match=message):
        call(Pair(), X)


def test_layers_without_sizes_are_told_until_they_have_them() -> None:
    """Their first call draws weights, which looked like a draw in evaluation."""
    network = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    with pytest.raises(ConfigError, match="Sequential has layers of sizes that only a call tells"):
        checked_outputs(network, X)
    network(torch.cat([X, X]))
    assert len(checked_outputs(network, X)) == len(X)


@pytest.mark.parametrize("kind", [Net, Torchs])
def test_what_can_be_drawn_again_is_not(kind: type[nn.Module]) -> None:
    network = kind()
    before = torch.random.get_rng_state()
    assert torch.equal(checked_outputs(network, X), network.eval()(X))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_network_itself_is_left_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    checked_outputs(network, X)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


class Times(Net):
    def forward(self, x: Tensor) -> Tensor:
        x *= 2
        return self.layer(x)


class InTraining(Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x[:, 0] = 0
        return self.layer(x)


class InPlace(Net):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.first(x))


@pytest.mark.parametrize("kind", [Times, InTraining, InPlace])
def test_a_network_that_writes_into_its_inputs_is_refused(kind: type[nn.Module]) -> None:
    rows = X.clone() - 3
    with pytest.raises(ConfigError, match=f"the forward of {kind.__name__} writes into its inputs"):
        checked_outputs(kind(), rows)
    assert torch.equal(rows, X - 3)
