"""What is tried before anything is written: networks and techniques of users, and small batches."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.layers import Block
from regexp.regularizer.base import (
    Batch,
    Memory,
    ParameterKinds,
    PenaltyView,
    Regularizer,
    Step,
    Tensors,
)
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.plan import plan
from regexp.sweeps.stacks import run_stack
from tests.sweeps.test_plan import config


class Own(nn.Module):
    """What the networks here are made of."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(int(torch.tensor(input_shape).prod()), 6)
        self.second = nn.Linear(6, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x.flatten(1)).relu()))

    def between(self, x: Tensor) -> Tensor:
        return x


class Columns(Own):
    def between(self, x: Tensor) -> Tensor:
        return torch.column_stack(list(x.unbind(1)))


class Layered(Own):
    """What cannot be lifted is called at some depths alone."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, depth: int) -> None:
        super().__init__(input_shape, outputs)
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(depth)])

    def between(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.column_stack(list(layer(x).unbind(1)))
        return x


class TrainingOnly(Own):
    """What cannot be lifted is called in training alone."""

    def between(self, x: Tensor) -> Tensor:
        return x * (2.0 if self.training and x.mean() > 0 else 1.0)


class Sampled(Own):
    def between(self, x: Tensor) -> Tensor:
        return torch.distributions.Normal(x, 1.0).rsample() if self.training else x


class Spectral(Own):
    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        nn.utils.parametrizations.spectral_norm(self.first)


class Recurrent(Own):
    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.states = nn.LSTM(1, 6, num_layers=2, dropout=0.2, batch_first=True)

    def between(self, x: Tensor) -> Tensor:
        return self.states(x[..., None])[0][:, -1]


class Normed(Own):
    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.norm = nn.BatchNorm1d(6)

    def between(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Hidden(Own):
    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.block = Block(nn.Linear(6, 6), nn.ReLU())

    def between(self, x: Tensor) -> Tensor:
        return self.block(x)


class Masked(Own):
    """The gradient of a parameter is not what its pass makes of it."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.first.weight.register_hook(lambda gradient: gradient.tril())


class Scaled(Own):
    """The gradient of a layer is not what its pass makes of it."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.second.register_full_backward_pre_hook(halved)


def halved(layer: nn.Module, gradients: Any) -> Any:
    return (gradients[0] / 2,)


class Clamped(Own):
    """What the hook does, it does not do to the first gradients."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        self.first.weight.register_hook(lambda gradient: gradient.clamp(-9, 9))


class ClampedInside(Own):
    """The same of a tensor of the pass."""

    def between(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient.clamp(-9, 9))
        return x


class Doubling(torch.autograd.Function):
    """Has another gradient under `vmap`."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient

    @staticmethod
    def vmap(info: Any, axes: Any, x: Tensor) -> tuple[Tensor, Any]:
        return 2 * x - x.detach(), axes[0]


class Doubled(Own):
    def between(self, x: Tensor) -> Tensor:
        return Doubling.apply(x)


class Compiled(Own):
    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(input_shape, outputs)
        middle = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
        self.middle = torch.compile(middle, backend="eager")

    def between(self, x: Tensor) -> Tensor:
        return self.middle(x)


@dataclass(frozen=True)
class Global(Regularizer):
    """A technique that draws from behind the streams' back."""

    whose: str

    def batch(self, step: Step, batch: Batch) -> Batch:
        if self.whose == "torch":
            return batch._replace(inputs=batch.inputs + torch.rand_like(batch.inputs))
        return batch._replace(inputs=batch.inputs * (1 + random.random()))


DRAWS: dict[str, Callable[[], float]] = {
    "Python": random.random,
    "NumPy": np.random.rand,
    "torch": lambda: float(torch.rand(())),
}


@dataclass(frozen=True)
class Early(Regularizer):
    """A technique that draws so before the first step."""

    whose: str
    hook: str

    def build(self, model: nn.Module) -> nn.Module:
        if self.hook == "build":
            DRAWS[self.whose]()
        return model

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        scale = DRAWS[self.whose]() if self.hook == "init" else 1.0
        return {"scale": torch.full((), scale)}


@dataclass(frozen=True)
class Wrong(Regularizer):
    """A technique that fails in its second hook."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        raise KeyError("no such weight")


@dataclass(frozen=True)
class ByValue(Regularizer):
    """A technique that decides by the value of a tensor."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        total = sum((p.square().sum() for p in view.parameters.values()), torch.zeros(()))
        return total if total > 0 else -total


@dataclass(frozen=True)
class ByNumber(Regularizer):
    """A technique that decides by a number of its own."""

    strength: float

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        if self.strength == 0:
            return 0.0
        return self.strength * view.outputs.square().mean()


def job(model: type[nn.Module] | None, *overrides: str, **techniques: Any) -> DictConfig:
    """A job with classes of this file."""
    made = config(*overrides)
    if model is not None:
        made.model = {"_target_": f"{__name__}.{model.__name__}"}
    if techniques:
        made.regularizer = {
            name: node | {"_target_": f"{__name__}.{node['_target_']}"}
            for name, node in techniques.items()
        }
    return made


@pytest.mark.parametrize(
    ("model", "overrides", "why"),
    [
        (Columns, (), r"torch\.vmap has no rule for aten::column_stack; written with"),
        (TrainingOnly, (), "it decides by the values of tensors"),
        (Masked, (), "model: a hook on first.weight gets its gradients, and is not called"),
        (Scaled, (), "model: a hook on second gets its gradients, and is not called"),
        (Clamped, (), "model: a hook on first.weight gets its gradients, and is not called"),
        (ClampedInside, (), "its forward hooks a tensor, and hooks are not called there"),
        (Doubled, (), "a run of it has other gradients there than alone"),
        (Sampled, (), "it fills a new tensor with draws in place"),
        (Spectral, (), r"torch\.vmap has no rule for aten::"),
        (Recurrent, (), r"torch\.vmap has no rule for aten::lstm"),
        (Hidden, ("regularizer=decov",), "a technique reads the hidden block block of Hidden"),
    ],
)
def test_what_no_stack_can_train_is_planned_one_run_after_another(
    model: type[nn.Module], overrides: tuple[str, ...], why: str
) -> None:
    runs = plan(job(model, "seeds=2", *overrides))
    for run in runs:
        assert not run.config["stack"]
        [remark] = run.remarks
        assert re.match(
            rf"{model.__name__} cannot train as a stack of runs \({why}.*\); its runs train one "
            r"after another\.$",
            remark,
        )
    [single] = plan(job(model, "seeds=1", *overrides))
    assert single.config["stack"]  # nothing to stack, and nothing to say
    assert not single.remarks


def test_runs_of_a_search_and_of_a_grid_are_planned_so_too() -> None:
    grid = plan(job(Columns, "seeds=1", "+grid={optimizer.lr: [0.1, 0.01]}"))
    assert [run.config["stack"] for run in grid] == [False, False]
    assert len({run.fingerprint for run in grid}) == 2


def test_a_technique_that_no_stack_can_follow_is_named() -> None:
    runs = plan(job(None, "seeds=2", mine={"_target_": "ByValue"}))
    assert not runs[0].config["stack"]
    assert "MLP with mine cannot train as a stack" in runs[0].remarks[-1]


def test_numbers_that_differ_in_a_grid_are_tried_as_they_will_be() -> None:
    made = job(None, "seeds=2", mine={"_target_": "ByNumber", "strength": 0.1})
    assert all(run.config["stack"] for run in plan(made))  # of one number
    made.grid = {"optimizer.lr": [0.1, 0.01], "regularizer.mine.strength": [0.0, 0.1, 0.2]}
    runs = plan(made)
    assert len(runs) == 12
    assert not any(run.config["stack"] for run in runs)
    assert "numbers that differ from run to run are tensors too" in runs[0].remarks[-1]


def ignored(run: int, epoch: int, metrics: dict[str, float]) -> None:
    pass


def test_every_structure_of_a_job_is_tried() -> None:
    made = job(None, "seeds=2")
    made.model = {"_target_": f"{__name__}.Layered", "depth": 0}
    made.grid = {"model.depth": [0, 1]}
    runs = plan(made)
    assert not any(run.config["stack"] for run in runs)
    assert "no rule for aten::column_stack" in runs[0].remarks[-1]


def test_a_compiled_module_trains_in_a_stack() -> None:
    runs = plan(job(Compiled, "seeds=2", "trainer.epochs=1"))
    assert not [run.remarks for run in runs if run.remarks]
    first, second = (build_member(run) for run in runs)
    assert first.structure() == second.structure()
    for run, stacked in zip(runs, run_stack(runs, ignored), strict=True):
        [alone] = run_stack([run], ignored)
        assert alone.metrics["test/loss"] == pytest.approx(stacked.metrics["test/loss"], rel=1e-4)


@pytest.mark.parametrize("model", [None, Own])
def test_what_stacks_can_train_is_left_as_it_is(model: type[nn.Module] | None) -> None:
    runs = plan(job(model, "seeds=2"))
    assert all(run.config["stack"] for run in runs)
    assert not any(run.remarks for run in runs)


@pytest.mark.parametrize(
    ("overrides", "techniques", "message"),
    [
        ((), {"mine": {"_target_": "Global", "whose": "torch"}}, "torch's global random state"),
        ((), {"mine": {"_target_": "Global", "whose": "Python"}}, "Python's global random state"),
        (
            (),
            {"mine": {"_target_": "Wrong"}},
            "MLP with mine cannot train .*KeyError: 'no such weight'.*; --debug shows where",
        ),
    ],
)
def test_a_technique_that_cannot_train_is_told(
    overrides: tuple[str, ...], techniques: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(job(None, *overrides, **techniques))


@pytest.mark.parametrize("hook", ["build", "init"])
@pytest.mark.parametrize("whose", DRAWS)
def test_a_technique_that_draws_before_the_first_step_is_told(whose: str, hook: str) -> None:
    """But by torch when it builds, as it is given the run's own stream then."""
    made = job(None, "seeds=2", mine={"_target_": "Early", "whose": whose, "hook": hook})
    if (whose, hook) == ("torch", "build"):
        assert all(run.config["stack"] for run in plan(made))
        return
    message = rf"^regularizer\.mine: its {hook} draws from {whose}'s global random state"
    with pytest.raises(ConfigError, match=message):
        plan(made)


@pytest.mark.parametrize("model", [Normed, None])
def test_batch_normalization_of_one_row_is_told(model: type[nn.Module] | None) -> None:
    technique = () if model else ("regularizer=batch_norm",)
    with pytest.raises(ConfigError, match=r"^trainer\.batch_size: .*one row.*batch_size=2 or more"):
        plan(job(model, "trainer.batch_size=1", *technique))
    plan(job(model, "trainer.batch_size=2", *technique))
    plan(job(Own, "trainer.batch_size=1"))
