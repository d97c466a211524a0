"""Shake-shake: an autograd function with the paper's two passes; its shares' laws by scipy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from regexp.model.layers import Residual, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.cocktail import Cocktail
from tests.support import technique


class TwoPasses(torch.autograd.Function):
    """The share of the first branch is another one in the backward pass."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, share: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return share * first + (1 - share) * second

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (back,) = ctx.saved_tensors
        return back * slopes[0], (1 - back) * slopes[0], None, None


def network(rows: int, seed: int = 0, **changes: str) -> tuple[Any, Tensor]:
    torch.manual_seed(seed)
    model = ResNetMLP([8], 3, 6, 5, 2, "relu")
    model = technique("shake_shake", **changes).build(model).double()
    x = torch.randn(rows, 8, generator=torch.Generator().manual_seed(1)).double()
    note_shapes(model, x)
    fill_noise(model, Rng(0, "noise"), rows)
    return model, x


def test_shares_are_uniform_and_independent_of_each_other():
    model, _ = network(2000)
    noise = torch.cat([residual.branch.mix.noise for residual in model.residual], -1)[:, 0]
    assert noise.shape == (2000, 4)
    for shares in noise.T.numpy():
        assert stats.kstest(shares, stats.uniform(0, 1).cdf).pvalue > 1e-3
    off_diagonal = torch.corrcoef(noise.T) - torch.eye(4)
    assert float(off_diagonal.abs().max()) < 4 / 2000**0.5


@pytest.mark.parametrize("forward", ["shake", "even"])
@pytest.mark.parametrize("backward", ["shake", "even", "keep"])
def test_forwards_and_backwards_have_shares_of_their_own(forward, backward):
    model, x = network(50, forward=forward, backward=backward)
    residual = model.residual[0]
    share, back = residual.branch.mix.noise.double().unbind(-1)
    assert torch.equal(share, back) == (backward == "keep" or (forward, backward) == ("even",) * 2)
    h = model.embedding(x)
    branches = residual.branch.first(h), residual.branch.second(h)
    expected = h + TwoPasses.apply(*branches, share, back)
    ours = residual(h)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)  # 1 - share is in float32
    weights = list(residual.parameters())
    slopes = [torch.autograd.grad(y.sin().sum(), weights, retain_graph=True)
              for y in (ours, expected)]  # fmt: skip
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-5)
    assert float(slopes[0][0].abs().max()) > 0.01
    half = h + (branches[0] + branches[1]) / 2
    assert torch.allclose(ours, half) == (forward == "even")
    torch.testing.assert_close(residual.eval()(h), half)


def test_the_second_branch_has_initial_weights_of_its_own():
    model, _ = network(2)
    weights = dict(model.residual[1].branch.named_parameters())
    for name in ("hidden.layer.weight", "hidden.layer.bias", "output.weight", "output.bias"):
        first, second = (weights[f"{half}.{name}"].detach() for half in ("first", "second"))
        assert not torch.isclose(first, second).any()
        assert float(second.abs().max()) <= (6 if "hidden" in name else 5) ** -0.5  # torch's bound
    again, other = (network(2, seed)[0].state_dict() for seed in (0, 1))
    for name, value in model.state_dict().items():
        if "second" in name:
            assert torch.equal(value, again[name])
            assert not torch.isclose(value, other[name]).any()


def test_layers_of_other_techniques_come_after_it():
    def build(*names: str) -> Any:
        cocktail = Cocktail({name: technique(name) for name in names})
        return cocktail.build(ResNetMLP([8], 3, 6, 5, 1, "relu"))

    branch = build("shake_shake", "dropout").residual[0].branch
    assert [len(half.hidden.dropout) for half in (branch.first, branch.second)] == [1, 1]
    for name in ("dropout", "weight_norm"):
        with pytest.raises(NotApplicable, match="list shake_shake before"):
            build(name, "shake_shake")


def test_what_cannot_be_copied_is_told():
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(()))

    with pytest.raises(NotApplicable, match="a Scale with parameters"):
        technique("shake_shake").build(nn.Sequential(Residual(Scale())))
    with pytest.raises(NotApplicable, match="model=resnet_mlp"):
        technique("shake_shake").build(MLP([8], 3, [16], "relu"))
