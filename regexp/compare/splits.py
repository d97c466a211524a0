"""How the runs of a dataset and setting split their data, which decides how they are tested."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from regexp.compare.estimator import Design
from regexp.compare.statistics import overlap_of
from regexp.metrics.names import parameter

if TYPE_CHECKING:
    import pandas as pd

SHARE = 0.2
"""Of all rows, for test and for validation, where a run does not tell: that of every dataset."""

_NOTHING = ("", "null", "None", "nan")


def overlap(runs: "pd.DataFrame", *, same_rows: bool = False) -> tuple[float | None, list[str]]:
    """n_test / n_train where seeds split the data anew, None where all runs test the same rows.

    What is not recorded is taken as a split by seed, which is the more careful test.

    Args:
        runs: of one dataset and setting, from `Tracker.runs`.
        same_rows: whether their outputs tell that all test the same rows, as where the data say
            which are tested.

    Returns:
        (the ratio, what a reader must know of it beside)
    """
    if one_split(runs):
        return None, []
    remarks = []
    if any(_all_shared(runs)):
        remarks.append(
            "Some runs share one split of the data and others split it by their seed, so that "
            "pairs of equal seeds differ in more than the technique."
        )
    if same_rows or same_test(runs):
        return None, remarks
    shares = {_shares(run) for run in _columns(runs, *_SHARES)}
    if None in shares:
        remarks.append(
            "Not every run tells its shares of test and validation rows; they are taken as "
            f"{SHARE:.0%} each."
        )
    known = {share or (SHARE, SHARE) for share in shares} or {(SHARE, SHARE)}
    return max(overlap_of(test, validation) for test, validation in known), remarks


def one_split(runs: "pd.DataFrame") -> bool:
    """Whether all runs share one split of the data."""
    shared = _all_shared(runs)
    return bool(shared) and all(shared)


def same_test(runs: "pd.DataFrame") -> bool:
    """Whether all runs test the rows of one `dataset.test_seed`."""
    seeds = {seed for (seed,) in _columns(runs, _TEST_SEED)}
    return len(seeds) == 1 and seeds.isdisjoint(_NOTHING)


def _all_shared(runs: "pd.DataFrame") -> list[bool]:
    """Of the kinds of runs that there are, whether they share one split."""
    return [_shared(run) for run in _columns(runs, "split", parameter("dataset.split_seed"))]


_SHARES = parameter("dataset.test"), parameter("dataset.validation")
_TRAIN_SIZE, _TEST_REST = parameter("dataset.train_size"), parameter("dataset.test_rest")
_TEST_SEED = parameter("dataset.test_seed")
_HORIZON = parameter("dataset.horizon")
"""Of a series alone."""
_GROUP = parameter("dataset.group")
_TRAINED = "training.rows"


def design(runs: "pd.DataFrame", tested: float, *, one_split: bool, same_rows: bool) -> Design:
    """How the seeds of runs split the rows, from what these recorded.

    What is not recorded is taken as seeds that have more in common.

    Args:
        runs: of one dataset and setting, from `Tracker.runs`.
        tested: test rows of a run.
        one_split: whether all share one split.
        same_rows: whether all test the same rows. The pool is then of the others: as many as the
            share of test rows makes them, or the training rows where the data say which are tested.
    """
    told = _columns(runs, *_SHARES, _TRAIN_SIZE, _TEST_REST, _TRAINED)
    by_data = same_rows and not same_test(runs)  # which the validation rows are no share of
    designs = [
        _design(
            _shares(run[:2]) or (SHARE, SHARE),
            _number(run[2]),
            tested,
            rest=not same_rows and run[3].lower() == "true",
            trained=_number(run[4]) if by_data else None,
            by_data=by_data,
        )
        for run in sorted(told)
    ]
    designs = designs or [_design((SHARE, SHARE), None, tested, rest=False, by_data=by_data)]
    most = max(designs, key=lambda each: each.training / each.pool)
    if same_rows and not by_data:
        most = replace(most, pool=most.pool - tested)
    # what a technique does to a group is the same at all of its rows, and no other group is seen
    depend = _HORIZON, *([_GROUP] if one_split or same_rows else [])
    serial = any(text not in _NOTHING for name in depend for (text,) in _columns(runs, name))
    return replace(most, one_split=one_split, serial=serial)


def _design(
    shares: tuple[float, float],
    train_size: float | None,
    tested: float,
    *,
    rest: bool,
    by_data: bool,
    trained: float | None = None,
) -> Design:
    test, validation = shares
    if by_data:  # no share tells how many rows there are to train on; without a count: hardly any
        training = trained or 1.0
        pool = training / (1 - validation) if train_size is None else training
        return Design(pool, training, pool * validation)
    if train_size is not None and rest:  # all rows are trained on, validated with or tested
        pool = (tested + train_size) / (1 - validation)
    else:
        pool = tested / test
    training = pool * (1 - test - validation)
    return Design(pool, min(training, train_size or training), pool * validation)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _columns(runs: "pd.DataFrame", *names: str) -> set[tuple[str, ...]]:
    """The different values of some columns, as text; "" where there is none."""
    columns = [
        runs[name].astype(object).where(runs[name].notna(), "").map(str)
        if name in runs
        else [""] * len(runs)
        for name in names
    ]
    return set(zip(*columns, strict=True))


def _shared(run: tuple[str, ...]) -> bool:
    split, seed = run
    if split in ("shared", "seed"):
        return split == "shared"
    return seed not in _NOTHING


def _shares(run: tuple[str, ...]) -> tuple[float, float] | None:
    """(test, validation), None where they are not told or are no shares."""
    try:
        test, validation = map(float, run)
    except ValueError:
        return None
    fit = math.isfinite(test + validation) and test > 0 and validation >= 0
    return (test, validation) if fit and test + validation < 1 else None
