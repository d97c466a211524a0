"""C-Mixup: partners as often as scikit-learn's kernel density, which the authors use, has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS = 7


def targets_of(outputs):
    generator = torch.Generator().manual_seed(outputs)
    return torch.randn(ROWS, outputs, generator=generator, dtype=torch.float64)


def mixed(c_mixup, targets, index=0):
    """A batch of unit vectors: what comes out is the matrix [rows, rows] that mixes rows."""
    batch = Batch(torch.eye(ROWS, dtype=torch.float64), targets)
    return c_mixup.batch(make_step(index), batch)


@pytest.mark.parametrize(("outputs", "bandwidth"), [(1, 0.5), (3, 1.5)])
def test_partners_are_drawn_by_the_kernel_of_the_targets(outputs, bandwidth):
    """`get_mixup_sample_rate` of https://github.com/huaxiuyao/C-Mixup, within a batch."""
    c_mixup, targets, steps = technique("c_mixup", bandwidth=bandwidth), targets_of(outputs), 800
    counts = np.zeros((ROWS, ROWS))
    for index in range(steps):
        matrix = mixed(c_mixup, targets, index).inputs
        others = matrix - torch.diag(matrix.diagonal())
        partner = torch.where(others.any(1), others.argmax(1), torch.arange(ROWS))
        counts[np.arange(ROWS), partner] += 1
    for row, found in enumerate(counts):
        density = KernelDensity(bandwidth=bandwidth).fit(targets[row : row + 1].numpy())
        expected = np.exp(density.score_samples(targets.numpy()))
        expected *= steps / expected.sum()
        assert (abs(found - expected) < 4 * expected**0.5 + 2).all(), row


def test_inputs_and_targets_are_mixed_alike_with_one_share_a_batch():
    c_mixup, targets, shares = technique("c_mixup", bandwidth=10.0), targets_of(2), set()
    for index in range(5):
        batch = mixed(c_mixup, targets, index)
        torch.testing.assert_close(batch.targets, batch.inputs @ targets)
        torch.testing.assert_close(batch.inputs.sum(1), torch.ones(ROWS).double())
        own = batch.inputs.diagonal()
        with_partner = own[own < 1 - 1e-9]
        assert with_partner.max() - with_partner.min() < 1e-12
        shares.add(with_partner[0].item())
    assert len(shares) == 5  # new every step


def test_rows_far_from_all_others_stay_as_they_are():
    """Also where the kernel of all others is 0 in floating point."""
    targets = torch.arange(ROWS).double()[:, None] * 1e4
    batch = mixed(technique("c_mixup", bandwidth=1.0), targets)
    torch.testing.assert_close(batch.inputs, torch.eye(ROWS).double())
