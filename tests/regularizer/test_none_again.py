"""None again: training without a technique of a network that torch makes of another seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.metrics.names import NOISE_FLOOR, NONE_AGAIN
from regexp.random import derive
from regexp.regularizer.base import HOOKS, overrides
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.plan import plan
from regexp.training.own_loop import Regularized
from tests.support import ADAM, make_member, run, technique, tensor


def test_is_plain_training_from_the_weights_of_another_stream():
    again, plain = make_member(3, {"none_again": technique("none_again")}), make_member(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(3, "init", "none_again"))
        for module in plain.model.modules():
            if isinstance(module, torch.nn.Linear):
                module.reset_parameters()
    (ours,), _ = run([again])
    (expected,), _ = run([plain])
    for key, value in expected.last["weights"].items():
        assert torch.equal(ours.last["weights"][key], value)
    assert ours.metrics | {"seconds": 0} == expected.metrics | {"seconds": 0}


def test_has_no_hook_and_the_name_that_comparisons_know():
    kind = type(technique(NOISE_FLOOR))
    assert f"{kind.__module__}.{kind.__qualname__}" == NONE_AGAIN
    assert not [hook for hook in HOOKS if overrides(technique("none_again"), hook)]


def test_differs_from_none_by_the_initial_weights_alone():
    """Also from a second arm of another name, and the techniques beside it draw as ever."""
    node = {"_target_": NONE_AGAIN}
    asked = ["dataset=iris", "model.hidden=[4]", "trainer.epochs=1", "regularizer=weight_norm"]
    [planned] = plan(compose(parse(asked)[0]).jobs[0].config)
    weight_norm = planned.config["regularizer"]
    arms = {}
    for names in (
        (),
        ("none_again",),
        ("further",),
        ("weight_norm",),
        ("none_again", "weight_norm"),
    ):
        techniques = {name: weight_norm.get(name, node) for name in names}
        arms[names] = build_member(
            replace(planned, config=planned.config | {"regularizer": techniques})
        )
    none, again, further, norm, both = arms.values()
    for arm in arms.values():
        for key in ("train", "validation", "test"):
            ours, theirs = getattr(arm.data, key), getattr(none.data, key)
            assert torch.equal(tensor(ours.inputs), tensor(theirs.inputs))
    first = [next(arm.model.parameters()) for arm in (none, again, further)]
    assert not any(torch.equal(first[a], first[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    rows = tensor(none.data.train.inputs)
    assert torch.allclose(norm.model(rows), none.model(rows), atol=1e-6)
    assert torch.allclose(both.model(rows), again.model(rows), atol=1e-6)


def test_a_loop_of_the_users_own_makes_the_weights_itself():
    network = torch.nn.Linear(5, 3)
    with pytest.raises(ValueError, match="none_again draws other initial weights, which are yours"):
        Regularized(
            network, {"none_again": technique("none_again")}, ADAM, example=torch.zeros(1, 5),
            classes=3, epochs=1, steps_per_epoch=1,
        )  # fmt: skip
