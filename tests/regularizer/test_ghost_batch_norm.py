"""Ghost batch normalization: torch's nn.BatchNorm on every part of the batch, bit for bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.regularizer.ghost_batch_norm import Ghost, parts, shares
from regexp.stack.running_statistics import reestimate
from tests.support import make_member, run, technique

SHAPES = {0: (5,), 1: (6, 5), 2: (5, 4, 3)}


def ghost(size: int, dimensions: int = 0, momentum: float = 0.3) -> Ghost:
    kind = nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm1d
    norm = kind(5, momentum=momentum).double()
    with torch.no_grad():
        norm.weight.copy_(torch.rand(5))
        norm.bias.copy_(torch.rand(5))
    return Ghost(norm, size, dimensions)


def rows(count: int, dimensions: int = 0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *SHAPES[dimensions], generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(12, [4, 4, 4]), (14, [4, 4, 4, 2]), (13, [4, 4, 5]), (5, [5])],
)
def test_parts(count, sizes):
    assert parts(count, 4) == sizes


@pytest.mark.parametrize("dimensions", SHAPES)
def test_every_part_is_normalized_as_a_batch_of_its_own(dimensions):
    layer, x = ghost(4, dimensions), rows(14, dimensions)
    alone = copy.deepcopy(layer.norm)

    def normalized(part: torch.Tensor) -> torch.Tensor:
        if dimensions == 1:  # torch has the features of sequences second
            return alone(part.transpose(1, 2)).transpose(1, 2)
        return alone(part)

    expected = torch.cat([normalized(part) for part in x.split([4, 4, 4, 2])])
    if dimensions == 1:  # another order of the sums
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
    else:
        assert torch.equal(layer(x), expected)


def test_running_statistics_move_by_momentum_towards_the_mean_over_the_parts():
    layer = ghost(4, momentum=0.3)
    mean, var = layer.norm.running_mean.clone(), layer.norm.running_var.clone()
    for seed in range(3):
        x = rows(14, seed=seed)
        layer(x)
        each = x.split([4, 4, 4, 2])
        mean = 0.7 * mean + 0.3 * sum(len(p) / 14 * p.mean(0) for p in each)
        var = 0.7 * var + 0.3 * sum(len(p) / 14 * p.var(0) for p in each)
    torch.testing.assert_close(layer.norm.running_mean, mean)
    torch.testing.assert_close(layer.norm.running_var, var)
    assert layer.norm.momentum == 0.3
    expected = (x - mean) / (var + layer.norm.eps).sqrt() * layer.norm.weight + layer.norm.bias
    torch.testing.assert_close(layer.eval()(x), expected)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_shares_move_statistics_as_one_step_would(momentum):
    sizes, values = [4, 4, 5], [1.0, -2.0, 7.0]
    running = 10.0
    for value, share in zip(values, shares(sizes, momentum), strict=True):
        running += share * (value - running)
    mean = sum(size * value for size, value in zip(sizes, values, strict=True)) / 13
    assert running == pytest.approx((1 - momentum) * 10 + momentum * mean)


def test_a_small_batch_is_ordinary_batch_normalization():
    layer = ghost(8)
    alone = copy.deepcopy(layer.norm)
    x = rows(8)
    assert torch.equal(layer(x), alone(x))
    assert torch.equal(layer.norm.running_var, alone.running_var)


def test_reestimated_statistics_are_means_over_batches_and_parts():
    model = nn.Sequential(ghost(4))
    batches = [rows(8, seed=seed) for seed in range(3)]
    state = {n: v for n, v in model.state_dict().items() if v.is_floating_point()}
    fresh = reestimate(model, state, batches)
    each = [part for batch in batches for part in batch.split(4)]
    mean = torch.stack([part.mean(0) for part in each]).mean(0)
    var = torch.stack([part.var(0) for part in each]).mean(0)
    torch.testing.assert_close(fresh["0.norm.running_mean"], mean)
    torch.testing.assert_close(fresh["0.norm.running_var"], var)


def test_stands_between_layer_and_activation():
    for model in (
        MLP([8], 3, [16], "relu"),
        CNN([1, 8, 8], 3, [4], 16, "relu"),
        RecurrentNetwork([6, 2], 1, "gru", [5], [4], "relu"),
    ):
        built = technique("ghost_batch_norm", size=4).build(model)
        found = [n for n, m in built.named_modules() if isinstance(m, Ghost)]
        assert found
        assert all(name.endswith("norm.0") for name in found)


def test_runs_in_a_stack_agree_with_the_same_runs_alone():
    """With several parts a batch, which the YAML's size has not in small runs."""

    def members(*seeds):
        return [
            make_member(seed, {"ghost_batch_norm": technique("ghost_batch_norm", size=9)})
            for seed in seeds
        ]

    stacked, _ = run(members(0, 1), 2, precision="float64")
    (alone,), _ = run(members(1), 2, precision="float64")
    for name, value in alone.last["weights"].items():
        torch.testing.assert_close(stacked[1].last["weights"][name], value, rtol=1e-8, atol=1e-8)
