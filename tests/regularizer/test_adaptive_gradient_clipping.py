"""Adaptive gradient clipping: timm's arithmetic, unit by unit; the bound of the paper's eq. 3."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from regexp.regularizer.base import GradientView, NotApplicable, parameter_kinds
from tests.support import TiedLanguageModel, make_step, not_called, technique

SHAPES = {
    "conv.weight": (4, 3, 2, 2), "conv.bias": (4,), "norm.weight": (4,), "norm.bias": (4,),
    "hidden.weight": (6, 5), "hidden.bias": (6,), "output.weight": (2, 6), "output.bias": (2,),
}  # fmt: skip


def tensors(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in SHAPES.items()
    }


def clipped(gradients, parameters, **numbers):
    made = technique("adaptive_gradient_clipping", **numbers)
    return made.gradient(make_step(), GradientView(gradients, parameters, not_called))


def norm(x):
    return x.norm(2.0) if x.ndim <= 1 else x.norm(2.0, dim=tuple(range(1, x.ndim)), keepdim=True)


def timms(g, p, limit, eps):
    """timm.utils.agc.adaptive_clip_grad for one parameter."""
    max_norm = norm(p).clamp_(min=eps).mul_(limit)
    grad_norm = norm(g)
    scaled = g * (max_norm / grad_norm.clamp(min=1e-6))
    return torch.where(grad_norm < max_norm, g, scaled)


@pytest.mark.parametrize(("limit", "eps"), [(0.01, 1e-3), (0.5, 1e-3), (0.9, 3.0)])
def test_is_timms(limit, eps):
    gradients, parameters = tensors(0, 0.8), tensors(1)
    ours = clipped(gradients, parameters, limit=limit, eps=eps)
    for name, g in gradients.items():
        expected = g if name.startswith("output") else timms(g, parameters[name], limit, eps)
        torch.testing.assert_close(ours[name], expected, rtol=1e-15, atol=0)
    assert any(torch.equal(ours[n], g) for n, g in gradients.items() if n[0] != "o") == (
        limit > 0.7
    )


def test_bound_holds_for_each_unit_and_directions_stay():
    gradients, parameters = tensors(0, 0.8), tensors(1)
    ours = clipped(gradients, parameters, limit=0.7)
    g, new, w = (x["hidden.weight"] for x in (gradients, ours, parameters))
    ratio = g.norm(dim=1) / w.norm(dim=1)
    assert (ratio > 0.7).any()
    assert (ratio < 0.7).any()
    expected = ratio.clamp(max=0.7) * w.norm(dim=1)
    torch.testing.assert_close(new.norm(dim=1), expected, rtol=1e-14, atol=0)
    assert torch.equal(new[ratio < 0.7], g[ratio < 0.7])
    turned = nn.functional.cosine_similarity(new, g)
    torch.testing.assert_close(turned, torch.ones_like(turned), rtol=1e-14, atol=0)


def test_zero_weights_can_move_and_zero_gradients_stay():
    parameters = {"a.weight": torch.zeros(2, 3), "b.weight": torch.ones(1, 2)}
    gradients = {"a.weight": torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]]),
                 "b.weight": torch.ones(1, 2)}  # fmt: skip
    new = clipped(gradients, parameters, limit=0.01, eps=1e-3)["a.weight"]
    torch.testing.assert_close(new, torch.tensor([[6e-6, 0.0, 8e-6], [0.0, 0.0, 0.0]]))


def test_a_normalization_is_one_unit_of_however_many_axes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.norm = nn.Linear(3, 6), nn.LayerNorm((3, 2))
            self.output = nn.Linear(6, 2)

    model = Net().double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    gradients = {name: torch.randn_like(p) for name, p in parameters.items()}
    step = make_step(kinds=parameter_kinds(model))
    made = technique("adaptive_gradient_clipping", limit=0.01)
    ours = made.gradient(step, GradientView(gradients, parameters, not_called))
    g, w = gradients["norm.weight"].flatten(), parameters["norm.weight"].flatten()
    torch.testing.assert_close(ours["norm.weight"].flatten(), timms(g, w, 0.01, made.eps))


def test_the_output_layer_is_known_when_it_is_a_table_of_words_too():
    model = TiedLanguageModel()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    gradients = {name: torch.ones_like(p) for name, p in parameters.items()}
    step = make_step(kinds=parameter_kinds(model))
    view = GradientView(gradients, parameters, not_called)
    new = technique("adaptive_gradient_clipping", limit=0.01).gradient(step, view)
    same = {name for name, g in gradients.items() if torch.equal(new[name], g)}
    assert same == {"table.weight", "head.bias"}


def test_the_output_layer_is_known_when_it_is_parametrized():
    output = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    model = nn.Sequential(nn.Linear(3, 4), output)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    gradients = {name: torch.ones_like(p) for name, p in parameters.items()}
    new = clipped(gradients, parameters)
    same = {name for name, g in gradients.items() if torch.equal(new[name], g)}
    assert same == {name for name in parameters if name.startswith("1.")}


@pytest.mark.parametrize("limit", [math.inf, torch.tensor(math.inf)])
def test_no_limit_changes_no_bit(limit):
    kind = type(technique("adaptive_gradient_clipping"))
    gradients = tensors(0) | {"conv.bias": torch.tensor([math.inf, 1.0, 0.0, 1e-300])}
    new = kind(limit, 1e-3).gradient(make_step(), GradientView(gradients, tensors(1), not_called))
    assert all(torch.equal(new[name], g) for name, g in gradients.items())


def test_numbers_may_differ_from_run_to_run():
    kind = type(technique("adaptive_gradient_clipping"))

    def clip(limit, eps, gradients, parameters):
        return kind(limit, eps).gradient(
            make_step(), GradientView(gradients, parameters, not_called)
        )

    stacked = [
        {name: torch.stack([g, 2 * g]).float() for name, g in tensors(seed).items()}
        for seed in (0, 1)
    ]
    limits, least = torch.tensor([0.5, 0.1]).double(), torch.tensor([1e-3, 5.0]).double()
    both = torch.vmap(clip)(limits, least, *stacked)
    for run in range(2):
        own = [{name: g[run] for name, g in values.items()} for values in stacked]
        alone = clip(float(limits[run]), float(least[run]), *own)
        for name, g in alone.items():
            torch.testing.assert_close(both[name][run], g)
            assert both[name].dtype == torch.float32


def test_refuses_a_model_of_an_output_layer_alone():
    made = technique("adaptive_gradient_clipping")
    for model in (nn.Linear(3, 2), nn.Sequential(nn.Flatten(), nn.Linear(3, 2))):
        with pytest.raises(NotApplicable, match=r"adaptive_gradient_clipping: .*gradient_clipping"):
            made.build(model)
