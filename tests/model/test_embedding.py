"""Embeddings of features: their formulas, and the authors' package rtdl_num_embeddings 0.0.12."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from regexp.config.schema import conf_folder
from regexp.dataset.base import Data
from regexp.model.embedding import EachFeature, PeriodicDense, PiecewiseLinear, embedded
from regexp.model.embedding import Periodic as PeriodicEmbedding
from regexp.model.kinds import parameter_kinds
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.regularizer.cocktail import Cocktail
from regexp.sweeps.ingredients import build_model
from tests.support import make_data

Periodic = partial(
    PeriodicEmbedding, frequencies=4, sigma=0.5, width=6, activation=True, lite=False
)


@pytest.fixture
def rows() -> Tensor:
    """A usual feature, one of two values, a constant one, and one of many ties."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 4, generator=generator)
    x[:, 1] = (x[:, 1] > 0).float()
    x[:, 2] = 3.0
    x[:, 3] = x[:, 3].round()
    return x


def values(rows: Tensor) -> Tensor:
    """Rows within the bins and beyond them."""
    return torch.cat([rows, rows.amin(0, keepdim=True) - 2, rows.amax(0, keepdim=True) + 2])


def test_piecewise_linear_encoding_by_hand(rows: Tensor) -> None:
    """Eq. 1, value by value."""
    bins = 7
    encoding = PiecewiseLinear(4, bins, None)
    encoding.fit(rows)
    x = values(rows)
    ours = encoding(x).unflatten(-1, (4, bins))
    for feature in range(4):
        column = rows[:, feature].numpy()
        edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)).astype(np.float32))
        count = len(edges) - 1
        for row, value in enumerate(x[:, feature].tolist()):
            expected = []
            for t, (a, b) in enumerate(itertools.pairwise(edges)):
                part = (value - a) / (b - a)
                part = part if t == 0 else max(part, 0)
                expected.append(part if t == count - 1 else min(part, 1))
            got = ours[row, feature].tolist()
            if count:
                assert got[: count - 1] + got[-1:] == pytest.approx(expected, abs=1e-5)
            assert got[max(count - 1, 0) : -1] == [0] * (bins - max(count, 1))
    assert ours[:, 2].eq(0).all()  # what is constant says nothing


def test_piecewise_linear_embedding_begins_as_a_line(rows: Tensor) -> None:
    embedding = PiecewiseLinear(4, 7, 3)
    embedding.fit(rows)
    x = values(rows)
    line = x[..., None] * embedding.weight + embedding.bias
    assert torch.equal(embedding(x), line.flatten(1))


@pytest.mark.filterwarnings("ignore:The 1-th feature has just two bin edges")
def test_agrees_with_the_authors_package_on_bins(rows: Tensor) -> None:
    package = pytest.importorskip("rtdl_num_embeddings")
    rows = rows[:, [0, 1, 3]]  # the package refuses constant features
    ours = PiecewiseLinear(3, 7, 5)
    ours.fit(rows)
    bins = package.compute_bins(rows, n_bins=7)
    theirs = package.PiecewiseLinearEmbeddings(bins, 5, activation=False, version="B")
    assert isinstance(ours.linear, EachFeature)
    nn.init.normal_(ours.linear.weight)
    theirs.linear.weight.data = ours.linear.weight.data
    theirs.linear0.weight.data, theirs.linear0.bias.data = ours.weight.data, ours.bias.data
    x = values(rows)
    torch.testing.assert_close(ours(x), theirs(x).flatten(1), rtol=1e-5, atol=1e-5)
    encoding = PiecewiseLinear(3, 7, None)
    encoding.fit(rows)
    torch.testing.assert_close(encoding(x), theirs.impl(x).flatten(1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lite", [False, True])
def test_periodic_by_hand_and_as_the_authors_package(rows: Tensor, lite: bool) -> None:
    ours: Any = Periodic(4, lite=lite).double()
    x = values(rows).double()
    for feature in range(4):
        turns = 2 * math.pi * x[:, [feature]] * ours.frequencies[feature]
        own = 0 if lite else feature
        h = torch.cat([turns.cos(), turns.sin()], 1) @ ours.linear.weight[own]
        expected = (h + ours.linear.bias[own]).relu()
        got = ours(x)[:, 6 * feature : 6 * feature + 6]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    package = pytest.importorskip("rtdl_num_embeddings")
    theirs = package.PeriodicEmbeddings(
        4, 6, n_frequencies=4, frequency_init_scale=0.5, lite=lite
    ).double()
    theirs.periodic.weight.data = ours.frequencies.data
    weight, bias = ours.linear.weight.data, ours.linear.bias.data
    theirs.linear.weight.data = weight[0].T if lite else weight
    theirs.linear.bias.data = bias[0] if lite else bias
    torch.testing.assert_close(ours(x), theirs(x).flatten(1), rtol=0, atol=1e-13)


def test_periodic_without_relu_may_be_negative(rows: Tensor) -> None:
    assert Periodic(4, activation=False)(rows).min() < 0
    assert Periodic(4)(rows).min() == 0


def test_periodic_dense_by_hand(rows: Tensor) -> None:
    ours: Any = PeriodicDense(4, frequencies=5, sigma=0.5, width=3, rate=0.1)
    parts = []
    for f in range(4):
        turns = 2 * math.pi * rows[:, [f]] * 0.1 * ours.frequencies[f] + 0.1 * ours.phases[f]
        h = turns.cos() @ (0.1 * ours.linear.weight[f]) + 0.1 * ours.linear.bias[f]
        parts += [h, rows[:, [f]]]
    torch.testing.assert_close(ours(rows), torch.cat(parts, 1))


@torch.no_grad()
def test_initial_numbers_have_their_distributions() -> None:
    torch.manual_seed(0)
    plr = PeriodicEmbedding(100, 100, 0.3, 2, activation=True, lite=False)
    assert plr.frequencies.abs().max() <= 0.9
    assert plr.frequencies.std() == pytest.approx(0.3, rel=0.03)
    dense = PeriodicDense(100, 100, 0.3, 2, rate=0.5)
    for parameter in dense.parameters():
        parameter.mul_(0.5)
    assert dense.frequencies.std() == pytest.approx(0.3, rel=0.03)
    assert dense.phases.std() == pytest.approx(2 * math.pi / 12**0.5, rel=0.03)
    assert dense.linear.weight.std() == pytest.approx(0.1 * 2 / 12**0.5, rel=0.1)


@pytest.mark.parametrize("make", [partial(PiecewiseLinear, bins=7, width=3), Periodic])
def test_networks_have_one_before_their_first_layer(rows: Tensor, make: Any) -> None:
    mlp: Any = MLP((2, 2), 3, [8], "relu", make, rows.view(-1, 2, 2))
    assert mlp(rows.view(-1, 2, 2)).shape == (50, 3)
    torch.testing.assert_close(mlp(rows), mlp.output(mlp.hidden(mlp.encoding(rows))))
    resnet = ResNetMLP((4,), 3, 6, 8, 1, "relu", make, rows)
    assert resnet(rows).shape == (50, 3)
    kinds = parameter_kinds(mlp)
    weights = [name for name, kind in kinds.items() if kind == "weight"]
    assert weights == ["hidden.0.layer.weight", "output.weight"]  # embeddings do not decay


@pytest.mark.parametrize("name", ["mlp_ple", "realmlp"])
def test_it_is_the_training_split_that_is_learned_from(name: str) -> None:
    node: Any = OmegaConf.to_container(OmegaConf.load(conf_folder() / "model" / f"{name}.yaml"))
    data, others = make_data(0), make_data(1)

    def learned(data: Data) -> list[Tensor]:
        return list(build_model(node, data, Cocktail({}), 0).buffers())

    elsewhere = replace(data, validation=others.validation, test=others.test)
    ours = learned(data)
    assert len(ours) == 2
    assert all(map(torch.equal, ours, learned(elsewhere)))
    assert not any(map(torch.equal, ours, learned(others)))


def test_only_bins_need_rows(rows: Tensor) -> None:
    assert embedded(None, 4, None) == ({}, 4)
    assert embedded(Periodic, 4, None)[1] == 24
    with pytest.raises(ValueError, match="training split"):
        embedded(partial(PiecewiseLinear, bins=7, width=3), 4, None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseLinear(2, 0, 3), "model.embedding.bins"),
        (lambda: PiecewiseLinear(2, 3, 0), "model.embedding.width"),
        (lambda: Periodic(2, frequencies=0), "model.embedding.frequencies"),
        (lambda: Periodic(2, sigma=0.0), "model.embedding.sigma"),
        (lambda: PeriodicDense(2, 3, 0.1, 2, 0.0), "model.embedding.rate"),
        (lambda: PeriodicDense(2, 3, 0.1, 1, 0.1), "model.embedding.width"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
