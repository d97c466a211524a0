"""Swap noise: its rate, where the values come from, and the columns' histograms that it keeps."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS, COLUMNS = 8, 5


def sources(steps, p=0.4):
    """The row that each value came from, [steps, ROWS, COLUMNS]."""
    row, column = torch.arange(ROWS)[:, None], torch.arange(COLUMNS)
    x = (row + 100 * column).float()
    noise, batch = technique("swap_noise", p=p), Batch(x, torch.zeros(ROWS, 1))
    new = torch.stack([noise.batch(make_step(index), batch).inputs for index in range(steps)])
    assert torch.equal((new / 100).floor(), column.expand(new.shape).float())  # the same feature
    return (new % 100).long()


def test_values_come_from_other_rows_all_alike():
    origin = sources(300)
    moved = origin != torch.arange(ROWS)[:, None]
    count = moved.numel()
    assert abs(moved.float().mean() - 0.4) < 4 * (0.4 * 0.6 / count) ** 0.5  # never from itself
    for row in range(ROWS):
        seen = torch.bincount(origin[:, row][moved[:, row]], minlength=ROWS)
        assert seen[row] == 0
        others = torch.cat([seen[:row], seen[row + 1 :]])
        assert stats.chisquare(others.numpy()).pvalue > 1e-4


def test_histogram_of_each_feature_is_kept_in_expectation():
    """A value is lost with probability p and comes back in p / (n - 1) of n - 1 rows."""
    origin = sources(2000, p=1.0)
    for column in range(COLUMNS):
        seen = torch.bincount(origin[:, :, column].flatten(), minlength=ROWS)
        assert stats.chisquare(seen.numpy()).pvalue > 1e-4


def test_neighbouring_features_come_from_different_rows():
    origin = sources(300, p=1.0)
    same = (origin[:, :, 0] == origin[:, :, 1]).float().mean()
    assert abs(same - 1 / (ROWS - 1)) < 4 * (1 / 7 * 6 / 7 / (300 * ROWS)) ** 0.5


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 2), (3, 1, 4, 4), (1, 3)])
def test_one_row_has_no_other(shape):
    batch = Batch(torch.randn(shape), torch.ones(shape[0], 1))
    always = technique("swap_noise", p=1.0).batch(make_step(), batch)
    assert torch.equal(always.inputs, batch.inputs) == (shape[0] == 1)
