"""DropBlock: gamma and the kept share in closed form, the squares of given corners by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from regexp.model.cnn import CNN
from regexp.model.layers import DropoutLayer, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.drop_block import DropBlockLayer
from tests.support import technique


class Corners(Rng):
    """Gives the corners it is told, and remembers what was asked for."""

    def __init__(self, corners: list[tuple[int, ...]]) -> None:
        super().__init__(0)
        self.corners = corners

    def keep(self, shape, p) -> Tensor:
        self.asked = tuple(shape), p
        mask = torch.ones(*shape)
        for corner in self.corners:
            mask[corner] = 0
        return mask


def layer_on(shape: tuple[int, ...], p: float, block_size: int) -> DropBlockLayer:
    layer = DropBlockLayer(p, block_size)
    note_shapes(layer, torch.zeros(1, *shape))
    return layer


def test_squares_of_given_corners():
    layer = layer_on((2, 7, 6), 0.1, 3)
    rng = Corners([(0, 0, 0, 0), (0, 0, 1, 2), (1, 1, 4, 3)])  # two that meet, one in the corner
    noise = layer.draw(rng, 2)
    dropped = torch.zeros(2, 2, 7, 6)
    dropped[0, 0, 0:3, 0:3] = 1
    dropped[0, 0, 1:4, 2:5] = 1
    dropped[1, 1, 4:7, 3:6] = 1
    assert torch.equal(noise == 0, dropped == 1)
    gone = 9 + 9 - 2 + 9
    torch.testing.assert_close(noise.unique()[1].item(), 168 / (168 - gone))
    # equation 1 of the paper
    (shape, gamma), places = rng.asked, (7 - 3 + 1) * (6 - 3 + 1)
    assert shape == (2, 2, 5, 4)
    assert gamma == pytest.approx(0.1 / 3**2 * (7 * 6) / places)


@pytest.mark.parametrize(("share", "side"), [(0.1, 3), (0.3, 5)])
def test_kept_share(share, side):
    """A pixel stays if none of the n squares over it is drawn: (1 - gamma)^n, on average 1 - p."""
    rows, channels, size = 200, 4, 12
    layer = layer_on((channels, size, size), share, side)
    noise = layer.draw(Rng(0, "noise"), rows)
    places = size - side + 1
    gamma = share / side**2 * size**2 / places**2
    over = torch.tensor([sum(c <= i < c + side for c in range(places)) for i in range(size)])
    expected = ((1 - gamma) ** torch.outer(over, over).double()).mean()
    each = (noise != 0).double().mean((2, 3))  # of each channel of each row, which are independent
    assert abs(each.mean() - expected) < 4 * each.std() / each.numel() ** 0.5
    assert 0 <= expected - (1 - share) < share**2  # squares that meet
    assert noise.mean() == pytest.approx(1, abs=1e-6)  # exactly, over the batch


def test_size_one_is_dropout():
    layer, dropout = layer_on((2, 5, 5), 0.25, 1), DropoutLayer(0.25)
    note_shapes(dropout, torch.zeros(1, 2, 5, 5))
    ours, theirs = layer.draw(Rng(0), 50), dropout.draw(Rng(0), 50)
    assert torch.equal(ours == 0, theirs == 0)


def test_squares_are_no_larger_than_the_image():
    noise = layer_on((3, 2, 4), 0.4, 7).draw(Rng(0), 100)
    assert noise.shape == (100, 3, 2, 4)
    assert ((noise == 0).sum(2) != 1).all()  # both lines of a column together
    assert (noise == 0).any()
    assert (noise != 0).any()


def test_stands_after_convolutions_alone():
    model = technique("drop_block").build(CNN([1, 8, 8], 3, [4], 16, "relu"))
    found = {n: m for n, m in model.named_modules() if isinstance(m, DropBlockLayer)}
    assert list(found) == ["features.0.dropout.0"]
    assert isinstance(model.hidden.dropout, nn.Sequential)
    assert len(model.hidden.dropout) == 0
    with pytest.raises(NotApplicable, match=r"regularizer\.drop_block: .* use regularizer=dropout"):
        technique("drop_block").build(MLP([8], 3, [16], "relu"))
