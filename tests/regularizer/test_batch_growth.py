"""Batch growth: rows * factor^(epoch // every), and the steps that a run makes with it."""

from __future__ import annotations

import pytest

from tests.support import make_member, run, technique


def test_rows_by_epoch():
    growth = technique("batch_growth", factor=3, every=2)
    assert [growth.batch_size(epoch, 8) for epoch in range(7)] == [8, 8, 24, 24, 72, 72, 216]


@pytest.mark.parametrize("seeds", [1, 2])
def test_steps_of_a_run(seeds):
    """90 rows in batches of 16: 6 steps an epoch, then of 32: 3, of 64: 2, and of all 90: 1."""
    growth = technique("batch_growth", factor=2, every=1)
    members = [make_member(seed, {"batch_growth": growth}) for seed in range(seeds)]
    results, _ = run(members, epochs=6, batch_size=16)
    assert [result.last["step"] for result in results] == [6 + 3 + 2 + 1 + 1 + 1] * seeds


def test_one_never_grows():
    growth = technique("batch_growth", factor=1, every=1)
    assert {growth.batch_size(epoch, 8) for epoch in range(50)} == {8}
