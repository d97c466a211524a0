"""The models: their shapes, the order of their layers, and what they refuse."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from regexp.config.schema import conf_folder
from regexp.errors import ConfigError, NotApplicable
from regexp.model.activation import ACTIVATIONS
from regexp.model.cnn import CNN
from regexp.model.layers import Block, DropoutLayer, Inputs, blocks, inputs, residuals
from regexp.model.mlp import MLP
from regexp.model.recurrent import recurrents
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.model.resnet_mlp import ResNetMLP
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.lift import lift
from regexp.stack.member import Member
from regexp.stack.vmapped import Vmapped
from regexp.sweeps.ingredients import build_model
from tests.support import make_data, make_member, stacked_and_alone

FOLDER = conf_folder() / "model"


@pytest.mark.parametrize("hidden", [[], [7], [64, 32, 16]])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_has_any_depth_width_and_activation(hidden: list[int], activation: str) -> None:
    model = MLP((2, 3), 4, hidden, activation)
    assert model(torch.zeros(5, 2, 3)).shape == (5, 4)
    sizes = [6, *hidden, 4]
    expected = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert sum(p.numel() for p in model.parameters()) == expected
    kinds = [type(block.activation) for block in model.modules() if isinstance(block, Block)]
    assert kinds == [ACTIVATIONS[activation]] * len(hidden)


def test_mlp_is_initialised_as_torchs_own_layers() -> None:
    torch.manual_seed(0)
    model = MLP((6,), 3, [8], "relu")
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(4, 6)
    assert torch.equal(model(x), plain(x))


def test_logistic_is_a_linear_model() -> None:
    model = instantiate(OmegaConf.load(FOLDER / "logistic.yaml"), input_shape=[2, 3], outputs=4)
    x = torch.randn(5, 2, 3)
    assert torch.equal(model(x), nn.functional.linear(x.flatten(1), *model.parameters()))
    with pytest.raises(NotApplicable, match="no hidden"):
        blocks(model)


def test_cnn_shapes() -> None:
    model = CNN((1, 8, 8), 10, [4, 8], 16, "relu")
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    assert [block.dimensions for block in blocks(model).values()] == [2, 2, 0]
    assert [block.features for block in blocks(model).values()] == [4, 8, 16]


def test_deep_cnn_by_hand() -> None:
    model = CNN((1, 9, 8), 3, [[4, 5], 6], None, "tanh")
    assert [block.features for block in blocks(model).values()] == [4, 5, 6]
    x = torch.randn(2, 1, 9, 8)
    *convolutions, output = zip(*[model.parameters()] * 2, strict=True)  # (weight, bias) pairs
    h = x
    for (weight, bias), pooled in zip(convolutions, [False, True, True], strict=True):
        h = F.conv2d(h, weight, bias, padding=1).tanh()
        h = F.max_pool2d(h, 2) if pooled else h
    torch.testing.assert_close(model(x), F.linear(h.mean((2, 3)), *output))


def test_resnet_mlp_by_hand() -> None:
    model = ResNetMLP((2, 3), 4, 7, 5, 2, "relu")
    assert [block.features for block in blocks(model).values()] == [5, 5]
    assert list(residuals(model)) == ["residual.0", "residual.1"]
    x = torch.randn(8, 2, 3)
    first, *branches, output = zip(*[model.parameters()] * 2, strict=True)
    h = F.linear(x.flatten(1), *first)
    for inner, outer in [branches[:2], branches[2:]]:
        h = h + F.linear(F.linear(h, *inner).relu(), *outer)
    torch.testing.assert_close(model(x), F.linear(h.relu(), *output))


@pytest.mark.parametrize(("kind", "torchs"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_recurrent_network_is_torchs_of_as_many_layers(kind: str, torchs: type) -> None:
    model = RecurrentNetwork((6, 3), 2, kind, [5, 5], [4], "tanh").double()
    theirs = torchs(3, 5, num_layers=2, batch_first=True).double()
    for layer, own in enumerate(recurrents(model).values()):
        for name, value in own.named_parameters():
            getattr(theirs, f"{name}_l{layer}").data = value.data
    assert [(b.dimensions, b.features) for b in blocks(model).values()] == [(1, 5), (1, 5), (0, 4)]
    x = torch.randn(7, 6, 3, dtype=torch.float64)
    after = nn.Sequential(*list(model)[3:])
    expected = after(theirs(x)[0][:, -1])
    torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-12)


MODELS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SHAPES = {  # of one row, for those that do not take any
    "cnn": (1, 8, 8), "deep_cnn": (1, 8, 8), "lstm": (6, 2), "gru": (6, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_runs_in_a_stack_agree_with_the_same_runs_alone(name: str) -> None:
    """With noise in every block where a block is; and no model needs vmap, which is slower."""
    shape = SHAPES.get(name, (5,))
    node: Any = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml"))

    def model(seed: int) -> nn.Module:
        built = build_model(node, make_data(seed, 64, shape), Cocktail({}), seed)
        for block in [module for module in built.modules() if isinstance(module, Block)]:
            block.dropout.append(DropoutLayer(0.3))
        return built

    def member(seed: int) -> Member:
        return make_member(seed, model=partial(model, seed), data=make_data(seed, 64, shape))

    lifted = lift([model(seed) for seed in range(2)])
    assert not any(isinstance(module, Vmapped) for module in lifted.modules())
    for result, metrics, alone, expected in stacked_and_alone(member, range(2), 2):
        torch.testing.assert_close(
            result.last["weights"], alone.last["weights"], rtol=1e-8, atol=1e-8
        )
        for ours, theirs in zip(metrics, expected, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP((3,), 2, [0], "relu"), "model.hidden"),
        (lambda: MLP((3,), 2, [4], "rellu"), "did you mean 'relu'"),
        (lambda: CNN((30,), 2, [4], 8, "relu"), "expects images"),
        (lambda: CNN((1, 4, 4), 2, [4, 4, 4], 8, "relu"), "at least 8 pixels"),
        (lambda: CNN((1, 8, 8), 2, [4, 0], 8, "relu"), "model.channels"),
        (lambda: CNN((1, 8, 8), 2, [[4, 4], []], 8, "relu"), "model.channels"),
        (lambda: CNN((1, 8, 8), 2, [4], 0, "relu"), "model.hidden: .* or null"),
        (lambda: RecurrentNetwork((30,), 2, "gru", [4], [], "relu"), "gru expects series"),
        (lambda: RecurrentNetwork((6, 2), 2, "rnn", [4], [], "relu"), "model.kind"),
        (lambda: RecurrentNetwork((6, 2), 2, "gru", [], [], "relu"), "model.features"),
        (lambda: RecurrentNetwork((6, 2), 2, "gru", [4], [0], "relu"), "model.hidden"),
        (lambda: ResNetMLP((3,), 2, 8, 0, 2, "relu"), "model.hidden"),
        (lambda: ResNetMLP((3,), 2, 8, 8, 0, "relu"), "model.depth"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_stand_in_order_whatever_order_they_come_in() -> None:
    model = MLP((3,), 2, [4, 4], "relu")
    for block in blocks(model).values():
        block.dropout.append(DropoutLayer(0.5))
        block.norm.append(nn.BatchNorm1d(block.features))
    kinds = [
        type(m) for m in next(iter(blocks(model).values())).modules() if not list(m.children())
    ]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, DropoutLayer]
    assert isinstance(inputs(model), Inputs)


def test_models_without_slots_say_so() -> None:
    plain = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"no hidden regexp\.model\.layers\.Block"):
        blocks(plain)
    with pytest.raises(ValueError, match=r"no regexp\.model\.layers\.Inputs"):
        inputs(plain)


def test_a_block_of_a_layer_that_it_does_not_know_is_refused():
    with pytest.raises(ConfigError, match=r"a Block of Conv1d; expected an nn\.Linear"):
        Block(nn.Conv1d(2, 3, 3), nn.ReLU())
