"""The run to use, against choices made by hand."""

from collections.abc import Sequence

import pandas as pd
import pytest

from regexp.compare.choice import best_run
from regexp.errors import ConfigError
from tests.compare.sources import make_runs

NAN = float("nan")


def runs_of(*rows: tuple[str, str, int, float, float], metric: str = "accuracy") -> pd.DataFrame:
    """Runs of (id, technique, seed, validation metric, validation loss)."""
    return make_runs(
        [
            {
                "run_id": run_id, "technique": technique, "seed": seed, "score": 0.5,
                f"metrics.final/val_{metric}": value, "metrics.final/val_loss": loss,
            }
            for run_id, technique, seed, value, loss in rows
        ]
    )  # fmt: skip


ROWS: Sequence[tuple[str, str, int, float, float]] = [
    ("a", "none", 0, 0.80, 0.5),
    ("b", "none", 1, 0.99, 0.1),  # the best single run, of a configuration that is not
    ("c", "l1", 0, 0.91, 0.3),
    ("d", "l1", 1, 0.90, 0.2),
]


def test_the_configuration_is_chosen_by_its_mean_then_its_seed() -> None:
    assert best_run(runs_of(*ROWS)) == "c"


def test_test_scores_choose_nothing() -> None:
    runs = runs_of(*ROWS)
    runs["metrics.test/accuracy"] = [1.0, 1.0, 0.0, 0.1]
    assert best_run(runs) == "c"


def test_the_least_error_is_the_best_in_regression() -> None:
    assert best_run(runs_of(*ROWS, metric="rmse")) == "a"


def test_equal_ones_are_told_apart_by_their_loss() -> None:
    tied = [("a", "none", 0, 0.9, 0.5), ("b", "l1", 0, 0.9, 0.4), ("c", "l1", 1, 0.9, 0.3)]
    assert best_run(runs_of(*tied)) == "c"


def test_without_another_metric_the_loss_decides() -> None:
    assert best_run(runs_of(*ROWS).drop(columns="metrics.final/val_accuracy")) == "d"


def test_the_numbers_of_a_technique_are_a_configuration() -> None:
    runs = runs_of(*ROWS)
    runs["variant"] = ["", "", "strength=1", "strength=2"]
    assert best_run(runs) == "c"
    runs.loc[2, "metrics.final/val_accuracy"] = 0.79
    runs.loc[3, "metrics.final/val_accuracy"] = 0.995
    assert best_run(runs) == "d"


def test_easy_seeds_choose_nothing() -> None:
    """l2 stopped after two seeds, which happen to be easy, and is worse there."""
    easy = [("a", "none", seed, [0.95, 0.93, 0.7, 0.6][seed], 0.5) for seed in range(4)]
    fewer = [("l", "l2", seed, [0.94, 0.92][seed], 0.1) for seed in range(2)]
    assert best_run(runs_of(*easy, *fewer)) == "a"
    better = [("l", "l2", seed, [0.96, 0.94][seed], 0.9) for seed in range(2)]
    assert best_run(runs_of(*easy, *better)) == "l"


def test_what_has_not_finished_or_is_not_known_is_not_chosen() -> None:
    runs = runs_of(*ROWS)
    runs.loc[2, "status"] = "FAILED"
    assert best_run(runs) == "b", "none is better at the seed that l1 has"
    runs.loc[3, "metrics.final/val_accuracy"] = 0.991
    assert best_run(runs) == "d", "and now is not"
    runs.loc[3, "metrics.final/val_accuracy"] = NAN
    assert best_run(runs) == "b"
    runs["status"] = "RUNNING"
    with pytest.raises(ConfigError, match="no run of the sweep has finished"):
        best_run(runs)


def test_of_several_datasets_none_is_the_best() -> None:
    runs = runs_of(*ROWS)
    runs["dataset"] = ["iris", "iris", "wine", "wine"]
    with pytest.raises(ConfigError, match=r"of 2 datasets \(iris, wine\)"):
        best_run(runs)
