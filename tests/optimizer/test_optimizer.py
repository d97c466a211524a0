"""Every YAML of conf/optimizer, and which optimizers may step a stack of runs at once."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.optim import Optimizer

from regexp.optimizer import ELEMENTWISE
from regexp.optimizer.muon import MuonWithAdam

FOLDER = Path(__file__).parents[2] / "conf" / "optimizer"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
EXTRA = {"lion", "prodigy", "soap"}  # of pytorch_optimizer
ENTANGLED = {"adafactor", "muon", *EXTRA}

RUNS = 5
# Sizes that are and are not multiples of a vector register's.
SHAPES = [(64, 20), (64,), (7, 3), (13,), (3, 64), (1,)]

Factory = Callable[[Iterable[Tensor]], Optimizer]


def factory(name: str) -> Factory:
    if name in EXTRA:
        pytest.importorskip("pytorch_optimizer", reason="regexp[optimizers] is not installed")
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def train(net: nn.Module, optimizer: Optimizer | _Both, steps: int, first: int = 0) -> None:
    """Regression to a fixed linear map; batches depend on the step alone."""
    for index in range(first, first + steps):
        inputs = torch.randn(32, 5, generator=torch.Generator().manual_seed(index))
        loss = (net(inputs) - inputs[:, :3]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_all_first_order_optimizers_of_torch_are_there() -> None:
    torchs = [
        *("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon"),
        *("NAdam", "RAdam", "RMSprop", "Rprop", "SGD"),
    ]
    assert sorted({name.lower() for name in torchs} | EXTRA) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name: str) -> None:
    net = model()
    inputs = torch.randn(256, 5, generator=torch.Generator().manual_seed(0))
    before = (net(inputs) - inputs[:, :3]).square().mean()
    train(net, factory(name)(net.parameters()), 100)
    after = (net(inputs) - inputs[:, :3]).square().mean()
    assert after < 0.98 * before


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_regularize(name: str) -> None:
    """Without a gradient nothing moves: no decay of weights hides in a default."""
    net = model()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = factory(name)(net.parameters())
    for _ in range(3):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert all(map(torch.equal, net.parameters(), before))


@pytest.mark.parametrize("name", NAMES)
def test_resumed_is_uninterrupted_to_the_bit(name: str) -> None:
    """Its state dict is plain, complete and loads with weights_only."""
    whole, broken = model(), model()
    train(whole, factory(name)(whole.parameters()), 10)
    optimizer = factory(name)(broken.parameters())
    train(broken, optimizer, 5)
    file = io.BytesIO()
    torch.save((broken.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    of_net, of_optimizer = torch.load(file, weights_only=True)
    resumed = model()
    resumed.load_state_dict(of_net)
    optimizer = factory(name)(resumed.parameters())
    optimizer.load_state_dict(of_optimizer)
    train(resumed, optimizer, 5, first=5)
    assert all(map(torch.equal, resumed.parameters(), whole.parameters()))


def stacked_against_alone(
    make: Factory, shapes: Sequence[tuple[int, ...]]
) -> list[tuple[Tensor, ...]]:
    """Parameters after 20 steps: (of one optimizer on the stack, of an optimizer a run)."""
    draws = torch.Generator().manual_seed(0)
    stack = [nn.Parameter(torch.randn(RUNS, *shape, generator=draws)) for shape in shapes]
    alone = [[nn.Parameter(whole.detach()[run].clone()) for whole in stack] for run in range(RUNS)]
    optimizers = [make(parameters) for parameters in alone]
    together = make(stack)
    for _ in range(20):
        for index, whole in enumerate(stack):
            whole.grad = torch.randn(whole.shape, generator=draws)
            for run in range(RUNS):
                alone[run][index].grad = whole.grad[run].clone()
        together.step()
        for optimizer in optimizers:
            optimizer.step()
    return [
        (whole.detach(), torch.stack([run[index].detach() for run in alone]))
        for index, whole in enumerate(stack)
    ]


@pytest.mark.parametrize("name", sorted(set(NAMES) - ENTANGLED))
def test_elementwise_optimizers_step_a_stack_as_its_runs(name: str) -> None:
    assert type(factory(name)([nn.Parameter(torch.zeros(1))])) in ELEMENTWISE
    for together, alone in stacked_against_alone(factory(name), SHAPES):
        if name == "sgd":  # fused SGD rounds the elements beyond a full vector register otherwise
            torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(together, alone)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.Adam, {"amsgrad": True, "fused": True}),
        (torch.optim.Adam, {"foreach": True}),
        (torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
        (torch.optim.ASGD, {"t0": 5}),
    ],
)
def test_elementwise_with_other_settings(kind: type[Optimizer], options: dict) -> None:
    for together, alone in stacked_against_alone(lambda p: kind(p, **options), SHAPES):
        assert torch.equal(together, alone)


def test_elementwise_has_a_test_of_each() -> None:
    tested = {type(factory(name)([nn.Parameter(torch.zeros(1))])) for name in NAMES if
              name not in ENTANGLED}  # fmt: skip
    assert tested == ELEMENTWISE


def test_adafactor_is_not_elementwise() -> None:
    assert torch.optim.Adafactor not in ELEMENTWISE
    for together, alone in stacked_against_alone(factory("adafactor"), SHAPES):
        assert (together - alone).abs().max() > 1e-4


def test_muon_is_not_elementwise() -> None:
    """A stack of biases [runs, units] looks like a matrix to Muon, which mixes its runs."""
    assert not {MuonWithAdam, torch.optim.Muon} & ELEMENTWISE
    biases = [(16,), (8,), (3,)]
    with pytest.raises(ValueError, match="no hidden weight matrix"):
        stacked_against_alone(factory("muon"), biases)

    def muon_or_adam(params: Iterable[Tensor]) -> Optimizer:
        params = list(params)
        return torch.optim.Adam(params) if params[0].ndim == 1 else factory("muon")(params)

    together, alone = stacked_against_alone(muon_or_adam, biases)[0]
    assert (together - alone).abs().max() > 1e-4


def test_muon_is_muon_on_hidden_matrices_and_adam_on_the_rest() -> None:
    net, other = model(), model()
    named = dict(other.named_parameters())
    hidden = [named.pop("0.weight"), named.pop("2.weight")]
    rest = named.values()
    muon = torch.optim.Muon(
        hidden, lr=0.001, weight_decay=0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.Adam(rest, lr=0.001, fused=True)
    optimizer = factory("muon")(net.parameters())
    for index in range(5):
        train(net, optimizer, 1, first=index)
        train(other, _Both(muon, adam), 1, first=index)
    assert all(map(torch.equal, net.parameters(), other.parameters()))


class _Both:
    """Two optimizers stepped side by side, as a user of torch's Muon writes it."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self.optimizers = optimizers

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()


def test_muon_has_one_learning_rate_for_a_scheduler() -> None:
    optimizer = factory("muon")(model().parameters())
    torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0005, 0.0005]


def test_muon_survives_a_copy() -> None:
    net = model()
    optimizer = factory("muon")(net.parameters())
    train(net, optimizer, 3)
    net, twin = copy.deepcopy((net, optimizer))
    assert isinstance(twin, MuonWithAdam)
    assert twin.param_groups[0]["params"][0] is net[0].weight
    before = net[0].weight.detach().clone()
    train(net, twin, 1)
    assert not torch.equal(net[0].weight, before)


def test_muon_refuses_a_model_without_hidden_matrices() -> None:
    with pytest.raises(ValueError, match="no hidden weight matrix"):
        factory("muon")(nn.Linear(5, 3).parameters())
