"""Row CutMix: sizes of the sets of features by the authors' rule; label shares equal theirs."""

from __future__ import annotations

import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS, FEATURES, STEPS = 6, 5, 800


ALWAYS = technique("row_cutmix", p=1.0)


def mixed(index=0, cutmix=ALWAYS, features=FEATURES):
    """A batch whose features say which row they are of, and whose targets do too."""
    own = torch.arange(float(ROWS), dtype=torch.float64)[:, None].expand(ROWS, features)
    batch = Batch(own, torch.eye(ROWS, dtype=torch.float64))
    return cutmix.batch(make_step(index), batch)


def taken(new):
    """Which features come from partners, [rows, features]; none in a row that is its own."""
    return new.inputs != torch.arange(ROWS)[:, None]


def test_targets_have_the_shares_of_the_features():
    for index in range(60):
        new = mixed(index)
        shares = torch.stack([(new.inputs == row).double().mean(1) for row in range(ROWS)], 1)
        torch.testing.assert_close(new.targets, shares, rtol=0, atol=1e-15)
        assert torch.equal(new.inputs.sort(0).values[:, 0], torch.arange(ROWS).double())
        sets = taken(new)
        others = sets[sets.any(1)]
        assert (others == others[:1]).all(), "one set for the batch"


def test_sets_are_as_large_as_the_authors_and_have_each_feature_as_often():
    """max(1, int(l * features)) of a uniform l: 1 twice as often as 2, ..., features - 1."""
    sets = torch.stack([taken(mixed(index)).any(0) for index in range(STEPS)])
    sets = sets[sets.any(1)]  # one batch in 720 keeps its order
    counts = torch.bincount(sets.sum(1), minlength=FEATURES + 1)
    assert counts[0] == counts[FEATURES] == 0
    expected = torch.tensor([2, 1, 1, 1]).double() / FEATURES * len(sets)
    assert stats.chisquare(counts[1:FEATURES], expected).pvalue > 1e-3
    assert stats.chisquare(sets.sum(0)).pvalue > 1e-3


def test_p_is_the_share_of_batches():
    cutmix = technique("row_cutmix", p=0.3)
    changed = sum(bool(taken(mixed(index, cutmix)).any()) for index in range(STEPS))
    assert abs(changed - 0.3 * STEPS) < 4 * (0.3 * 0.7 * STEPS) ** 0.5


def test_a_single_feature_takes_its_whole_target_along():
    new = mixed(features=1)
    assert torch.equal(new.inputs, new.targets @ torch.arange(ROWS).double()[:, None])
