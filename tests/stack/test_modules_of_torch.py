"""The table of docs/models.md, on how torch's modules train in a stack, against trying each."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from regexp.errors import ConfigError
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.stack.vmapped import Vmapped
from regexp.training.loop import train
from tests.support import make_data, make_member
from tests.technique_runs import SMOOTH

PAGE = Path(__file__).parents[2] / "docs" / "models.md"

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")


class Calls(nn.Module):
    """A module that calls another in its own way, or a function in training."""

    def __init__(self, call: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.call = call
        self.inner = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        if self.inner or self.training:
            return self.call(*self.inner, x)
        return x


def states(layer: nn.Module) -> nn.Module:
    return Calls(lambda layer, x: layer(x)[0], layer)


def cell(layer: nn.Module) -> nn.Module:
    def hidden(layer: nn.Module, x: Tensor) -> Tensor:
        return layer(x)[0] if isinstance(layer, nn.LSTMCell) else layer(x)

    return Calls(hidden, layer)


def numbers(layer: nn.Module) -> nn.Module:
    return Calls(lambda layer, x: layer(x.abs().long().clamp(max=4)), layer)


def sampled(x: Tensor) -> Tensor:
    return torch.distributions.Normal(x, 1.0).rsample()


def encoder() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)


FLAT, SERIES, IMAGE, VOLUME = (6,), (6, 4), (4, 8, 8), (2, 4, 4, 4)
CHANNELS = (4, 6)  # of a series that has them first

MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(6, 4), FLAT),
    "Conv1d": (lambda: nn.Conv1d(4, 4, 3), CHANNELS),
    "Conv2d": (lambda: nn.Conv2d(4, 4, 3), IMAGE),
    "Conv3d": (lambda: nn.Conv3d(2, 2, 3), VOLUME),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 4, 3), IMAGE),
    "Bilinear": (lambda: Calls(lambda layer, x: layer(x, x), nn.Bilinear(6, 6, 4)), FLAT),
    "Embedding": (lambda: numbers(nn.Embedding(5, 3, padding_idx=0)), FLAT),
    "F.embedding": (
        lambda: Calls(
            lambda layer, x: F.embedding(x.abs().long().clamp(max=4), layer.weight, -4),
            nn.Embedding(5, 3),
        ),
        FLAT,
    ),
    "EmbeddingBag": (lambda: numbers(nn.EmbeddingBag(5, 3)), FLAT),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), FLAT),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(2), VOLUME),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), IMAGE),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "LayerNorm": (lambda: nn.LayerNorm(6), FLAT),
    "RMSNorm": (lambda: nn.RMSNorm(6), FLAT),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), IMAGE),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), CHANNELS),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGE),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(2), CHANNELS),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), IMAGE),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(2), IMAGE),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), IMAGE),
    "Flatten": (lambda: nn.Flatten(), IMAGE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), FLAT),
    "Identity": (lambda: nn.Identity(), FLAT),
    "ReLU": (lambda: nn.ReLU(), FLAT),
    "PReLU": (lambda: nn.PReLU(), FLAT),
    "RReLU": (lambda: nn.RReLU(), FLAT),
    "GLU": (lambda: nn.GLU(), FLAT),
    "Softmax": (lambda: nn.Softmax(-1), FLAT),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.3), FLAT),
    "Dropout1d": (lambda: nn.Dropout1d(0.3), CHANNELS),
    "Dropout2d": (lambda: nn.Dropout2d(0.3), IMAGE),
    "Dropout3d": (lambda: nn.Dropout3d(0.3), VOLUME),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.3), FLAT),
    "FeatureAlphaDropout": (lambda: nn.FeatureAlphaDropout(0.3), IMAGE),
    "RNN": (lambda: states(nn.RNN(4, 3, 2, batch_first=True, dropout=0.2)), SERIES),
    "LSTM": (lambda: states(nn.LSTM(4, 3, 2, batch_first=True, dropout=0.2)), SERIES),
    "GRU": (lambda: states(nn.GRU(4, 3, batch_first=True)), SERIES),
    "RNNCell": (lambda: cell(nn.RNNCell(6, 3)), FLAT),
    "LSTMCell": (lambda: cell(nn.LSTMCell(6, 3)), FLAT),
    "GRUCell": (lambda: cell(nn.GRUCell(6, 3)), FLAT),
    "MultiheadAttention": (
        lambda: Calls(
            lambda layer, x: layer(x, x, x)[0],
            nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True),
        ),
        SERIES,
    ),
    "TransformerEncoderLayer": (encoder, SERIES),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(encoder(), 2),
        SERIES,
    ),
    "TransformerDecoderLayer": (
        lambda: Calls(
            lambda layer, x: layer(x, x), nn.TransformerDecoderLayer(4, 2, 8, batch_first=True)
        ),
        SERIES,
    ),
    "Transformer": (
        lambda: Calls(
            lambda layer, x: layer(x, x), nn.Transformer(4, 2, 1, 1, 8, batch_first=True)
        ),
        SERIES,
    ),
    "weight_norm": (lambda: parametrizations.weight_norm(nn.Linear(6, 4)), FLAT),
    "spectral_norm": (lambda: parametrizations.spectral_norm(nn.Linear(6, 4)), FLAT),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(6, 4)), FLAT),
    "F.dropout": (lambda: Calls(lambda x: F.dropout(x, 0.3)), FLAT),
    "F.scaled_dot_product_attention": (
        lambda: Calls(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)),
        SERIES,
    ),
    "F.gumbel_softmax": (lambda: Calls(lambda x: F.gumbel_softmax(x)), FLAT),
    "torch.rand": (lambda: Calls(lambda x: x + torch.rand(x.shape)), FLAT),
    "torch.randn_like": (lambda: Calls(lambda x: x + torch.randn_like(x)), FLAT),
    "torch.randperm": (lambda: Calls(lambda x: x[torch.randperm(len(x))]), FLAT),
    "torch.bernoulli": (lambda: Calls(lambda x: x * torch.bernoulli(x.sigmoid())), FLAT),
    "torch.multinomial": (
        lambda: Calls(lambda x: x + torch.multinomial(x.softmax(-1), 1)),
        FLAT,
    ),
    "torch.distributions.Normal.rsample": (lambda: Calls(sampled), FLAT),
}


def network(name: str) -> nn.Module:
    make, shape = MODULES[name]
    module = make()
    with torch.no_grad():
        features = module.eval()(torch.zeros(2, *shape)).flatten(1).shape[1]
    return nn.Sequential(module, nn.Flatten(), nn.Linear(features, 3))


def member(name: str, seed: int) -> Member:
    data = make_data(seed, 12, MODULES[name][1])
    return make_member(seed, optimizer=SMOOTH, model=lambda: network(name), data=data)


@cache
def tried(name: str) -> str:
    """How it trains with another run, which makes the same of both as each alone."""

    def trained(*seeds: int) -> tuple[Stack, list[dict[str, Tensor]]]:
        stack = Stack([member(name, seed) for seed in seeds], 1, 6, precision="float64")
        results = train(stack, 1, lambda *_: None)
        assert all(result.status == "FINISHED" for result in results)
        return stack, [result.last["weights"] for result in results]

    alone = [trained(seed)[1][0] for seed in (0, 1)]
    try:
        stack, together = trained(0, 1)
    except (ConfigError, RuntimeError, ValueError):
        return "one after another"
    for ours, own in zip(together, alone, strict=True):
        for key, value in ours.items():
            torch.testing.assert_close(value, own[key], rtol=0, atol=1e-12)
    return "vmap" if any(isinstance(m, Vmapped) for m in stack.model.modules()) else "lifted"


def documented() -> dict[str, str]:
    """Module: how it trains, as the page has it."""
    text = PAGE.read_text(encoding="utf-8").partition("## torch's modules in a stack")[2]
    rows = re.findall(r"^\| (lifted|vmap|one after another) \| (.*) \|", text, re.MULTILINE)
    return {name: way for way, names in rows for name in re.findall(r"`([\w.]+)`", names)}


@pytest.mark.parametrize("name", MODULES)
def test_the_page_says_how_a_module_trains_in_a_stack(name: str) -> None:
    assert documented()[name] == tried(name)


def test_the_page_names_what_is_tried_and_nothing_else() -> None:
    assert sorted(documented()) == sorted(MODULES)
