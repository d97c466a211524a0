"""Re-estimated running statistics: numpy's moments of what each layer sees, weighted by rows."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from regexp.model.layers import EachTime
from regexp.random import Rng
from regexp.regularizer.base import Tensors
from regexp.regularizer.batch_norm import BatchNorm
from regexp.regularizer.ghost_batch_norm import Ghost
from regexp.stack.lift import lift
from regexp.stack.member import Member
from regexp.stack.running_statistics import reestimate
from regexp.stack.stack import Stack
from tests.support import make_data, make_member, stacked_and_alone, technique, tensor
from tests.technique_runs import SMOOTH


class Gated(nn.Module):
    """What a stack has no form of its own for: batch normalization within a `vmap`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) * x.sigmoid()


class Own(nn.BatchNorm1d):
    """A layer that a `vmap` calls as it is; so are `nn.BatchNorm3d` and `nn.InstanceNorm1d`."""


# A layer with batch normalization, the shape of a row, and how a batch's values [..., 5] lie.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "batch norm": (lambda: nn.BatchNorm1d(5), (5,)),
    "sequences": (lambda: EachTime(nn.BatchNorm1d(5)), (3, 5)),
    "ghost": (lambda: Ghost(nn.BatchNorm1d(5), 4, 0), (5,)),
    "within a vmap": (Gated, (5,)),
    "all of a vmap": (lambda: nn.Sequential(Own(5)), (5,)),
}
SIZES = (8, 8, 2)  # rows of the batches


def state_of(model: nn.Module) -> Tensors:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {n: v.detach() for n, v in tensors.items() if v.is_floating_point()}


def moments(batches: list[Tensor], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance within parts of `size` rows, averaged with the parts' rows."""
    parts = [
        part.numpy().reshape(-1, part.shape[-1]) for batch in batches for part in batch.split(size)
    ]
    rows = [len(part) for part in parts]
    means = np.average([part.mean(0) for part in parts], 0, rows)
    return means, np.average([part.var(0, ddof=1) for part in parts], 0, rows)


@pytest.mark.parametrize("name", LAYERS)
def test_are_the_batches_moments_weighted_by_rows(name: str) -> None:
    """Alone and in a stack, where each run has rows of its own."""
    build, shape = LAYERS[name]
    part = 4 if name == "ghost" else 8
    models = [build().double().train() for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    stacked = [
        torch.randn(2, rows, *shape, generator=generator, dtype=torch.float64) * (index + 1)
        for index, rows in enumerate(SIZES)
    ]
    lifted = lift(copy.deepcopy(models)).train()
    both = reestimate(lifted, state_of(lifted), stacked, axis=1)
    for run, model in enumerate(models):
        own = [batch[run] for batch in stacked]
        alone = reestimate(model, state_of(model), own)
        for got in (alone, {n: value[run] for n, value in both.items()}):
            mean, var = (
                next(value.numpy() for n, value in got.items() if n.endswith(kind))
                for kind in ("running_mean", "running_var")
            )
            for ours, right in zip((mean, var), moments(own, part), strict=True):
                np.testing.assert_allclose(ours, right, rtol=1e-12, atol=1e-12)
        own_mean = next(value for n, value in model.named_buffers() if "mean" in n)
        assert torch.equal(own_mean, torch.zeros(5).double())


def test_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.3)).eval()
    before = copy.deepcopy(model.state_dict())
    reestimate(model, state_of(model), [torch.randn(6, 5)])
    assert model[1].momentum == 0.3
    assert not model.training
    assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


class Frozen(nn.Sequential):
    """A network that is tuned further with the statistics of its first normalization."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self[0].eval()
        return self


def test_layers_that_stay_in_evaluation_mode_keep_theirs() -> None:
    model = Frozen(nn.BatchNorm1d(5), nn.BatchNorm1d(5)).train()
    before, x = state_of(model), torch.randn(6, 5) + 3
    after = reestimate(model, before, [x])
    assert_close(after["0.running_mean"], before["0.running_mean"], rtol=0, atol=0)
    assert_close(after["1.running_mean"], x.mean(0), rtol=1e-4, atol=0)
    assert model[1].training


def averaging(seed: int, rows: int, drift: float) -> tuple[Stack, Tensor]:
    """One run whose average lags behind, on rows that drift from the first to the last; these."""
    data = make_data(seed, rows)
    tensor(data.train.inputs).add_(drift * torch.linspace(-1, 1, rows).unsqueeze(1))
    techniques = {"norm": BatchNorm(momentum=0.1, eps=1e-5), "ema": technique("ema", decay=0.9)}
    stack = Stack([make_member(seed, techniques, data=data)], 1, 64, precision="float64")
    for value in stack.memory["ema"].values():
        value.add_(0.01)
    return stack, tensor(data.train.inputs).double()


def test_a_run_takes_its_rows_in_an_order_of_its_stream() -> None:
    """66 rows in batches of 64: the two rows that are left over count as two."""
    stack, inputs = averaging(3, 66, drift=0.0)
    evaluated = stack.evaluated()
    order = Rng(3, "statistics").permutation(66)
    first = "hidden.0"
    weight, bias = (evaluated[f"{first}.layer.{kind}"] for kind in ("weight", "bias"))
    mean, var = moments(list((inputs[order] @ weight.T + bias).split(64)), 64)
    np.testing.assert_allclose(evaluated[f"{first}.norm.0.running_mean"].numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(evaluated[f"{first}.norm.0.running_var"].numpy(), var, rtol=1e-12)
    again = stack.evaluated()  # another order each time would make curves jump
    assert_close(evaluated, again, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["tabm", "batch_ensemble"])
def test_every_member_of_an_ensemble_sees_every_row(name: str) -> None:
    """As in training: of batches of 12 rows 20 of 32 members would see none."""
    techniques = {
        name: technique(name, members=32),
        "norm": BatchNorm(momentum=0.1, eps=1e-5), "ema": technique("ema", decay=0.9),
    }  # fmt: skip
    data = make_data(0, 66)
    stack = Stack([make_member(0, techniques, data=data)], 1, 12, precision="float64")
    for value in stack.memory["ema"].values():
        value.add_(0.01)
    evaluated = stack.evaluated()
    seen: list[Tensor] = []
    inner = stack.model.get_submodule("hidden.0.norm")
    [norm] = [module for module in inner.children() if isinstance(module, nn.BatchNorm1d)]
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    stack.model.load_state_dict(evaluated, strict=False)
    inputs = tensor(data.train.inputs).double()[Rng(0, "statistics").permutation(66)]
    with torch.no_grad():
        for batch in inputs.split(12):
            stack.model.eval()(batch.repeat_interleave(32, 0))
    mean, var = moments(seen, 12 * 32)
    [name_of] = [n for n, v in stack.model.named_modules() if v is norm]
    np.testing.assert_allclose(evaluated[f"{name_of}.running_mean"].numpy(), mean, rtol=1e-9)
    np.testing.assert_allclose(evaluated[f"{name_of}.running_var"].numpy(), var, rtol=1e-9)


def test_rows_that_drift_are_seen_in_no_order_of_theirs() -> None:
    """The variance is that of all rows; within batches of neighbours it is a fraction of that."""
    stack, inputs = averaging(0, 640, drift=20.0)
    evaluated = stack.evaluated()
    weight = evaluated["hidden.0.layer.weight"]
    values = inputs @ weight.T
    whole = values.var(0)
    assert (moments(list(values.split(64)), 64)[1] < 0.5 * whole.numpy()).any()
    assert_close(evaluated["hidden.0.norm.0.running_var"], whole, rtol=0.1, atol=0.0)


class Inner(nn.Module):
    """A module of a user's own, which a stack calls by `vmap`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x).tanh()


class Tuned(nn.Sequential):
    """Normalization with frozen statistics beside others, each in the two ways of a stack."""

    def __init__(self) -> None:
        norms = nn.BatchNorm1d(6), nn.BatchNorm1d(6)
        super().__init__(nn.Linear(5, 6), *norms, Inner(), Inner(), nn.Linear(6, 3))

    def train(self, mode: bool = True) -> Tuned:
        super().train(mode)
        self[1].eval()
        self[3].eval()
        return self


class Around(nn.Module):
    """A network that a stack calls by `vmap` as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.tuned = Tuned()

    def forward(self, x: Tensor) -> Tensor:
        return self.tuned(x)


@pytest.mark.parametrize("network", [Tuned, Around])
@pytest.mark.parametrize("names", [(), ("ema",), ("swag",), ("sam",)], ids="+".join)
def test_frozen_statistics_stay_in_a_stack_and_alone(
    network: type[nn.Module], names: tuple[str, ...]
) -> None:
    """Those of normalization that a network's own `train` keeps in evaluation mode."""

    def member(seed: int) -> Member:
        techniques = {name: technique(name) for name in names}
        return make_member(seed, techniques, SMOOTH, model=network)

    for result, _, alone, _ in stacked_and_alone(member, range(3)):
        for name, value in result.last["weights"].items():
            assert_close(value, alone.last["weights"][name], rtol=0, atol=1e-11)
            if name.endswith("running_mean"):
                moves = name.removeprefix("tuned.") in {"2.running_mean", "4.norm.running_mean"}
                assert bool(value.any()) is moves, name
