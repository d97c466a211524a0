"""TabM: each member against a plain network of s W r by hand; the authors' package tabm 0.0.3."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from regexp.errors import NotApplicable
from regexp.model.embedding import Periodic
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng
from regexp.regularizer.base import Batch, PredictionView, parameter_kinds
from regexp.regularizer.batch_ensemble import MemberHead, MemberLinear
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.lift import lift
from regexp.stack.network import Network
from regexp.stack.vmapped import Vmapped
from tests.support import make_step, technique

MEMBERS = 3


def built(model, **options):
    return technique("tabm", members=MEMBERS, **options).build(model)


def plain():
    torch.manual_seed(0)
    return MLP((5,), 2, [6, 4], "relu")


@pytest.fixture
def model():
    """Two hidden layers whose adapters and biases are of any size; float64."""
    model = built(plain()).double()
    for name, parameter in model.named_parameters():
        if name.endswith(("factors", "bias")):
            nn.init.normal_(parameter)
    return model


@pytest.fixture
def inputs():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def member(model, index):
    """Member `index` as a plain network: its adapters multiplied into the weights."""
    plain = MLP((5,), 2, [6, 4], "relu").double()
    places = dict(model.named_modules())
    for name, linear in [(n, m) for n, m in plain.named_modules() if isinstance(m, nn.Linear)]:
        ours = places[name]
        each = {key: value.detach() for key, value in ours.named_parameters()}
        linear.bias.data = by_member(each["bias"])[index]
        if isinstance(ours, MemberHead):
            linear.weight.data = each["weight"].view(MEMBERS, 2, 4)[index]
        else:
            r, s = (by_member(each[f"{side}_factors"])[index] for side in ("input", "output"))
            linear.weight.data = s[:, None] * each["weight"] * r
    return plain


def by_member(vectors):
    return vectors.view(MEMBERS, -1)


def predicted(model, inputs):
    state = {name: value.detach() for name, value in model.state_dict().items()}
    view = PredictionView(state, Network(model, state, {}, {}), inputs, Rng(0))
    return technique("tabm", members=MEMBERS).predict({}, view)


def test_members_are_networks_of_their_own(model, inputs):
    expected = torch.stack([member(model, index)(inputs) for index in range(MEMBERS)])
    torch.testing.assert_close(predicted(model, inputs), expected.detach(), rtol=0, atol=1e-13)
    rows = expected[torch.arange(7) % MEMBERS, torch.arange(7)]  # row i is of member i modulo M
    torch.testing.assert_close(model(inputs), rows, rtol=0, atol=1e-13)


def test_loss_is_the_mean_of_the_members(model, inputs):
    targets = torch.eye(2, dtype=torch.float64)[torch.arange(7) % 2]
    batch = technique("tabm", members=MEMBERS).batch(make_step(), Batch(inputs, targets))
    ours = nn.functional.cross_entropy(model(batch.inputs), batch.targets)
    each = [nn.functional.cross_entropy(member(model, m)(inputs), targets) for m in range(MEMBERS)]
    torch.testing.assert_close(ours, torch.stack(each).mean(), rtol=0, atol=1e-14)


def test_agrees_with_the_authors_package(model, inputs):
    """Outputs of the members, and gradients of the mean of their losses."""
    tabm = pytest.importorskip("tabm")
    theirs = tabm.TabM(
        n_num_features=5, d_out=2, n_blocks=2, d_block=6, dropout=0.0, k=MEMBERS,
        start_scaling_init="random-signs",
    ).double()  # fmt: skip
    torch.manual_seed(0)
    model = built(MLP((5,), 2, [6, 6], "relu")).double()
    pairs = []  # a parameter of ours, what shows it as theirs, and theirs
    layers = [m for m in model.modules() if isinstance(m, MemberLinear)]
    vectors = {"bias": "bias", "r": "input_factors", "s": "output_factors"}
    for layer, (linear, *_) in zip(layers, theirs.backbone.blocks, strict=True):
        pairs.append((layer.weight, lambda w: w, linear.weight))
        for name, own in vectors.items():
            pairs.append((getattr(layer, own), by_member, getattr(linear, name)))
    pairs.append((model.output.weight, lambda w: w.view(MEMBERS, 2, 6).mT, theirs.output.weight))
    pairs.append((model.output.bias, by_member, theirs.output.bias))
    for parameter, shown, other in pairs:
        other.data = shown(parameter.detach()).clone()
    outputs = theirs(inputs)
    torch.testing.assert_close(
        predicted(model, inputs), outputs.detach().transpose(0, 1), rtol=0, atol=1e-13
    )
    targets = torch.arange(7) % 2
    batch = technique("tabm", members=MEMBERS).batch(make_step(), Batch(inputs, targets))
    gradients = torch.autograd.grad(
        nn.functional.cross_entropy(model(batch.inputs), batch.targets), [p for p, *_ in pairs]
    )
    expected = torch.autograd.grad(  # as their example trains it
        nn.functional.cross_entropy(outputs.flatten(0, 1), targets.repeat_interleave(MEMBERS)),
        [other for *_, other in pairs],
    )
    for (_, shown, _), gradient, other in zip(pairs, gradients, expected, strict=True):
        torch.testing.assert_close(shown(gradient), other, rtol=0, atol=1e-13)


def test_members_differ_by_the_first_adapter_and_the_head_alone():
    before = plain()
    model = built(copy.deepcopy(before))
    first, second = (m for m in model.modules() if isinstance(m, MemberLinear))
    assert first.input_factors.abs().eq(1).all()
    assert 0 < first.input_factors.eq(1).sum() < first.input_factors.numel()
    for layer in (first, second):
        assert layer.output_factors.eq(1).all()
        assert by_member(layer.bias).eq(layer.bias[: layer.out_features]).all()
    assert second.input_factors.eq(1).all()
    assert torch.equal(first.weight, before.hidden[0].layer.weight)
    assert model.output.weight.unique().numel() == MEMBERS * 2 * 4
    assert model.output.weight.abs().max() <= 4**-0.5  # as torch's nn.Linear(4, 2)
    normal = built(copy.deepcopy(before), first="normal").hidden[0].layer.input_factors
    assert not normal.abs().eq(1).any()


def test_members_begin_equal_in_a_second_branch_too():
    cocktail = Cocktail({name: technique(name) for name in ("tabm", "shake_shake")})
    model = cocktail.build(ResNetMLP((4,), 3, 5, 6, 1, "relu"))
    branch: Any = model.get_submodule("residual.0.branch")
    for first, second in (
        (branch.first.hidden.layer, branch.second.hidden.layer),
        (branch.first.output, branch.second.output),
    ):
        members = second.bias.unflatten(0, (second.members, -1))
        assert members.eq(members[0]).all()
        assert not torch.isclose(members[0], first.bias[: members.shape[1]]).any()
        assert not torch.isclose(second.weight, first.weight).any()


def test_an_embedding_is_shared_and_its_features_have_one_number_each():
    torch.manual_seed(0)
    embedding = partial(Periodic, frequencies=4, sigma=1, width=3, activation=True, lite=True)
    model = built(MLP((5,), 2, [6], "relu", embedding), first="normal")
    factors = model.hidden[0].layer.input_factors.view(MEMBERS, 5, 3)
    assert torch.equal(factors, factors[..., :1].expand(-1, -1, 3))
    assert factors.unique().numel() == MEMBERS * 5
    assert sum(isinstance(module, MemberLinear) for module in model.modules()) == 1


def test_weights_are_those_of_the_layers_and_heads():
    kinds = parameter_kinds(built(plain()))
    of_kind = {kind: [n for n in kinds if kinds[n] == kind] for kind in kinds.values()}
    assert of_kind["weight"] == ["hidden.0.layer.weight", "hidden.1.layer.weight", "output.weight"]
    assert len(of_kind["other"]) == 4
    assert len(of_kind["bias"]) == 3


def test_layers_stand_in_every_place_and_know_the_axis_of_runs():
    """A layer that is called twice, rows of several vectors, and a residual network."""
    twice = nn.Linear(4, 4)
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        twice = nn.Linear(4, 4)
        models.append(
            built(nn.Sequential(twice, nn.Tanh(), twice, nn.Linear(4, 2)), first="normal")
        )
    assert models[0][0] is models[0][2]
    lifted = lift(models)
    assert not any(isinstance(module, Vmapped) for module in lifted.modules())
    x = torch.randn(2, 4, 3, 4)  # [runs, rows, vectors, features]; rows of no whole number of M
    expected = torch.stack([model(each) for model, each in zip(models, x, strict=True)])
    torch.testing.assert_close(lifted(x), expected)
    one = torch.stack([models[0](x[0, :, v]) for v in range(3)], dim=1)
    torch.testing.assert_close(expected[0], one)
    residual = built(ResNetMLP((5,), 2, 6, 8, 1, "relu"))
    assert sum(isinstance(module, MemberLinear) for module in residual.modules()) == 3


def test_refusals():
    with pytest.raises(NotApplicable, match="fewer than two plain"):
        built(MLP((5,), 2, [], "relu"))
    with pytest.raises(NotApplicable, match=r"hidden\.0\.layer is parametrized already; list tabm"):
        built(technique("weight_norm").build(plain()))
    tied: Any = MLP((5,), 5, [5], "relu")
    frozen: Any = plain()
    tied.output.weight = tied.hidden[0].layer.weight
    frozen.output.weight.requires_grad_(False)
    for model in (tied, frozen):
        with pytest.raises(NotApplicable, match="the last layer of MLP is frozen or shares its"):
            built(model)


def test_what_is_frozen_stays_so_and_the_adapters_are_trained():
    network: Any = plain()
    network.hidden[0].requires_grad_(False)
    first = built(network).hidden[0].layer
    trained = {name for name, value in first.named_parameters() if value.requires_grad}
    assert trained == {"input_factors", "output_factors"}
