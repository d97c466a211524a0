"""Factors and lengths at their edges; their values over a run are tested in test_schedule.py."""

from __future__ import annotations

import pytest

from regexp.scheduler.factors import (
    Constant,
    ConstantTail,
    InverseSquareRoot,
    InverseTime,
    WarmupCosine,
    WarmupStableDecay,
)
from regexp.scheduler.lengths import share, shares


@pytest.mark.parametrize(
    ("length", "part", "expected"),
    [
        (30, 0.1, 3),  # 30 * 0.1 is 3.0000000000000004
        (50, 1 / 3, 17),
        (50, 0.3333333333, 17),
        (12, 0.3333333333, 4),
        (1, 0.25, 1),
        (7, 1, 7),
    ],
)
def test_share_is_rounded_up(length: int, part: float, expected: int) -> None:
    assert share(length, part) == expected


@pytest.mark.parametrize("part", [0, -0.1, 1.2])
def test_share_out_of_range_is_refused(part: float) -> None:
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\]"):
        share(10, part)


def test_shares() -> None:
    assert shares(40, [0.5, 0.75]) == [20, 30]


def test_warmup_cosine_without_warmup_begins_at_the_top() -> None:
    assert WarmupCosine(total=10, warmup=0, start=0.3, end=0.0)(0) == 1.0


def test_warmup_cosine_stays_at_its_end() -> None:
    factor = WarmupCosine(total=10, warmup=2, start=0.0, end=0.1)
    assert [factor(t) for t in (10, 11, 15)] == [0.1, 0.1, 0.1]


def test_warmup_cosine_may_warm_up_throughout() -> None:
    factor = WarmupCosine(total=2, warmup=2, start=0.0, end=0.0)
    assert [factor(t) for t in range(2)] == [0.0, 0.5]


@pytest.mark.parametrize("warmup", [-1, 11])
def test_warmup_that_does_not_fit_is_refused(warmup: int) -> None:
    with pytest.raises(ValueError, match=f"a warm-up of {warmup} steps does not fit in a run of 1"):
        WarmupCosine(total=10, warmup=warmup, start=0.0, end=0.0)


def test_inverse_square_root_peaks_at_the_end_of_its_warmup() -> None:
    factors = [InverseSquareRoot(warmup=4)(t) for t in range(16)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[15] == 0.5
    assert max(factors) == factors[3]


def test_inverse_square_root_needs_a_warmup() -> None:
    with pytest.raises(ValueError, match="warmup must be at least 1, got 0"):
        InverseSquareRoot(warmup=0)


def test_inverse_time() -> None:
    assert [InverseTime(decay=0.5)(t) for t in (0, 2, 6)] == [1.0, 0.5, 0.25]


def test_negative_decay_is_refused() -> None:
    with pytest.raises(ValueError, match="decay must be at least 0, got -1"):
        InverseTime(decay=-1)


def test_constant_tail_stays_at_its_rate() -> None:
    factor = ConstantTail(total=10, start=6, anneal=2, rate=0.25, base="constant")
    assert [factor(t) for t in (0, 6, 8, 9, 10, 30)] == [1.0, 1.0, 0.25, 0.25, 0.25, 0.25]
    assert factor(7) == pytest.approx(0.625)


def test_constant_tail_may_drop_at_once() -> None:
    factor = ConstantTail(total=10, start=6, anneal=0, rate=0.25, base="constant")
    assert [factor(t) for t in (6, 7)] == [1.0, 0.25]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 11}, "start must lie within the run of 10 steps, got 11"),
        ({"anneal": -1}, "anneal must be at least 0, got -1"),
        ({"rate": -0.5}, "rate must be at least 0, got -0.5"),
        ({"base": "linear"}, "base must be constant or cosine, got 'linear'"),
    ],
)
def test_constant_tail_refuses_other_values(changes: dict[str, object], message: str) -> None:
    numbers = {"total": 10, "start": 6, "anneal": 2, "rate": 0.25, "base": "constant"}
    with pytest.raises(ValueError, match=message):
        ConstantTail(**{**numbers, **changes})  # type: ignore[arg-type]


def test_warmup_stable_decay_without_its_ends_is_constant() -> None:
    factor = WarmupStableDecay(total=5, warmup=0, decay=0, start=0.1, end=0.2)
    assert [factor(t) for t in range(8)] == [1.0] * 8


def test_warmup_stable_decay_stays_at_its_end() -> None:
    factor = WarmupStableDecay(total=8, warmup=2, decay=4, start=0.5, end=0.0)
    expected = [0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    assert [factor(t) for t in range(10)] == expected


@pytest.mark.parametrize(("warmup", "decay"), [(6, 5), (-1, 5), (5, -1)])
def test_warmup_and_decay_that_do_not_fit_are_refused(warmup: int, decay: int) -> None:
    with pytest.raises(ValueError, match=f"a warm-up of {warmup} and a decay of {decay} steps do"):
        WarmupStableDecay(total=10, warmup=warmup, decay=decay, start=0.0, end=0.0)


def test_factors_of_equal_numbers_are_equal() -> None:
    """Only then can runs share an optimizer."""
    assert Constant(0.5) == Constant(0.5) != Constant(0.6)
