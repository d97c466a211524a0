"""Budget: epochs of runs that end by it, counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tests.support import BY_NAME, make_evaluation, make_member, make_step, run, technique


def epochs_trained(epochs=8, **changes):
    """Of a run of 3 steps an epoch."""
    members = [make_member(techniques={"budget": technique("budget", **changes)})]
    (result,), _ = run(members, epochs=epochs)
    assert result.status == "FINISHED"
    return result.epochs


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, 8), (0.5, 4), (0.51, 5), (1 / 3, 3), (1e-9, 1), (0.375, 3)],
)
def test_share_of_the_steps(share, expected):
    assert epochs_trained(share=share) == expected


@pytest.mark.parametrize("share", [n / 100 for n in range(2, 101)])
def test_rounding_adds_no_epoch(share):
    """0.07 * 100 is 7.000000000000001, for one; `make_step` has 100 steps."""
    budget = technique("budget", share=share)
    memory = budget.init({"w": torch.zeros(1)}, BY_NAME)
    last = math.ceil(round(share * 100, 9))
    for index in (last - 2, last - 1):
        memory = budget.track(make_step(index, memory=memory), {})
        assert bool(budget.stop(memory)) == (index == last - 1)


@pytest.mark.parametrize(("steps", "expected"), [(1, 1), (3, 1), (4, 2), (12, 4), (1000, 8)])
def test_steps(steps, expected):
    assert epochs_trained(share=1.0, steps=steps) == expected


def test_whichever_comes_first():
    assert epochs_trained(share=0.75, steps=12) == 4
    assert epochs_trained(share=0.25, steps=12) == 2


def test_seconds():
    budget = technique("budget", share=1.0, seconds=2.5)
    memory = budget.init({"w": torch.zeros(1)}, BY_NAME)
    stopped = []
    for seconds in (0.9, 2.4999, 2.5, 3.0):
        memory = budget.observe(memory, make_evaluation({"seconds": torch.tensor(seconds)}, {}))
        stopped.append(bool(budget.stop(memory)))
    assert stopped == [False, False, True, True]


def test_the_loop_tells_the_seconds():
    assert epochs_trained(share=1.0, seconds=1e-9) == 1
    assert epochs_trained(share=1.0, seconds=1e9) == 8


def test_ends_with_the_weights_that_it_has():
    ended, whole = (
        run([make_member(techniques={"budget": technique("budget", share=share)})], epochs=epochs)
        for share, epochs in ((0.5, 6), (1.0, 3))
    )
    for name, value in ended[0][0].last["weights"].items():
        assert torch.equal(value, whole[0][0].last["weights"][name])


def test_each_run_of_a_stack_has_its_own_share():
    members = [
        make_member(seed, {"budget": technique("budget", share=share)})
        for seed, share in enumerate((0.25, 1.0, 0.5))
    ]
    results, _ = run(members, epochs=8)
    assert [result.epochs for result in results] == [2, 8, 4]
