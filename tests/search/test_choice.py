"""The choice: by validation scores; what a test row says cannot be read by it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from regexp.errors import ConfigError
from regexp.search.choice import Trial, best, by_means, ranked, ranks, seconds_of, tried
from regexp.search.recipe import Recipe
from regexp.sweeps.outcome import Outcome


def config(metric: str | None = None) -> DictConfig:
    return OmegaConf.create({"compare": {"metric": metric}})


def recipe(lr: float) -> Recipe:
    return Recipe({"optimizer.lr": lr}, {})


def finished(accuracy: float, loss: float = 1.0, test: float = 0.0) -> Outcome:
    metrics = {"final/val_accuracy": accuracy, "final/val_loss": loss, "test/accuracy": test,
               "final/train_loss": 9.0, "seconds": 2.0}  # fmt: skip
    return Outcome("run", "FINISHED", metrics=metrics)


class Untouchable(dict[str, float]):
    """Metrics whose test scores may be there, and must not be read."""

    def __getitem__(self, key: str) -> float:
        assert not key.startswith("test/"), f"{key} was read"
        return super().__getitem__(key)

    def items(self) -> Iterator[tuple[str, float]]:  # type: ignore[override]
        return iter([(key, self[key]) for key in self if not key.startswith("test/")])


def test_the_best_validation_score_is_first_then_the_least_loss_then_the_earlier() -> None:
    scores = [(0.8, 1.0), (0.9, 2.0), (0.9, 1.0), (0.9, 1.0)]
    trials = [tried(recipe(1), {}, [finished(*one)]) for one in scores]
    assert ranked(trials, config()) == [2, 3, 1, 0]
    assert ranks(trials, config()) == [3, 2, 0, 1]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (None, [1, 0, 2, 3]),  # places 0 + 1, 1 + 1, 3 + 0, 2 + 3
        ("test/loss", [3, 2, 1, 0]),  # tells of each row itself
        ("test/roc_auc", [2, 1, 0, 3]),
    ],
)
def test_how_rows_are_ranked_counts_as_much_as_how_many_are_right(
    metric: str | None, expected: list[int]
) -> None:
    """Worked by hand: the least sum of the two places first; equal areas share a place."""
    scores = [(0.8, 0.7), (0.9, 0.7), (0.6, 0.9), (0.7, math.nan)]
    trials = [
        Trial(recipe(number), {}, [{"final/val_accuracy": accuracy, "final/val_roc_auc": area,
                                    "final/val_loss": 4.0 - number}])
        for number, (accuracy, area) in enumerate(scores)
    ]  # fmt: skip
    assert ranked(trials, config(metric)) == expected
    assert by_means(trials, config()) == [1, 0, 3, 2], "finalists have seeds enough"
    assert best(trials, config(), 1, by_means) == [recipe(1)]


def test_where_rows_have_no_area_the_metric_orders() -> None:
    """Of rows of one class it is undefined, for all trials alike."""
    trials = [
        Trial(recipe(n), {}, [{"final/val_accuracy": n / 3, "final/val_loss": 1.0} | area])
        for n, area in enumerate([{}, {"final/val_roc_auc": math.nan}, {}])
    ]
    assert ranked(trials, config()) == [2, 1, 0]


def test_what_diverged_or_could_not_be_planned_is_last() -> None:
    lost = Outcome("run", "FAILED", "diverged", {"seconds": 3.0}, diverged=True)
    became: list[list[Outcome]] = [[lost], [], [finished(0.1)], [finished(0.9), lost]]
    trials = [tried(recipe(number), {}, one) for number, one in enumerate(became)]
    assert ranked(trials, config()) == [2]
    assert ranks(trials, config()) == [1, 1, 0, 1]
    assert [one.seconds for one in trials] == [3, 0, 2, 5]
    assert seconds_of(trials[:2]) == 3, "what was never trained took no time"
    assert seconds_of([trials[0], tried(recipe(4), {}, [Outcome("run", "FAILED")])]) == 6


def test_the_mean_over_seeds_chooses() -> None:
    lucky = tried(recipe(1), {}, [finished(1.0), finished(0.4)])
    steady = tried(recipe(2), {}, [finished(0.8), finished(0.8)])
    assert best([lucky, steady], config(), 1) == [recipe(2)]


def test_equal_recipes_are_one_finalist() -> None:
    trials = [tried(recipe(lr), {}, [finished(0.9)]) for lr in (1, 1, 2)]
    assert best(trials, config(), 3) == [recipe(1), recipe(2)]


def test_planted_test_scores_change_nothing_and_cannot_be_asked_for() -> None:
    """The leak: the worst on validation rows is by far the best on test rows."""
    honest = [0.9, 0.8, 0.7]
    trials = [
        tried(recipe(n), {}, [finished(value, test=1 - value)]) for n, value in enumerate(honest)
    ]
    assert best(trials, config(), 3) == [recipe(0), recipe(1), recipe(2)]
    assert all(key.startswith("final/val_") for one in trials for key in (one.scores[0] or {}))
    # asked for by its name, its like of the validation rows is what is read
    assert best(trials, config("test/accuracy"), 1) == [recipe(0)]
    leaked = Outcome("run", "FINISHED", metrics=Untouchable(finished(0.5).metrics))
    assert tried(recipe(3), {}, [leaked]).scores == [
        {"final/val_accuracy": 0.5, "final/val_loss": 1.0}
    ]
    with pytest.raises(ConfigError, match="final/val_cost"):
        ranked(trials, config("test/cost"))


@pytest.mark.parametrize("name", ["test/accuracy", "ensemble/accuracy", "final/train_loss"])
def test_a_score_of_other_rows_is_refused(name: str) -> None:
    """Whatever takes the place of `tried`, such a score cannot come to a choice."""
    assert Trial(recipe(0), {}, [None, {"final/val_loss": 1.0, "val/loss": 1.0}])
    with pytest.raises(ConfigError, match=f"{name} is no score of validation rows"):
        Trial(recipe(0), {}, [None, {"final/val_loss": 1.0, name: 1.0}])


def test_a_score_that_is_no_number_is_the_worst_that_finished() -> None:
    trials = [tried(recipe(n), {}, [finished(v)]) for n, v in enumerate((math.nan, 0.1))]
    assert ranked(trials, config()) == [1, 0]
