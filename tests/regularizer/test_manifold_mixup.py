"""Manifold mixup: mixup, when its turn is the inputs'; hidden values mixed by hand elsewhere."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.layers import blocks, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.base import Batch
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.common import pairs
from regexp.regularizer.manifold_mixup import Mixing
from tests.support import make_step, technique

ROWS, FEATURES = 7, 5


def network(alpha=2.0, name="mlp"):
    torch.manual_seed(0)
    model: nn.Module
    shape: tuple[int, ...]
    if name == "mlp":
        model, shape = MLP([FEATURES], 3, [6, 4], "tanh"), (FEATURES,)
    else:
        model, shape = CNN([2, 8, 8], 3, [3], 6, "tanh"), (2, 8, 8)
    cocktail = Cocktail({"manifold_mixup": technique("manifold_mixup", alpha=alpha)})
    model = cocktail.build(model).double()
    note_shapes(model, torch.zeros(1, *shape).double())
    return model, cocktail, torch.randn(ROWS, *shape).double()


def layers(model):
    return [module for module in model.modules() if isinstance(module, Mixing)]


def matrix_of(layer):
    """The matrix [rows, rows] that a layer multiplies its rows by."""
    return layer(torch.eye(ROWS, dtype=torch.float64))


def drawn(model, index):
    """The step of the cocktail, with the layers' noise filled as the loop does."""
    rng = Rng(0, "step", index)
    fill_noise(model, rng, ROWS)
    memory: dict[str, dict[str, torch.Tensor]] = {"manifold_mixup": {}}
    return dataclasses.replace(make_step(index, memory=memory), rng=rng), rng


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_one_layer_mixes_and_targets_are_mixed_as_it_does(name):
    model, cocktail, x = network(name=name)
    eye, turns = torch.eye(ROWS).double(), []
    for index in range(12):
        step, _ = drawn(model, index)
        matrices = [matrix_of(layer) for layer in layers(model)]
        turn = [n for n, matrix in enumerate(matrices) if not torch.equal(matrix, eye)]
        assert len(turn) == 1
        turns += turn
        matrix = matrices[turn[0]]
        assert torch.equal(cocktail.batch(step, Batch(x, eye)).targets, matrix)
        assert cocktail.batch(step, Batch(x, eye)).inputs is x
        torch.testing.assert_close(matrix.sum(0), torch.ones(ROWS).double())  # a permutation
        torch.testing.assert_close(matrix.sum(1), torch.ones(ROWS).double())  # convex
    assert set(turns) == {0, 1, 2}


def test_hidden_values_are_mixed_by_hand():
    model, _, x = network()
    plain, _, _ = network(alpha=0)
    for index in range(12):
        drawn(model, index)
        matrices = [matrix_of(layer) for layer in layers(model)]
        hidden = matrices[0] @ x
        for matrix, block in zip(matrices[1:], blocks(plain.eval()).values(), strict=True):
            hidden = matrix @ block(hidden)
        torch.testing.assert_close(model(x), plain.output(hidden), rtol=0, atol=1e-14)


def test_on_the_inputs_it_is_mixup():
    """With the draws of the same stream: outputs and targets are those of a batch mixed before."""
    model, cocktail, x = network()
    plain, mixup = network(alpha=0)[0].eval(), technique("mixup", alpha=2.0)
    targets, found = torch.rand(ROWS, 3).double(), 0
    for index in range(12):
        step, rng = drawn(model, index)
        if torch.equal(matrix_of(layers(model)[0]), torch.eye(ROWS).double()):
            continue
        found += 1
        shared = rng.fold("manifold_mixup", "shared")
        expected = mixup.batch(dataclasses.replace(step, rng=shared), Batch(x, targets))
        ours = cocktail.batch(step, Batch(x, targets))
        torch.testing.assert_close(ours.targets, expected.targets, rtol=0, atol=1e-15)
        torch.testing.assert_close(model(x), plain(expected.inputs), rtol=0, atol=1e-14)
    assert found > 0


def test_share_has_the_moments_of_the_beta_distribution():
    alpha, count = 2.0, 1500
    drawn_shares = [pairs(Rng(0, index), alpha, 9)[0] for index in range(count)]
    shares, variance = torch.stack(drawn_shares), 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 4 * (variance / count) ** 0.5
    assert abs(shares.var() - variance) < 0.15 * variance


def test_does_not_mix_the_members_of_an_ensemble():
    """Listed first it would also mix the targets by another permutation than the hidden rows."""
    names = ("manifold_mixup", "batch_ensemble")
    for order in (names, names[::-1]):
        with pytest.raises(ValueError, match=r"manifold_mixup: does not go .* batch_ensemble"):
            Cocktail({name: technique(name) for name in order})
