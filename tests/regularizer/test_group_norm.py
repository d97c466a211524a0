"""Group normalization: torch's nn.GroupNorm bit for bit, and each group's moments by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.group_norm import number_of_groups
from tests.support import technique


@pytest.mark.parametrize(
    ("features", "most", "groups"),
    [(64, 32, 16), (256, 32, 32), (64, 8, 8), (48, 32, 12), (50, 32, 10), (7, 32, 1), (3, 2, 1),
     (6, 2, 1), (8, 2, 2), (100, 1, 1)],
)  # fmt: skip
def test_number_of_groups(features, most, groups):
    assert number_of_groups(features, most) == groups
    assert features % groups == 0
    assert groups == 1 or features // groups >= 4


def test_is_torchs_layer_between_linear_and_activation():
    torch.manual_seed(0)
    ours = technique("group_norm", groups=4, eps=1e-3).build(MLP([8], 3, [16], "relu"))
    torch.manual_seed(0)
    hand = nn.Sequential(
        nn.Linear(8, 16), nn.GroupNorm(4, 16, eps=1e-3), nn.ReLU(), nn.Linear(16, 3)
    )
    x = torch.randn(20, 8)
    assert torch.equal(ours(x), hand(x))
    assert torch.equal(ours.eval()(x), hand(x))


def test_standardizes_groups_of_channels():
    torch.manual_seed(0)
    model = technique("group_norm", groups=2).build(CNN([1, 8, 8], 3, [8], 16, "relu"))
    y = model.features[0].norm[0](5 + 3 * torch.randn(7, 8, 8, 8)).unflatten(1, (2, 4)).flatten(2)
    assert y.mean(2).abs().max() < 1e-5
    assert (y.var(2, correction=0) - 1).abs().max() < 1e-3


def test_standardizes_sequences_at_each_time():
    torch.manual_seed(0)
    model = technique("group_norm", groups=2).build(
        RecurrentNetwork([6, 2], 1, "gru", [8], [], "relu")
    )
    y = model.recurrent[0].norm[0](5 + 3 * torch.randn(7, 6, 8))
    assert y.shape == (7, 6, 8)
    groups = y.unflatten(2, (2, 4))
    assert groups.mean(3).abs().max() < 1e-5
    assert (groups.var(3, correction=0) - 1).abs().max() < 1e-3


def test_a_single_unit_has_nothing_to_be_normalized_by():
    with pytest.raises(NotApplicable, match=r"regularizer\.group_norm: the block hidden\.0"):
        technique("group_norm").build(MLP([5], 3, [1], "relu"))
