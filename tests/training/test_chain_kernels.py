"""The parts of a chain's step that are in C: torch's bits, whatever they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from regexp.random import Rng
from regexp.random import keep as masks
from regexp.stack.streams import StackedRng
from regexp.training.chain import kernels
from regexp.training.chain.activations import RELU
from regexp.training.chain.dropout import Dropout
from regexp.training.chain.kernels import (
    CompiledBatchNorm,
    compiled_cross_entropy,
    joined,
    passed,
)
from regexp.training.chain.layers import BatchNorm, Elementwise, Inputs
from regexp.training.chain.losses import cross_entropy
from tests.support import make_member, run, technique
from tests.training.test_chain import NETWORKS, ROWS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if kernels.kernels(torch.float32) is None or masks._library() is None:
        pytest.skip("there is no C compiler, or torch has other kernels on this processor")
    yield
    torch.set_num_threads(threads)


def bits(tensor: Tensor) -> Tensor:
    """To compare: 0 and -0 differ, and all NaN are one."""
    return torch.where(tensor.isnan(), torch.nan, tensor).view(torch.int32)


def values(*shape: int, which: int = 0) -> Tensor:
    return Rng(7, which).normal(shape)


@pytest.mark.parametrize("strange", [False, True], ids=["plain", "strange"])
@pytest.mark.parametrize("after", ["nothing", "relu", "dropout", "both", "both, scaled"])
@pytest.mark.parametrize(
    ("rows", "runs", "units"),
    [(2, 1, 1), (7, 1, 3), (50, 1, 9), (33, 2, 37), (128, 8, 64), (100, 3, 50), (64, 1, 2000)],
)
def test_batch_norm_has_the_bits_of_torchs(
    rows: int, runs: int, units: int, after: str, strange: bool
) -> None:
    inputs, gradient = 3 * values(rows, runs, units) + 1, values(rows, runs, units, which=1)
    if strange:
        for column, value in enumerate((0.0, torch.inf, torch.nan, -torch.inf, 3e38)):
            inputs.view(rows, -1)[-1, column : column + 1] = value
        inputs.view(rows, -1)[:, -1] = 1  # of variance 0
        gradient.view(rows, -1)[0, -2:] = torch.nan

    def computed(norm: Callable[..., BatchNorm]) -> dict[str, Tensor]:
        weight, bias, mean = (values(runs, units, which=n) for n in (2, 3, 4))
        statistics = mean, mean.square()
        pairs = [(one, torch.empty_like(one)) for one in (weight, bias)]
        entry = Inputs(rows, runs, units, torch.float32)
        entry.take(inputs.transpose(0, 1))
        layers: list[Any] = [norm(entry, *pairs, statistics, 0.3, 1e-3)]
        if after not in ("nothing", "dropout"):
            layers.append(Elementwise(layers[-1], RELU))
        if after not in ("nothing", "relu"):
            layers.append(Dropout(layers[-1], 0.4, scaled=after == "both, scaled"))
            layers[-1].draw(StackedRng(range(runs), "mask"))
        output = layers[-1].output
        layers = joined(layers)
        assert norm is BatchNorm or len(layers) == 1
        at_inputs = passed(layers, gradient.clone())
        names = ("output", "at the inputs", "mean", "variance", "weight", "bias")
        found = (output, at_inputs, *statistics, *(one for _, one in pairs))
        return dict(zip(names, map(bits, found), strict=True))

    library = kernels.kernels(torch.float32)
    assert library is not None
    ours = computed(partial(CompiledBatchNorm, library))
    for name, expected in computed(BatchNorm).items():
        assert torch.equal(ours[name], expected), name


def test_cross_entropy_has_the_bits_of_torchs() -> None:
    library = kernels.kernels(torch.float32)
    assert library is not None
    outputs, targets = 9 * values(3, 5, 33), Rng(1).integers(5, (33, 3)).T
    outputs[0, 0, :2] = torch.tensor([torch.inf, torch.nan])
    ours, torchs = torch.empty(2, 3, 5, 33).unbind()
    losses = compiled_cross_entropy(library)(outputs, targets, ours)
    assert torch.equal(bits(losses), bits(cross_entropy(outputs, targets, torchs)))
    assert torch.equal(bits(ours), bits(torchs))


@pytest.mark.parametrize("target", [-1, 5])
def test_a_target_that_is_no_class_is_refused_as_by_torch(target: int) -> None:
    library = kernels.kernels(torch.float32)
    assert library is not None
    targets = torch.full((3, 33), target)
    with pytest.raises(RuntimeError, match="out of bounds"):
        compiled_cross_entropy(library)(values(3, 5, 33), targets, torch.empty(3, 5, 33))


@pytest.mark.parametrize(
    "shape", [(), (0,), (3, 0), (1,), (3,), (5, 7), (1248,), (625, 4), (100, 51)]
)
def test_masks_have_the_bits_of_torchs(shape: tuple[int, ...]) -> None:
    shares = torch.tensor([0.0, 1e-9, 0.1, 0.5, 0.99999, 2**-16])
    found = StackedRng(range(6), "x").keep(shape, shares)
    for seed, share in enumerate(shares.tolist()):
        [generator] = Rng(seed, "x").generators()
        assert torch.equal(found[seed], masks.keep16(torch.empty(shape), generator, share))


@pytest.mark.parametrize("runs", [1, 3, 11])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_trains_to_the_same_bits_without(
    name: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained() -> Any:
        techniques = {"weight_decay": technique("weight_decay", strength=0.01)}
        members = [make_member(seed, techniques, model=NETWORKS[name]) for seed in range(runs)]
        return run(members, 2, ROWS, "auto")

    ends, metrics = trained()
    with monkeypatch.context() as context:
        context.setattr(kernels, "_tried", lambda: None)
        context.setattr(masks, "_library", lambda: None)
        plain_ends, plain_metrics = trained()
    assert metrics == plain_metrics
    for mine, plain in zip(ends, plain_ends, strict=True):
        for key, value in mine.last["weights"].items():
            assert torch.equal(value, plain.last["weights"][key]), key


def test_several_threads_take_torchs_operations() -> None:
    """Which make their sums in another order there."""
    torch.set_num_threads(2)
    assert kernels.kernels(torch.float32) is None
    assert kernels.kernels(torch.float64) is None
