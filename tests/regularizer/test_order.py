"""The order of a cocktail: what must hold of the weights holds, wherever it is listed."""

from __future__ import annotations

import itertools

import pytest
import torch

from regexp.regularizer.base import weights
from regexp.regularizer.cocktail import Cocktail
from tests.support import make_member, run, technique


def trained(*names, **changes):
    cocktail = {name: technique(name, **changes.get(name, {})) for name in names}
    (result,), _ = run([make_member(0, cocktail)], epochs=6)
    return weights(result.last["weights"])


@pytest.mark.parametrize("other", ["weight_decay", "ema", "lookahead", "layerwise_lr_decay"])
def test_pruned_weights_stay_zero(other):
    for names in itertools.permutations(("pruning", other)):
        values = torch.cat([w.flatten() for w in trained(*names).values()])
        assert float((values == 0).double().mean()) == pytest.approx(0.8, abs=0.02)


def test_weights_that_must_not_be_negative_are_not():
    for names in itertools.permutations(("non_negative", "weight_decay")):
        found = trained(*names, weight_decay={"strength": 1.0})
        assert min(float(w.min()) for w in found.values()) == 0


def test_sparsity_comes_after_constraints_and_these_after_decay():
    names = ("pruning", "non_negative", "weight_decay", "max_norm")
    cocktail = Cocktail({name: technique(name) for name in names})
    order = [name for name, _ in cocktail._by_hook["constrain"]]
    assert order == ["weight_decay", "non_negative", "max_norm", "pruning"]
    assert [name for name, _ in cocktail._by_hook["weights"]] == ["pruning"]
