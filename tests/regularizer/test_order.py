"""The order of a cocktail: what must hold of the weights holds, wherever it is listed."""

from __future__ import annotations

import itertools

import pytest
import torch

from regexp.regularizer.base import Regularizer, parameter_kinds, weights
from regexp.regularizer.cocktail import Cocktail
from tests.support import BY_NAME, make_member, make_step, run, technique


def trained(*names, **changes):
    cocktail = {name: technique(name, **changes.get(name, {})) for name in names}
    member = make_member(0, cocktail)
    (result,), _ = run([member], epochs=6)
    kinds = parameter_kinds(member.model)
    return weights(result.last["weights"], kinds)


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
    calls = []

    def recorder(kind):
        class Recorder(Regularizer, kind=kind):
            def constrain(self, step, new, old):
                calls.append(kind)
                return new

            def weights(self, memory, state):
                calls.append(kind)
                return state

        return Recorder()

    cocktail = Cocktail({kind: recorder(kind) for kind in ("sparsity", "constraint", "decay")})
    memory = cocktail.init({}, BY_NAME)
    cocktail.constrain(make_step(memory=memory), {}, {})
    cocktail.weights(memory, {})
    assert calls == ["decay", "constraint", "sparsity"] * 2
