"""Row cutout: one set of features a batch, of the size that is asked for, all sets as often."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS, FEATURES, STEPS = 4, 5, 800


def cut(cutout, index=0, features=FEATURES):
    """Which features of a batch are 0, [features]."""
    x = 1 + torch.rand(ROWS, features, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.eye(ROWS))
    new = cutout.batch(make_step(index), batch).inputs
    gone = new == 0
    assert (gone == gone[:1]).all(), "one set for the batch"
    assert torch.equal(new[~gone], x[~gone])
    return gone[0]


@pytest.mark.parametrize(
    ("share", "features", "size"),
    [(0.4, 5, 2), (0.01, 5, 1), (1.0, 5, 5), (0.2, 1, 1), (0.29, 100, 29), (0.5, 7, 4)],
)
def test_sets_have_their_size(share, features, size):
    cutout = technique("row_cutout", p=1.0, share=share)
    assert all(cut(cutout, index, features).sum() == size for index in range(5))


def test_all_sets_come_as_often_and_in_a_share_p_of_the_batches():
    cutout = technique("row_cutout", p=0.6, share=0.4)
    sets = torch.stack([cut(cutout, index) for index in range(STEPS)])
    sets = sets[sets.any(1)]
    assert abs(len(sets) - 0.6 * STEPS) < 4 * (0.6 * 0.4 * STEPS) ** 0.5
    names, counts = sets.unique(dim=0, return_counts=True)
    assert len(names) == 10  # of 2 among 5
    assert stats.chisquare(counts).pvalue > 1e-3
