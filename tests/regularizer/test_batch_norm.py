"""Batch normalization: torch's nn.BatchNorm layers, bit for bit, in their place."""

from __future__ import annotations

import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from tests.support import technique


def test_is_torchs_layer_between_linear_and_activation():
    torch.manual_seed(0)
    ours = technique("batch_norm", momentum=0.3, eps=1e-3).build(MLP([8], 3, [16], "relu"))
    torch.manual_seed(0)
    hand = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16, eps=1e-3, momentum=0.3), nn.ReLU(), nn.Linear(16, 3)
    )
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        x = torch.randn(20, 8, generator=generator)
        assert torch.equal(ours(x), hand(x))
    x = torch.randn(20, 8, generator=generator)
    assert torch.equal(ours.eval()(x), hand.eval()(x))
    assert [p.shape for p in ours.parameters()] == [p.shape for p in hand.parameters()]


def test_standardizes_channels_of_images():
    torch.manual_seed(0)
    model = technique("batch_norm").build(CNN([1, 8, 8], 3, [4], 16, "relu"))
    norm = model.features[0].norm[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(model.hidden.norm[0], nn.BatchNorm1d)
    seen = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    model(5 + 3 * torch.randn(50, 1, 8, 8))
    assert seen[0].mean((0, 2, 3)).abs().max() < 1e-5
    assert (seen[0].var((0, 2, 3), correction=0) - 1).abs().max() < 1e-2


def test_standardizes_features_of_sequences_as_torch_does():
    """Over rows and times; torch has the features second, here they stand last."""
    torch.manual_seed(0)
    model = technique("batch_norm").build(RecurrentNetwork([6, 2], 1, "lstm", [5], [], "relu"))
    norm = model.recurrent[0].norm[0].double()
    torchs = nn.BatchNorm1d(5).double()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        x = 5 + 3 * torch.randn(7, 6, 5, generator=generator, dtype=torch.float64)
        expected = torchs(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-12)
    expected = torchs.eval()(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(norm.eval()(x), expected, rtol=0, atol=1e-12)


def test_leaves_the_other_initial_weights_as_they_were():
    torch.manual_seed(0)
    plain = MLP([8], 3, [16, 16], "relu")
    torch.manual_seed(0)
    model = technique("batch_norm").build(MLP([8], 3, [16, 16], "relu"))
    normed = dict(model.named_parameters())
    assert len(normed) == len(list(plain.parameters())) + 4
    assert all(torch.equal(p, normed[name]) for name, p in plain.named_parameters())
