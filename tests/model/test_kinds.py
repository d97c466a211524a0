"""Kinds of parameters, held against lists by hand of networks with parameters of every sort."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from regexp.errors import ConfigError
from regexp.model.kinds import (
    PARAMETER_KINDS,
    in_order,
    kinds_of,
    own_kinds,
    parameter_kinds,
)
from regexp.model.recurrent import Recurrent
from tests.support import TiedLanguageModel


def weights_of(model: nn.Module) -> set[str]:
    return {name for name, kind in parameter_kinds(model).items() if kind == "weight"}


class ChannelNorm(nn.Module):
    """A normalization of a user's own, with parameters of three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 1))
        self.bias = nn.Parameter(torch.zeros(4, 1, 1))


class ViT(nn.Module):
    """Tensors of two dimensions and more that are weights, and others that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.positions = nn.Parameter(torch.zeros(1, 5, 4))
        self.table = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm((5, 4))
        self.channel_norm = ChannelNorm()
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.other_attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=2)
        self.rnn = nn.LSTM(4, 3, proj_size=2)
        self.cell = nn.GRUCell(4, 3)
        self.pair = nn.Bilinear(4, 4, 2)
        self.up = nn.ConvTranspose1d(4, 2, 3)
        self.slope = nn.PReLU(4)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("window", torch.ones(5, 5))
        self.head = nn.Linear(4, 3)


def test_the_owner_decides_not_the_dimension() -> None:
    kinds = parameter_kinds(ViT())
    assert list(kinds) == [name for name, _ in ViT().named_parameters()]  # no buffer, same order
    assert {name for name, kind in kinds.items() if kind == "weight"} == {
        "patches.weight", "attention.in_proj_weight", "attention.out_proj.weight",
        "other_attention.q_proj_weight", "other_attention.k_proj_weight",
        "other_attention.v_proj_weight", "other_attention.out_proj.weight",
        "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_hr_l0",
        "cell.weight_ih", "cell.weight_hh", "pair.weight", "up.weight", "head.weight",
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "bias"} == {
        "patches.bias", "attention.in_proj_bias", "attention.out_proj.bias", "attention.bias_k",
        "attention.bias_v", "other_attention.in_proj_bias", "other_attention.out_proj.bias",
        "rnn.bias_ih_l0", "rnn.bias_hh_l0", "cell.bias_ih", "cell.bias_hh", "pair.bias", "up.bias",
        "head.bias",
    }  # fmt: skip
    assert {name: kinds[name] for name in kinds if kinds[name] not in ("weight", "bias")} == {
        "token": "other", "positions": "other", "slope.weight": "other", "scale": "other",
        "table.weight": "embedding",
        "norm.weight": "normalization", "norm.bias": "normalization",
        "channel_norm.weight": "normalization", "channel_norm.bias": "normalization",
    }  # fmt: skip


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(3), nn.BatchNorm3d(3), nn.SyncBatchNorm(3), nn.GroupNorm(1, 3),
        nn.InstanceNorm2d(3, affine=True), nn.LayerNorm((2, 3)), nn.RMSNorm((2, 3)),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_torchs_normalizations_have_no_weights(layer: nn.Module) -> None:
    assert set(parameter_kinds(layer).values()) == {"normalization"}


def parametrized() -> nn.Module:
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    parametrizations.weight_norm(model[0])
    parametrizations.spectral_norm(model[1])
    nn.utils.weight_norm(model[2])
    parametrizations.orthogonal(model[3])
    return model


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_what_is_trained_in_the_place_of_a_weight_is_one_and_lengths_are_not() -> None:
    assert weights_of(parametrized()) == {
        "0.parametrizations.weight.original1", "1.parametrizations.weight.original", "2.weight_v",
        "3.parametrizations.weight.original",
    }  # fmt: skip


class LowRank(nn.Module):
    """A parametrization whose two parts are both weights, with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3, 3))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.gain * (left @ right)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight[:, :1], weight[:1]


def test_parts_of_a_weight_are_weights_and_parameters_of_parametrizations_are_not() -> None:
    model = nn.ModuleDict({"layer": nn.Linear(3, 3), "norm": nn.LayerNorm((3, 3))})
    parametrize.register_parametrization(model["layer"], "weight", LowRank(), unsafe=True)
    parametrize.register_parametrization(model["norm"], "weight", nn.Tanh(), unsafe=True)
    path = "layer.parametrizations.weight"
    assert weights_of(model) == {f"{path}.original0", f"{path}.original1"}
    assert parameter_kinds(model)[f"{path}.0.gain"] == "other"
    alone = model["layer"]  # at the root, names begin with the parametrizations
    assert weights_of(alone) == {f"parametrizations.weight.original{i}" for i in (0, 1)}


class Kernels(nn.Module):
    """Says what its parameters are, as no name would tell."""

    parameter_kinds: ClassVar[dict[str, str]] = {"kernels": "weight", "weight": "other"}

    def __init__(self) -> None:
        super().__init__()
        self.kernels = nn.ParameterList([torch.ones(2, 3), torch.ones(3, 2)])
        self.weight = nn.Parameter(torch.ones(2, 2))
        self.factors = nn.Parameter(torch.ones(2, 2))
        self.parts = nn.ParameterDict({"weight": torch.ones(2, 2)})


def test_a_layer_may_say_what_its_parameters_are() -> None:
    kinds = parameter_kinds(nn.Sequential(Kernels()))
    assert kinds == {
        "0.kernels.0": "weight", "0.kernels.1": "weight", "0.weight": "other",
        "0.factors": "other", "0.parts.weight": "other",
    }  # fmt: skip


def test_a_kind_that_there_is_not_is_refused() -> None:
    class Wrong(nn.Linear):
        parameter_kinds: ClassVar[dict[str, str]] = {"weight": "wait"}

    with pytest.raises(ConfigError, match=r"Wrong.parameter_kinds says 'wait' of weight.*bias"):
        parameter_kinds(Wrong(2, 2))
    assert "wait" not in PARAMETER_KINDS


def test_a_shared_parameter_is_a_weight_if_any_of_its_modules_has_it_as_that() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    assert parameter_kinds(model) == {"table.weight": "embedding", "head.weight": "weight"}
    model["head"].weight = model["table"].weight
    assert parameter_kinds(model) == {"table.weight": "weight"}


def test_a_shared_weight_stands_where_it_is_used_last() -> None:
    kinds = parameter_kinds(TiedLanguageModel())
    assert list(kinds) == ["a.weight", "a.bias", "b.weight", "b.bias", "table.weight", "head.bias"]
    names = [name for name, _ in TiedLanguageModel().named_parameters()]
    assert names[0] == "table.weight"
    assert kinds_of(names, kinds) == ["output", "weight", "bias", "weight", "bias", "bias"]
    assert in_order(names, kinds) == list(kinds)


def test_kinds_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        parameter_kinds(nn.Linear(2, 2))["weight"] = "bias"  # type: ignore[index]


def test_own_kinds_are_those_of_a_layer_without_its_parts() -> None:
    assert own_kinds(Recurrent("gru", 2, 3)) == {
        "weight_ih": "weight", "weight_hh": "weight", "bias_ih": "bias", "bias_hh": "bias",
    }  # fmt: skip
    assert own_kinds(nn.Sequential(nn.Linear(2, 2))) == {}
