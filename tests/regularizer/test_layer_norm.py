"""Layer normalization: torch's nn.LayerNorm bit for bit, F.layer_norm of whole rows for images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from tests.support import technique


def test_is_torchs_layer_between_linear_and_activation():
    torch.manual_seed(0)
    ours = technique("layer_norm", eps=1e-3).build(MLP([8], 3, [16], "relu"))
    torch.manual_seed(0)
    hand = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16, eps=1e-3), nn.ReLU(), nn.Linear(16, 3))
    x = torch.randn(20, 8)
    assert torch.equal(ours(x), hand(x))
    assert torch.equal(ours.eval()(x), hand(x))  # no row depends on others
    assert [p.shape for p in ours.parameters()] == [p.shape for p in hand.parameters()]


def test_standardizes_images_over_channels_and_pixels():
    torch.manual_seed(0)
    model = technique("layer_norm").build(CNN([1, 8, 8], 3, [4], 16, "relu")).double()
    norm = model.features[0].norm[0]
    x = 5 + 3 * torch.randn(7, 4, 8, 8, dtype=torch.float64)
    scale, shift = torch.rand(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    norm.load_state_dict({"weight": scale, "bias": shift})
    expected = F.layer_norm(x, [4, 8, 8], eps=1e-5) * scale.view(4, 1, 1) + shift.view(4, 1, 1)
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-12)
    assert isinstance(model.hidden.norm[0], nn.LayerNorm)


def test_standardizes_sequences_at_each_time():
    torch.manual_seed(0)
    model = technique("layer_norm").build(RecurrentNetwork([6, 2], 1, "lstm", [5], [], "relu"))
    norm = model.recurrent[0].norm[0]
    y = norm(5 + 3 * torch.randn(7, 6, 5))
    assert y.mean(2).abs().max() < 1e-5
    assert (y.var(2, correction=0) - 1).abs().max() < 1e-3
