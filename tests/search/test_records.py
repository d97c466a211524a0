"""The record of a search: what it says of trials, and that it comes back as it was written."""

from __future__ import annotations

from functools import cache

import pytest

from regexp.search.arm import arms_of
from regexp.search.choice import Trial
from regexp.search.presented import record_of
from regexp.search.recipe import Recipe
from regexp.search.records import Finalist, SearchRecord
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from tests.search.composed import compose_named
from tests.search.records_by_hand import record


@cache
def space() -> Space:
    words = ["dataset=iris", "model.hidden=[4]", "search.techniques=[dropout,l1]"]
    return read_space(compose_named(words))


def test_a_record_comes_back_as_it_was_written() -> None:
    made = record()
    assert SearchRecord.from_json(made.as_json()) == made


def test_only_what_beats_all_before_is_an_improvement() -> None:
    """A trial that failed, and one that a rung ended, are none, whatever its score."""
    better = record().improvements("recipes")
    assert [(one.number, one.seconds, one.score) for one in better] == [
        (1, 2.0, 0.90),
        (2, 4.0, 0.92),
        (5, 10.0, 0.95),
    ]
    assert better[2].recipe == record().recipe.recipe
    assert [(one.number, one.seconds) for one in record().improvements("none")] == [(1, 3), (2, 6)]


def test_trials_are_recorded_by_what_chose() -> None:
    """The mean of a trial's runs; none of one that failed, which shares the last place."""
    recipes, none = arms_of(space())
    shared = dict(space().default.shared)
    found = Recipe(shared, {"dropout": {"hidden": 0.2, "inputs": 0.0}})
    low, high = ({"final/val_accuracy": score, "final/val_loss": 1 - score}
                 for score in (0.5, 0.75))  # fmt: skip
    recipes.trials = [
        Trial(Recipe(shared, {}), {}, [low, high], 4.0),
        Trial(found, {}, [high], 2.0),
        Trial(found, {}, [high, None], 1.0),
    ]
    none.trials = [Trial(Recipe(shared, {}), {}, [low], 3.0)]
    recipes.finalists = [Trial(found, {}, [high, None])]
    made = record_of(space(), (recipes, none), found, Recipe(shared, {}), title="search")
    assert [(one.score, one.rank, one.seconds) for one in made.trials["recipes"]] == [
        (0.625, 1.0, 4.0),
        (0.75, 0.0, 2.0),
        (None, 2.0, 1.0),
    ]
    assert made.finalists == {"recipes": [Finalist(found, [0.75, None])], "none": []}
    assert (made.metric, made.lower_is_better) == ("final/val_accuracy", False)
    assert made.recipe.explained["dropout"].startswith("Zero units at random")
    assert made.recipe.usual["dropout"]["hidden"] == 0.5
    assert SearchRecord.from_json(made.as_json()) == made


def test_what_is_no_record_is_told_apart() -> None:
    for text in ("", "[]", "{}", '{"trials": 1}'):
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            SearchRecord.from_json(text)
