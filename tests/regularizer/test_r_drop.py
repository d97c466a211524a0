"""R-Drop: torch.distributions' divergence of two dropout passes; zero without dropout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, kl_divergence

from regexp.metrics.loss import cross_entropy
from regexp.model.layers import DropoutLayer, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.base import Batch, PenaltyView
from regexp.regularizer.cocktail import Cocktail
from tests.support import make_member, make_step, run, technique

ROWS = 12


def passes(**changes):
    """A view of a network with the technique's layers, and the outputs of its calls."""
    r_drop = technique("r_drop", **changes)
    torch.manual_seed(0)
    model = Cocktail({"r_drop": r_drop}).build(MLP([5], 3, [16, 16], "relu")).double()
    x = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(1)).double()
    note_shapes(model, x)
    fill_noise(model, Rng(0, "first"), ROWS)
    outputs, calls = model(x), []

    def network(inputs, parameters=None, rng=None):
        fill_noise(model, rng, ROWS)
        calls.append(model(inputs))
        return calls[-1]

    targets = F.one_hot(torch.arange(ROWS) % 3, 3).double()
    view = PenaltyView(
        dict(model.named_parameters()), outputs, Batch(x, targets), network, cross_entropy, {}
    )
    return r_drop, view, calls


def test_value_and_slope_are_those_of_both_divergences():
    r_drop, view, calls = passes(strength=0.7)
    penalty = r_drop.penalty(make_step(), view)
    assert not torch.equal(calls[0], view.outputs)
    one, other = Categorical(logits=view.outputs), Categorical(logits=calls[0])
    expected = 0.7 * (kl_divergence(one, other) + kl_divergence(other, one)).mean() / 2
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)
    parameters = list(view.parameters.values())
    ours, theirs = (
        torch.autograd.grad(value, parameters, retain_graph=True) for value in (penalty, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("share", [0.0, None])
def test_zero_without_dropout(share):
    r_drop, view, _ = passes(strength=0.7, dropout=share)
    assert r_drop.penalty(make_step(), view) == 0


def test_null_adds_no_layer():
    for share, count in ((None, 0), (0.3, 2)):
        model = technique("r_drop", dropout=share).build(MLP([5], 3, [16, 16], "relu"))
        assert sum(isinstance(module, DropoutLayer) for module in model.modules()) == count


def test_uses_the_dropout_of_others():
    """In the loop the second pass has new noise, so that a strength changes the weights."""

    def trained(strength):
        cocktail = {
            "dropout": technique("dropout"),
            "r_drop": technique("r_drop", strength=strength, dropout=None),
        }
        (result,), _ = run([make_member(techniques=cocktail)], epochs=1)
        return result.last["weights"]["output.weight"]

    assert not torch.equal(trained(1.0), trained(0.0))
