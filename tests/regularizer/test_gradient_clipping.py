"""Gradient clipping: torch's clip_grad_norm_ and clip_grad_value_."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from regexp.regularizer.base import GradientView
from tests.support import make_step, not_called, technique


def torchs(clip, gradients, limit):
    parameters = {name: torch.zeros_like(g).requires_grad_() for name, g in gradients.items()}
    for name, p in parameters.items():
        p.grad = gradients[name].clone()
    clip(parameters.values(), limit)
    return {name: p.grad for name, p in parameters.items()}


def norm(gradients):
    return torch.cat([g.flatten() for g in gradients.values()]).norm()


@pytest.mark.parametrize("limit", [0.3, 1.0, 1e3])
@pytest.mark.parametrize(("mode", "clip"), [("norm", clip_grad_norm_), ("value", clip_grad_value_)])
def test_is_torchs_to_the_bit(network, limit, mode, clip):
    ours = technique("gradient_clipping", limit=limit, mode=mode).gradient(
        make_step(), GradientView(network, network, not_called)
    )
    expected = torchs(clip, network, limit)
    assert all(torch.equal(ours[name], expected[name]) for name in network)


def test_bounds_the_norm_of_all_parameters_and_keeps_the_direction(network):
    clipped = technique("gradient_clipping", limit=0.5).gradient(
        make_step(), GradientView(network, network, not_called)
    )
    assert norm(network) > 1
    assert 0.5 - 1e-6 < norm(clipped) <= 0.5
    ratios = torch.cat([(clipped[name] / g).flatten() for name, g in network.items()])
    assert ratios.max() - ratios.min() < 1e-15


@pytest.mark.parametrize("mode", ["norm", "value"])
@pytest.mark.parametrize("limit", [math.inf, torch.tensor(math.inf)])
def test_no_limit_changes_no_bit(network, mode, limit):
    kind = type(technique("gradient_clipping"))
    gradients = {**network, "huge": torch.tensor([1e300, 1e300], dtype=torch.float64)}
    gradients["infinite"] = torch.tensor([math.inf, 1.0], dtype=torch.float64)
    new = kind(limit, mode).gradient(make_step(), GradientView(gradients, network, not_called))
    assert all(torch.equal(new[name], g) for name, g in gradients.items())


def test_limits_may_differ_from_run_to_run(network):
    kind = type(technique("gradient_clipping"))
    for mode in ("norm", "value"):

        def clip(limit, gradients, mode=mode):
            return kind(limit, mode).gradient(
                make_step(), GradientView(gradients, gradients, not_called)
            )

        stacked = {name: torch.stack([g, 2 * g]).float() for name, g in network.items()}
        both = torch.vmap(clip)(torch.tensor([0.5, 0.1], dtype=torch.float64), stacked)
        for run, limit in enumerate([0.5, 0.1]):
            alone = clip(limit, {name: g[run] for name, g in stacked.items()})
            for name, g in alone.items():
                torch.testing.assert_close(both[name][run], g)
