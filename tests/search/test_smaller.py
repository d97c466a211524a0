"""Backward elimination: which loss is none, and what may go in exchange for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from regexp.compare.statistics import Floats
from regexp.search.smaller import Subset, eliminate, gain_of, most_cocktails

NOISE = np.array([0.3, -0.2, 0.1, -0.4, 0.2])  # of mean 0
SEEDS = np.array([5.0, 7.0, 6.0, 9.0, 8.0])


@pytest.mark.parametrize(
    ("loss", "margin", "goes"),
    [
        (0.12, 0.0, True),  # within the standard error, which is 0.130
        (0.14, 0.0, False),
        (0.14, 0.5, True),  # surely smaller than the margin: the bound is at 0.418
        (0.14, 0.41, False),
        (-1.0, 0.0, True),
    ],
)
def test_a_loss_within_a_standard_error_or_surely_within_the_margin_is_none(
    loss: float, margin: float, goes: bool
) -> None:
    gain = gain_of(SEEDS + NOISE - loss, SEEDS)
    assert gain.error == pytest.approx(stats.sem(NOISE))
    low = stats.t.interval(0.9, 4, loc=-loss, scale=stats.sem(NOISE))[0]
    assert gain.mean - gain.reach == pytest.approx(low)
    assert gain.not_worse(margin) is goes


def test_it_is_better_where_a_one_sided_test_says_so() -> None:
    for size in (0.2, 0.27, 0.28, 0.4):
        p = stats.ttest_rel(SEEDS + NOISE + size, SEEDS, alternative="greater").pvalue
        assert gain_of(SEEDS + NOISE + size, SEEDS).better is bool(p < 0.05)


@pytest.mark.parametrize("lost", [[4], [0, 1, 2, 3, 4]])
def test_a_cocktail_that_failed_at_a_seed_is_not_known_to_be_as_good(lost: list[int]) -> None:
    scores = SEEDS + 1
    scores[lost] = np.nan
    assert not gain_of(scores, SEEDS).not_worse(10.0)
    assert not gain_of(SEEDS[:2] + 1, SEEDS[:2]).not_worse(10.0)  # two seeds tell no spread


def test_seeds_at_which_neither_has_a_score_are_left_out() -> None:
    """As where the validation rows leave a metric undefined."""
    nothing = [np.nan]
    gain = gain_of(np.append(SEEDS + NOISE, nothing), np.append(SEEDS, nothing))
    assert gain == gain_of(SEEDS + NOISE, SEEDS)
    assert gain.known


def eliminated(effects: dict[str, float], margin: float = 0.0) -> tuple[Subset, list[str]]:
    """What is kept, and what goes, of a cocktail whose techniques just add up."""
    asked: list[Subset] = []

    def scores_of(cocktails: Sequence[Subset]) -> list[Floats]:
        asked.extend(cocktails)
        return [
            SEEDS + sum(effects[name] for name in names) + NOISE * (names != whole)
            for names in cocktails
        ]

    whole = tuple(effects)
    [reference] = scores_of([whole])
    found = eliminate(whole, reference, scores_of, margin)
    assert len(asked) == len(set(asked))
    assert len(asked) <= 1 + most_cocktails(len(whole))
    return found.kept, [name for name, _ in found.dropped]


def test_what_harms_goes_first_and_a_useful_one_does_not_go_in_exchange() -> None:
    effects = {"a": 1.0, "harmful": -1.2, "b": 1.0, "useless": 0.0}
    assert eliminated(effects) == (("a", "b"), ["harmful", "useless"])


def test_small_losses_do_not_add_up() -> None:
    assert eliminated({"a": 0.1, "b": 0.1, "c": 0.1}) == (("b", "c"), ["a"])
    assert eliminated({"a": 0.0, "b": 0.0}) == ((), ["a", "b"])


def test_that_without_which_nothing_is_known_is_told() -> None:
    lost = np.where(np.arange(5) == 2, np.nan, SEEDS + 1)  # ahead where it finished

    def scores_of(subsets: Sequence[Subset]) -> list[Floats]:
        return [lost if "a" not in kept else SEEDS - 5 + NOISE for kept in subsets]

    found = eliminate(("a", "b"), SEEDS, scores_of, 0.0)
    assert (found.kept, found.dropped, found.unknown) == (("a", "b"), (), ("a",))
