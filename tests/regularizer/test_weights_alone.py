"""What acts on weights leaves biases and normalization alone, to the bit, unless it is asked to."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import GradientView
from tests.support import BY_NAME, make_step, not_called, technique

ON_WEIGHTS = [
    ("cautious_decay", {"strength": 0.5}),
    ("gradient_centralization", {}),
    ("group_lasso_proximal", {"strength": 0.5}),
    ("layer_decay", {"strength": 0.5}),
    ("max_norm", {"limit": 0.01}),
    ("non_negative", {}),
    ("proximal_l1", {"strength": 0.5}),
    ("pruning", {}),
    ("unit_norm", {}),
    ("weight_decay", {"strength": 0.5, "mode": "coupled"}),
    ("weight_decay", {"strength": 0.5, "mode": "decoupled"}),
]


def changed(name, network, **changes):
    """The parameters that a last step changes, or their gradients."""
    made = technique(name, **changes)
    step = make_step(99, memory=made.init(network, BY_NAME))
    gradients = made.gradient(step, GradientView(network, network, not_called))
    new = made.constrain(step, network, network)
    return {
        key
        for key, p in network.items()
        if not (torch.equal(gradients[key], p) and torch.equal(new[key], p))
    }


@pytest.mark.parametrize(("name", "changes"), ON_WEIGHTS)
def test_leaves_biases_and_normalization_alone(name, changes, network):
    assert changed(name, network, **changes) == {"0.weight", "1.weight"}
    if hasattr(technique(name), "include"):
        assert changed(name, network, **changes, include="all") == set(network)
