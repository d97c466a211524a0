"""Quarter turns: against numpy.rot90, each of the four equally likely."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regexp.regularizer.base import Batch, NotApplicable
from regexp.regularizer.conflicts import check_data
from tests.support import make_step, technique


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_turns_are_numpys_and_as_frequent_as_they_should_be(p):
    image, rows = torch.randn(2, 3, 3), 2000
    batch = Batch(image.expand(rows, 2, 3, 3), torch.zeros(rows, 1))
    new = technique("rotate90", p=p).batch(make_step(), batch).inputs
    shares = []
    for quarter in range(4):
        turned = torch.from_numpy(np.rot90(image.numpy(), quarter, axes=(1, 2)).copy())
        shares.append((new == turned).all((1, 2, 3)).float().mean())
        expected = p / 4 + (1 - p if quarter == 0 else 0)
        assert abs(shares[-1] - expected) < 4 * (expected / rows) ** 0.5
    assert sum(shares) == pytest.approx(1)


def test_images_that_are_not_square_are_refused():
    techniques = {"rotate90": technique("rotate90")}
    check_data(techniques, "made", "classification", (1, 6, 6))
    with pytest.raises(NotApplicable, match=r"regularizer\.rotate90.*4 x 6.*square"):
        check_data(techniques, "made", "classification", (1, 4, 6))
