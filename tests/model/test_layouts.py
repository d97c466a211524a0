"""Which numbers of a weight lead into a unit or out of an input, by derivatives of the layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from regexp.model.layouts import Layout, weight_layouts
from regexp.regularizer.base import GradientView, Step
from tests.support import make_data, make_member, make_step, make_view, run, technique

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(4, 6, 2),
    "grouped": lambda: nn.Conv2d(4, 6, 2, groups=2),
    "depthwise": lambda: nn.Conv1d(4, 4, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 2),
    "transposed grouped": lambda: nn.ConvTranspose2d(4, 6, 2, groups=2),
    "transposed depthwise": lambda: nn.ConvTranspose1d(4, 4, 3, groups=4),
}  # fmt: skip
every_layer = pytest.mark.parametrize("kind", LAYERS)


def layer_of(kind: str) -> tuple[Any, Tensor, Layout]:
    """A layer, its weight, and how that lies."""
    torch.manual_seed(0)
    layer = LAYERS[kind]().double()
    layout = weight_layouts(nn.Sequential(layer)).get("0.weight", Layout())
    return layer, layer.get_parameter("weight"), layout


def rows(layer: Any) -> Tensor:
    return torch.rand((1, layer.in_channels, *[5] * len(layer.kernel_size))).double() + 0.1


def of_units(layer: Any, w: Tensor) -> Tensor:
    """Which numbers of `w` a unit depends on, for each: bool [units, *w.shape]."""
    outputs = layer(rows(layer))[0].flatten(1).sum(1)
    slopes = [torch.autograd.grad(one, w, retain_graph=True)[0] for one in outputs]
    return torch.stack(slopes) != 0


def of_inputs(layer: Any, w: Tensor) -> Tensor:
    """Which numbers of `w` multiply an input channel, for each: bool [inputs, *w.shape]."""
    masks = []
    for channel in range(layer.in_channels):
        x = torch.zeros_like(rows(layer))
        x[:, channel] = rows(layer)[:, channel]
        masks.append(torch.autograd.grad(layer(x).sum(), w)[0] != 0)
    return torch.stack(masks)


@every_layer
def test_units_and_inputs_are_those_of_the_layer(kind: str) -> None:
    layer, w, layout = layer_of(kind)
    for masks, first in (
        (of_units(layer, w), layout.units_first),
        (of_inputs(layer, w), layout.inputs_first),
    ):
        moved = first(w)
        assert len(moved) == len(masks)
        for number, mask in enumerate(masks):
            assert torch.equal(moved[number].flatten().sort()[0], w[mask].sort()[0])
        assert torch.equal(first(moved), w)


@every_layer
def test_norms_of_units_are_bounded(kind: str) -> None:
    layer, w, _ = layer_of(kind)
    masks = of_units(layer, w)
    new = one_step("max_norm", layer, limit=0.5)
    limits = [(new[mask].norm(), w[mask].norm().clamp(max=0.5)) for mask in masks]
    for ours, expected in limits:
        torch.testing.assert_close(ours, expected)
    unit = one_step("unit_norm", layer)
    assert [float(unit[mask].norm()) for mask in masks] == pytest.approx([1.0] * len(masks))


def step_of(layer: nn.Module) -> Step:
    step = make_step()
    return Step(**{**vars(step), "layouts": weight_layouts(layer)})


def one_step(name: str, layer: nn.Module, **numbers: object) -> Tensor:
    new = {"weight": layer.get_parameter("weight").detach()}
    changed: Tensor = technique(name, **numbers).constrain(step_of(layer), new, new)["weight"]
    return changed


@every_layer
@pytest.mark.parametrize("groups", ["incoming", "outgoing"])
def test_groups_of_the_lasso(kind: str, groups: str) -> None:
    layer, w, _ = layer_of(kind)
    masks = (of_units if groups == "incoming" else of_inputs)(layer, w)
    lasso = technique("group_lasso", strength=0.3, groups=groups)
    value = lasso.penalty(step_of(layer), make_view({"weight": w}))
    sizes = masks.flatten(1).sum(1).double()
    norms = torch.stack([w[mask].norm() for mask in masks])
    torch.testing.assert_close(value, 0.3 * (sizes.sqrt() * norms).sum())
    shrunk = one_step("group_lasso_proximal", layer, strength=0.7, groups=groups)
    # learning rate 0.1
    expected = (norms - 0.07 * sizes.sqrt()).clamp(min=0)
    torch.testing.assert_close(torch.stack([shrunk[mask].norm() for mask in masks]), expected)


@every_layer
def test_gradients_are_centred_and_clipped_by_units(kind: str) -> None:
    layer, w, _ = layer_of(kind)
    network = nn.Sequential(layer, nn.Linear(2, 2).double())
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    gradients = {name: torch.randn_like(p) for name, p in parameters.items()}
    kinds = {name: "weight" if "weight" in name else "bias" for name in parameters}
    step = Step(**{**vars(make_step(kinds=kinds)), "layouts": weight_layouts(network)})
    view = GradientView(gradients, parameters, lambda _: gradients)
    centred = technique("gradient_centralization").gradient(step, view)["0.weight"]
    clipped = technique("adaptive_gradient_clipping", limit=0.1).gradient(step, view)["0.weight"]
    g = gradients["0.weight"]
    for mask in of_units(layer, w):
        torch.testing.assert_close(centred[mask], g[mask] - g[mask].mean())
        torch.testing.assert_close(clipped[mask].norm(), 0.1 * w[mask].detach().norm())


@every_layer
def test_matrices_have_a_row_for_every_unit(kind: str) -> None:
    layer, w, _ = layer_of(kind)
    matrix = torch.stack([w[mask] for mask in of_units(layer, w)]).detach().numpy()
    view = make_view({"weight": w.detach()})
    largest = technique("spectral_penalty", strength=1.0).penalty(step_of(layer), view)
    assert float(largest) == pytest.approx(np.linalg.norm(matrix, 2) ** 2)
    distance = technique("orthogonal", strength=1.0).penalty(step_of(layer), view)
    small = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    gram = small @ small.T - np.eye(len(small))
    assert float(distance) == pytest.approx((gram**2).sum())


def test_parametrized_weights_lie_as_their_layers_do() -> None:
    up, plain = nn.ConvTranspose1d(4, 2, 3), nn.Linear(2, 2)
    normed = parametrizations.weight_norm(nn.ConvTranspose1d(4, 6, 3, groups=2))
    layouts = weight_layouts(nn.ModuleDict({"up": up, "normed": normed, "plain": plain}))
    assert layouts == {
        "up.weight": Layout(transposed=True),
        "normed.parametrizations.weight.original1": Layout(transposed=True, groups=2),
    }


def decoder() -> nn.Module:
    up = nn.ConvTranspose2d(4, 6, 2, groups=2)
    return nn.Sequential(nn.Unflatten(1, (4, 1, 1)), up, nn.Flatten(), nn.Linear(24, 3))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["alone", "stacked"])
def test_a_network_trains_with_units_of_its_own(seeds: tuple[int, ...]) -> None:
    data = partial(make_data, shape=(4,))
    members = [
        make_member(seed, {"max_norm": technique("max_norm", limit=0.1)}, model=decoder,
                    data=data(seed))
        for seed in seeds
    ]  # fmt: skip
    for result in run(members)[0]:
        w = result.last["weights"]["1.weight"].numpy()  # [inputs, units of a group, ...]
        units = [w[2 * group : 2 * group + 2, unit] for group in range(2) for unit in range(3)]
        norms = [np.linalg.norm(unit) for unit in units]
        assert norms == pytest.approx([0.1] * 6, rel=1e-5)
