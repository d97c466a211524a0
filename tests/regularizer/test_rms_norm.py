"""RMS normalization: torch's nn.RMSNorm bit for bit, and on images numpy's root mean square."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from tests.support import technique


def test_is_torchs_layer_between_linear_and_activation():
    torch.manual_seed(0)
    ours = technique("rms_norm", eps=1e-3).build(MLP([8], 3, [16], "relu"))
    torch.manual_seed(0)
    hand = nn.Sequential(nn.Linear(8, 16), nn.RMSNorm(16, eps=1e-3), nn.ReLU(), nn.Linear(16, 3))
    x = torch.randn(20, 8)
    assert torch.equal(ours(x), hand(x))
    assert torch.equal(ours.eval()(x), hand(x))
    assert [p.shape for p in ours.parameters()] == [p.shape for p in hand.parameters()]


def test_divides_images_by_their_root_mean_square():
    torch.manual_seed(0)
    model = technique("rms_norm", eps=0.01).build(CNN([1, 8, 8], 3, [4], 16, "relu")).double()
    norm = model.features[0].norm[0]
    x = 5 + 3 * torch.randn(7, 4, 8, 8, dtype=torch.float64)
    scale = torch.rand(4, dtype=torch.float64)
    norm.load_state_dict({"weight": scale})
    root = np.sqrt(np.mean(x.numpy() ** 2, axis=(1, 2, 3), keepdims=True) + 0.01)
    expected = x.numpy() / root * scale.numpy()[:, None, None]
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=1e-13)


def test_divides_sequences_at_each_time():
    model = technique("rms_norm").build(RecurrentNetwork([6, 2], 1, "gru", [5], [], "relu"))
    y = model.recurrent[0].norm[0](5 + 3 * torch.randn(7, 6, 5))
    assert (y.square().mean(2) - 1).abs().max() < 1e-5
