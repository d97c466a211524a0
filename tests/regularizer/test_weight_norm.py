"""Weight norm: torch.nn.utils.parametrizations.weight_norm, its outputs, gradients and names."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from regexp.errors import NotApplicable
from regexp.model.cnn import CNN
from regexp.model.layers import Block
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.regularizer.base import parameter_kinds, weights
from regexp.regularizer.cocktail import Cocktail
from tests.support import make_member, run, technique


def network() -> Any:
    torch.manual_seed(0)
    return CNN([1, 8, 8], 3, [4], 16, "relu").double()


def test_is_torchs_parametrization_of_hidden_layers():
    ours, theirs = technique("weight_norm").build(network()), network()
    for block in (theirs.features[0], theirs.hidden):
        parametrizations.weight_norm(block.layer)
    with torch.no_grad():  # another length than the direction's
        for name, value in ours.named_parameters():
            if name.endswith("original0"):
                value.mul_(1.5)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(7, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    for (name, value), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert value.grad is not None, name
        torch.testing.assert_close(value.grad, other.grad, rtol=1e-11, atol=1e-11)


def test_begins_with_the_weights_that_the_model_has():
    model, plain = technique("weight_norm").build(network()), network()
    torch.testing.assert_close(
        model.hidden.layer.weight, plain.hidden.layer.weight, rtol=0, atol=1e-15
    )
    assert torch.equal(model.output.weight, plain.output.weight)


def test_the_length_is_all_that_g_sets():
    model = technique("weight_norm").build(network())
    for block in (model.features[0], model.hidden):
        g = block.layer.parametrizations.weight.original0
        with torch.no_grad():
            g.copy_(torch.rand_like(g))
        norms = torch.linalg.vector_norm(block.layer.weight.flatten(1), dim=1)
        torch.testing.assert_close(norms, g.flatten(), rtol=0, atol=1e-14)
        # what L2 sees of g, with include=all, is what it would see of the weights
        torch.testing.assert_close(g.square().sum(), block.layer.weight.square().sum())
    name = "hidden.layer.parametrizations.weight.original0"
    parameters, kinds = dict(model.named_parameters()), parameter_kinds(model)
    assert name not in weights(parameters, kinds)
    assert name in weights(parameters, kinds, "all")


def test_a_unit_without_a_direction_has_no_weights_and_no_slope():
    """Pruning and proximal steps make such units; 0 / 0 would end the run."""
    model = technique("weight_norm").build(network())
    v = model.hidden.layer.parametrizations.weight.original1
    with torch.no_grad():
        v[2] = 0
    weight = model.hidden.layer.weight
    assert torch.equal(weight[2], torch.zeros_like(weight[2]))
    assert (weight[3] != 0).all()
    model(torch.randn(7, 1, 8, 8, dtype=torch.float64)).square().sum().backward()
    assert all(value.grad.isfinite().all() for value in model.parameters())
    assert not v.grad[2].any()


def test_trains_where_pruning_takes_all_of_a_units_weights():
    techniques = {
        "weight_norm": technique("weight_norm"),
        "pruning": technique("pruning", sparsity=0.95),
    }
    (result,), _ = run([make_member(techniques=techniques)], epochs=20)
    assert result.status == "FINISHED", result.reason
    v = result.last["weights"]["hidden.0.layer.parametrizations.weight.original1"]
    assert (v == 0).all(1).any()  # else the test shows nothing


def test_recurrent_layers():
    torch.manual_seed(0)
    model = technique("weight_norm").build(RecurrentNetwork([6, 2], 1, "lstm", [5], [], "relu"))
    names = [n for n, _ in model.recurrent[0].layer.named_parameters()]
    assert names == [
        "bias_ih",
        "bias_hh",
        "parametrizations.weight_ih.original0",
        "parametrizations.weight_ih.original1",
        "parametrizations.weight_hh.original0",
        "parametrizations.weight_hh.original1",
    ]


@pytest.mark.parametrize("other", ["max_norm", "unit_norm", "spectral_penalty"])
@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "weight_standardization"])
def test_bounds_on_weights_whose_length_has_no_effect_are_refused(name, other):
    with pytest.raises(ValueError, match=f"{other}: does not go together with {name}"):
        Cocktail({name: technique(name), other: technique(other)})


class Tied(nn.Module):
    """Two hidden layers with one weight, and perhaps an output layer with it as well."""

    def __init__(self, *, output: bool) -> None:
        super().__init__()
        self.first = Block(nn.Linear(5, 5), nn.Tanh())
        self.second = Block(nn.Linear(5, 5), nn.Tanh())
        self.output = nn.Linear(5, 5)
        for layer in [self.second.layer, *([self.output] if output else [])]:
            layer.weight = self.first.layer.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.second(self.first(x)))


def test_layers_that_share_a_weight_go_on_to_do_so():
    torch.manual_seed(0)
    plain: Any = Tied(output=False)
    count = sum(p.numel() for p in plain.parameters())
    model: Any = technique("weight_norm").build(copy.deepcopy(plain))
    assert sum(p.numel() for p in model.parameters()) == count + 5  # a length a unit
    x = torch.randn(7, 5)
    torch.testing.assert_close(model(x), plain(x))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(x).square().sum().backward()
        optimizer.step()
    assert torch.equal(model.first.layer.weight, model.second.layer.weight)
    assert not torch.allclose(model.first.layer.weight, plain.first.layer.weight)
    with pytest.raises(NotApplicable, match="Tied has a layer that shares the weight of a hidden"):
        technique("weight_norm").build(Tied(output=True))
