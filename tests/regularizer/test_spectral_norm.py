"""Spectral norm: torch's parametrizations.spectral_norm in training, svdvals in evaluation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import normalize
from torch.nn.utils import parametrizations

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from tests.support import make_member, run, technique
from tests.technique_runs import assert_same_bits


def network() -> Any:
    torch.manual_seed(0)
    return CNN([1, 8, 8], 3, [4], 16, "relu").double()


def hidden(model: Any) -> list[Any]:
    return [model.features[0].layer, model.hidden.layer]


def largest(weight: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(weight.detach().flatten(1))[0]


@pytest.mark.parametrize("iterations", [1, 3])
def test_trains_as_with_torchs_parametrization(iterations):
    """From the same v (a step of torch's begins with u = W v too)."""
    ours = technique("spectral_norm", iterations=iterations).build(network())
    theirs = network()
    for own, other in zip(hidden(ours), hidden(theirs), strict=True):
        parametrizations.spectral_norm(other, n_power_iterations=iterations)
        with torch.no_grad():
            start = normalize(torch.randn_like(own.parametrizations.weight[0].v), dim=0)
            own.parametrizations.weight[0].v.copy_(start)
            other.parametrizations.weight[0]._v.copy_(start)
    optimizers = [torch.optim.SGD(model.parameters(), 0.1) for model in (ours, theirs)]
    for x in torch.randn(5, 20, 1, 8, 8, dtype=torch.float64):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-12)
    for own, other in zip(hidden(ours), hidden(theirs), strict=True):
        assert torch.equal(own.parametrizations.weight[0].v, other.parametrizations.weight[0]._v)


def test_sigma_is_one():
    model = technique("spectral_norm").build(network())
    for layer in hidden(model):
        # it begins at the singular vector
        torch.testing.assert_close(largest(layer.weight).item(), 1.0, rtol=0, atol=1e-12)
        with torch.no_grad():
            layer.parametrizations.weight.original.normal_()
    for _ in range(200):
        trained = [largest(layer.weight) for layer in hidden(model)]
    assert all(abs(sigma - 1) < 1e-3 for sigma in trained)  # by power iteration
    model.eval()
    for layer in hidden(model):
        with torch.no_grad():  # exact at once, for weights that were never seen
            layer.parametrizations.weight.original.normal_()
        torch.testing.assert_close(largest(layer.weight).item(), 1.0, rtol=0, atol=1e-12)
    assert largest(model.output.weight) == largest(network().output.weight)


def test_evaluation_leaves_the_vector_alone():
    model = technique("spectral_norm").build(network()).eval()
    before = {n: v.clone() for n, v in model.named_buffers()}
    model(torch.randn(5, 1, 8, 8, dtype=torch.float64))
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name])


def test_weights_that_are_no_numbers_do_not_end_the_program():
    """A run that diverged must not take the others of its stack with it."""
    model = technique("spectral_norm").build(MLP([3], 2, [4], "relu")).eval()
    with torch.no_grad():
        model.hidden[0].layer.parametrizations.weight.original[0, 0] = float("nan")
    assert model(torch.ones(1, 3)).isnan().any()


def test_can_be_differentiated_by_torch_func_in_training():
    """Penalties do so, on the network and on its slope; the vector must not stop them."""
    model = technique("spectral_norm").build(MLP([3], 2, [4], "tanh").double())
    parameters = {n: p.detach() for n, p in model.named_parameters()}
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    x = torch.randn(3, dtype=torch.float64)

    def outputs(own, x):
        fresh = {n: b.clone() for n, b in buffers.items()}
        return torch.func.functional_call(model, {**own, **fresh}, (x[None],))[0]

    def penalty(own):
        return torch.func.jacrev(outputs, argnums=1)(own, x).square().sum()

    gradient = torch.func.grad(penalty)(parameters)
    name = "hidden.0.layer.parametrizations.weight.original"
    for index in ((0, 0), (2, 1)):
        shift = torch.zeros_like(parameters[name])
        shift[index] = 1e-6
        ends = [penalty({**parameters, name: parameters[name] + s * shift}) for s in (1, -1)]
        torch.testing.assert_close(
            gradient[name][index], (ends[0] - ends[1]) / 2e-6, rtol=1e-3, atol=1e-6
        )


def test_goes_with_a_jacobian_penalty_in_a_stack():
    def members(*seeds):
        names = ("spectral_norm", "jacobian")
        return [make_member(seed, {name: technique(name) for name in names}) for seed in seeds]

    stacked, _ = run(members(0, 1), 2, precision="float64")
    (alone,), _ = run(members(1), 2, precision="float64")
    for name, value in alone.last["weights"].items():
        torch.testing.assert_close(stacked[1].last["weights"][name], value, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["sam", "asam", "gsam", "look_sam", "weight_noise"])
@pytest.mark.parametrize("runs", [1, 2])
def test_a_second_pass_at_the_same_point_is_the_same(name: str, runs: int) -> None:
    """Its vectors move in each pass, and the second one starts where the first one did."""
    neutral = technique(name, **type(technique(name)).neutral)
    alone = {"spectral_norm": technique("spectral_norm")}
    ours, plain = (
        run([make_member(seed, techniques) for seed in range(runs)], epochs=3)[0]
        for techniques in (alone | {name: neutral}, alone)
    )
    for one, other in zip(ours, plain, strict=True):
        assert_same_bits(one.last["weights"], other.last["weights"])
