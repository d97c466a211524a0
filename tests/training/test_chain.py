"""The program of plain chains against `train_step`, which autograd differentiates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ConstantLR, CyclicLR, OneCycleLR, StepLR
from torch.testing import assert_close

from regexp.model.activation import ACTIVATIONS, activation_module
from regexp.model.layers import DropoutLayer
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.training.chain.activations import activation_of
from regexp.training.chain.dropout import Dropout
from regexp.training.chain.layers import Inputs
from regexp.training.chain.program import RUNS, Program
from tests.support import CONSTANT, make_data, make_member, run, technique

SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=1e-2, eps=1e-3)  # rounding is no step of its own
DROPOUT = {"dropout": technique("dropout", hidden=0.3, inputs=0.1)}
ROWS = 32
"""Of a batch; the training split has 90, so that the last batch is smaller."""


def assert_equal_to_rounding(
    make: Callable[[int], Member], runs: int = 3, epochs: int = 3, tolerance: float = 1e-9
) -> None:
    (ours, our_metrics), (general, their_metrics) = (
        run([make(seed) for seed in range(runs)], epochs, ROWS, way, precision="float64")
        for way in ("auto", "general")
    )
    stack = Stack([make(seed) for seed in range(runs)], epochs, ROWS, precision="float64")
    assert Program.of(stack) is not None
    close = partial(assert_close, rtol=tolerance, atol=tolerance)
    for mine, other in zip(ours, general, strict=True):
        assert (mine.status, mine.epochs) == (other.status, other.epochs)
        assert mine.last.keys() == other.last.keys()
        close(mine.last["weights"], other.last["weights"])
        close(mine.last["optimizer"]["state"], other.last["optimizer"]["state"])
        assert mine.last["optimizer"]["param_groups"] == other.last["optimizer"]["param_groups"]
        assert mine.last["scheduler"] == other.last["scheduler"]
        for one, theirs in zip(our_metrics[mine.run], their_metrics[mine.run], strict=True):
            assert one == pytest.approx(theirs, rel=tolerance, abs=tolerance)


def network(*layers: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Five features, some layers on five units, three outputs."""
    return lambda: nn.Sequential(*(layer() for layer in layers), nn.Linear(5, 3))


def linear() -> nn.Module:
    return nn.Linear(5, 5)


def norm() -> nn.Module:
    return nn.BatchNorm1d(5, momentum=0.3, eps=1e-3)


def dropout() -> nn.Module:
    return DropoutLayer(0.4)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "logistic": lambda: nn.Linear(5, 3),
    "mlp": lambda: MLP((5,), 3, [8, 16], "relu"),
    "without biases": network(partial(nn.Linear, 5, 5, bias=False), norm, nn.ReLU),
    "norm first": network(norm, linear, nn.ReLU),
    "dropout first": network(dropout, linear, nn.ReLU),
    "norm and dropout": network(linear, norm, nn.ReLU, dropout, linear, norm, nn.ReLU, dropout),
    "dropout before norm": network(linear, nn.ReLU, dropout, norm, linear, nn.ReLU, norm),
    "norm after an activation": network(linear, nn.Tanh, norm, linear, nn.GELU, norm),
    "norm after norm": network(linear, norm, norm, nn.ReLU),
    "two linear layers": network(linear, linear, dropout, linear),
    "dropout twice": network(linear, nn.ReLU, dropout, dropout, linear, nn.Tanh, dropout, dropout),
    "two activations": network(linear, nn.Tanh, nn.ReLU, nn.Sigmoid, dropout, nn.Tanh),
    "norm alone before the output": network(norm),
    "activation of the inputs": network(nn.Tanh, nn.Identity),
}


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_chain_trains_as_by_autograd(name: str, runs: int) -> None:
    assert_equal_to_rounding(lambda seed: make_member(seed, {}, SGD, model=NETWORKS[name]), runs)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains_as_by_autograd(name: str) -> None:
    assert_equal_to_rounding(
        lambda seed: make_member(seed, DROPOUT, SGD, model=lambda: MLP((5,), 3, [8, 8], name))
    )


@pytest.mark.parametrize(
    "module",
    [nn.LeakyReLU(0.3), nn.ELU(0.7), nn.GELU("tanh"), nn.Softplus(2.0, 1.0), nn.ReLU(inplace=True)]
    + [activation_module(name) for name in ACTIVATIONS if name != "identity"],
    ids=str,
)
def test_every_activation_has_its_derivative(module: nn.Module) -> None:
    x = torch.linspace(-3, 3, 101, dtype=torch.float64).requires_grad_()
    expected = copy.deepcopy(module)(x.clone())
    [gradient] = torch.autograd.grad(expected.square().sum(), x)
    activation = activation_of(module)
    assert activation is not None
    y = torch.empty_like(x)
    with torch.no_grad():
        activation.forward(x, y)
        d = 2 * y
        activation.backward(d, y if activation.by_output else x)
    assert_close(y, expected.detach())
    assert_close(d, gradient)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": ADAM,
    "fused adam": partial(ADAM, fused=True),
    "adam with decay": partial(ADAM, weight_decay=0.1),
    "adamw": partial(torch.optim.AdamW, lr=1e-2, eps=1e-3, weight_decay=0.2, betas=(0.8, 0.9)),
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "sgd with decay": partial(SGD, weight_decay=0.1, dampening=0.2),
    "nesterov": partial(SGD, nesterov=True),
}


@pytest.mark.parametrize("runs", [1, RUNS + 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_steps_as_torchs(name: str, runs: int) -> None:
    assert_equal_to_rounding(lambda seed: make_member(seed, DROPOUT, OPTIMIZERS[name]), runs)


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_plain_loss_has_its_gradient(task: str, weighted: bool) -> None:
    def make(seed: int) -> Member:
        data = make_data(seed, task=task)
        if weighted:
            rows = torch.rand(len(data.train.inputs), generator=torch.Generator().manual_seed(seed))
            data = replace(data, train=replace(data.train, weights=rows))
        return make_member(seed, {}, SGD, data=data)

    assert_equal_to_rounding(make)


def test_rows_of_several_dimensions_are_flattened() -> None:
    def make(seed: int) -> Member:
        model = lambda: MLP((2, 3, 3), 3, [8], "relu")
        return make_member(seed, DROPOUT, SGD, model=model, data=make_data(seed, shape=(2, 3, 3)))

    assert_equal_to_rounding(make)


@pytest.mark.parametrize(
    ("scheduler", "interval"),
    [
        (partial(StepLR, step_size=1, gamma=0.5), "epoch"),
        (partial(StepLR, step_size=2, gamma=0.5), "step"),
        (partial(OneCycleLR, max_lr=0.1, total_steps=20), "step"),  # momentum changes too
    ],
)
def test_schedules_go_on_as_ever(scheduler: Any, interval: str) -> None:
    assert_equal_to_rounding(lambda seed: make_member(seed, {}, SGD, scheduler, interval), 10)


def test_runs_of_other_rates_optimizers_and_shares_are_steps_of_their_own() -> None:
    optimizers: list[Any] = [
        partial(SGD, lr=0.1),
        partial(SGD, lr=0.02),
        partial(SGD, lr=0.02),
        ADAM,
    ]

    def make(seed: int) -> Member:
        share = technique("dropout", hidden=0.1 * (seed % 5), inputs=None)
        return make_member(seed, {"dropout": share}, optimizers[seed % 4])

    assert_equal_to_rounding(make, RUNS + 5)


@pytest.mark.parametrize("scheduler", [CONSTANT, partial(StepLR, step_size=2, gamma=0.5)])
@pytest.mark.parametrize("optimizer", [ADAM, partial(ADAM, weight_decay=0.1)])
def test_adams_of_other_rates_step_as_each_does(optimizer: Any, scheduler: Any) -> None:
    """Together, where nothing but their rates is different; the last block has a single run."""

    def make(seed: int) -> Member:
        rate = 0.001 * (1 + seed % 5)
        return make_member(seed, DROPOUT, partial(optimizer, lr=rate), scheduler, "step")

    assert_equal_to_rounding(make, RUNS + 1)


class MovesBetas(ConstantLR):
    """A schedule of one's own, which torch's mark of such schedules does not tell of."""

    def __init__(self, optimizer: Any, beta: float) -> None:
        super().__init__(optimizer, factor=1.0, total_iters=1)
        self.beta = beta

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        if self.last_epoch > 1:
            self.optimizer.param_groups[0]["betas"] = (self.beta, 0.999)


@pytest.mark.parametrize("names", [(), ("l1",)])
@pytest.mark.parametrize(
    "schedulers",
    [
        [partial(OneCycleLR, max_lr=0.05, total_steps=40, pct_start=share) for share in (0.1, 0.5)],
        [partial(CyclicLR, base_lr=1e-3, max_lr=0.05, step_size_up=6, step_size_down=down)
         for down in (6, 2)],
        [partial(MovesBetas, beta=beta) for beta in (0.5, 0.8)],
    ],
)  # fmt: skip
def test_adams_whose_schedules_move_their_betas_step_as_each_does(
    schedulers: Sequence[Any], names: tuple[str, ...]
) -> None:
    """All begin with the same betas, so that one call of the kernel would do for all."""

    def make(seed: int) -> Member:
        techniques = {name: technique(name) for name in names}
        adam = partial(ADAM, fused=True)
        return make_member(seed, techniques, adam, schedulers[seed % 2], "step")

    members = [make(seed) for seed in range(4)]
    together, _ = run(members, 8, ROWS, "auto", precision="float64")
    for seed, one in enumerate(together):
        [alone], _ = run([make(seed)], 8, ROWS, "auto", precision="float64")
        assert_close(one.last["weights"], alone.last["weights"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("techniques", [(), ("batch_norm",), ("dropout", "early_stopping")])
def test_techniques_whose_steps_are_plain_train_as_ever(techniques: tuple[str, ...]) -> None:
    """Batch norm with SGD: what Adam makes of a bias before it is rounding, and here exactly 0."""
    assert_equal_to_rounding(
        lambda seed: make_member(seed, {name: technique(name) for name in techniques}, SGD),
        RUNS + 3,
        epochs=5,
    )


@pytest.mark.parametrize("p", [0.0, 0.25, torch.tensor([0.1, 0.5, 0.9])])
@pytest.mark.parametrize("units", [4, 5])  # a word of 64 bits has four draws
def test_masks_are_those_of_the_layer_to_the_bit(p: float | Tensor, units: int) -> None:
    before, seeds = Inputs(7, 3, units, torch.float32), (3, 5, 8)
    layer = Dropout(before, p, scaled=True)
    stack = Stack([make_member(seed) for seed in seeds], 1, ROWS)
    for step in range(2):
        before.take(torch.ones(3, 7, units))
        layer.draw(stack.rng("step", step))
        layer.forward()
        for position, seed in enumerate(seeds):
            share = float(p[position]) if isinstance(p, Tensor) else p
            expected = Rng(seed, "step", step).keep((7, units), share)
            assert torch.equal(layer.output[:, position], expected)


def test_one_run_agrees_with_the_loop_written_by_hand() -> None:
    member = make_member(3, {}, SGD, model=lambda: MLP((5,), 3, [8, 8], "tanh"))
    model, data = copy.deepcopy(member.model), member.data
    [result], _ = run([member], 4, ROWS, "auto")
    optimizer, inputs = SGD(model.parameters()), torch.as_tensor(data.train.inputs)
    for epoch in range(4):
        for rows in Rng(3, "order", epoch).permutation(len(inputs)).split(ROWS):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[rows]), data.train.targets[rows]).backward()
            optimizer.step()
    assert_close(result.last["weights"], dict(model.state_dict()), rtol=1e-4, atol=1e-6)


def test_a_run_in_a_stack_agrees_with_the_same_run_alone() -> None:
    members = [make_member(seed, DROPOUT, SGD) for seed in range(RUNS + 2)]
    together, _ = run(members, 3, ROWS, "auto", precision="float64")
    for seed in (0, RUNS + 1):
        [alone], _ = run([make_member(seed, DROPOUT, SGD)], 3, ROWS, "auto", precision="float64")
        assert_close(together[seed].last["weights"], alone.last["weights"])
