"""Pictures of metrics by epoch and by configuration."""

import numpy as np
import pandas as pd
import pytest

from regexp.compare.figures import budget, overfitting, rates
from regexp.compare.figures.budget import BANDS, NAMED, leaders
from regexp.compare.figures.overfitting import stops
from regexp.compare.figures.rates import recorded
from regexp.compare.figures.scales import spread
from regexp.compare.figures.style import BLUE, VERMILION
from regexp.compare.metric import Metric
from tests.compare.figures.frames import curve, texts, xy, ydata

VALIDATION_ACCURACY = Metric("final/val_accuracy")

# --- overfitting ----------------------------------------------------------------------------


def runs(epochs: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {"technique": name, "label": name, "status": "FINISHED", "seed": seed,
         "metrics.epochs": number}
        for name, numbers in epochs.items() for seed, number in enumerate(numbers)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def losses() -> pd.DataFrame:
    return pd.concat(
        [
            curve("none", 0, "train/loss", [1.0, 0.5, 0.2, 0.1]),
            curve("none", 1, "train/loss", [0.8, 0.3, 0.2, 0.1]),
            curve("none", 0, "val/loss", [1.0, 0.6, 0.9, 1.2]),
            curve("none", 1, "val/loss", [1.2, 0.9, 0.7, 1.4]),
            curve("l1", 0, "val/loss", [0.1, 0.1, 0.1, 0.1]),
        ]
    )


def test_losses_of_the_baseline_and_the_least_validation_loss() -> None:
    ended = runs({"none": [4, 4], "early_stopping": [2, 3], "l1": [4, 4], "prechelt": [1, 4]})
    figure = overfitting(losses(), ended)
    axes = figure.axes[0]
    thick = {line.get_color(): ydata(line) for line in axes.lines if line.get_linewidth() > 2}
    np.testing.assert_allclose(thick[VERMILION], [0.9, 0.4, 0.2, 0.1])
    np.testing.assert_allclose(thick[BLUE], [1.1, 0.75, 0.8, 1.3])
    thin = [line for line in axes.lines if line.get_linewidth() == 0.6]
    assert len(thin) == 4, "two seeds of two losses, of the baseline alone"
    mark = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(xy(mark), np.array([[2], [0.75]]))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "least validation loss: epoch 2" in labels
    assert stops(ended).to_dict() == {"early_stopping": 2.5, "prechelt": 2.5}
    assert {"early_stopping: 2.5", "prechelt: 2.5"} <= set(texts(figure))
    assert not any(text.startswith("l1") for text in texts(figure))


def test_names_of_those_that_stop_together_are_moved_apart() -> None:
    figure = overfitting(losses(), runs({"none": [4.0], "a": [2.0], "b": [2.0], "c": [2.0]}))
    places = sorted(text.get_position()[0] for text in figure.axes[0].texts)
    assert np.diff(places).min() > 0.05
    assert np.mean(places) == pytest.approx(2)


def test_spread_moves_no_more_than_needed() -> None:
    assert spread([5.0, 1.0, 9.0], 2) == [5.0, 1.0, 9.0]
    np.testing.assert_allclose(spread([1.0, 1.0, 1.0], 2), [-1.0, 1.0, 3.0])
    assert spread([], 1) == []


def test_overfitting_without_epochs_or_baseline() -> None:
    assert stops(pd.DataFrame({"technique": ["none"], "status": ["FINISHED"]})).empty
    others = losses().query("technique != 'none'")
    assert not overfitting(others, runs({"l1": [4.0]})).axes[0].lines


# --- learning rates -------------------------------------------------------------------------


def test_a_line_for_each_learning_rate_that_differs() -> None:
    curves = pd.concat(
        [
            *(curve(name, seed, "lr", [0.1] * 4) for name in ("none", "l1") for seed in (0, 1)),
            curve("early_stopping", 0, "lr", [0.1] * 2),
            *(curve(name, 0, "lr", [0.1, 0.05, 0.02, 0.0], setting="scheduler=cosine")
              for name in ("none", "l1", "early_stopping")),
            curve("none", 0, "lr", [0.1, 0.1, 0.1, 0.1], setting="scheduler=plateau"),
            curve("none", 1, "lr", [0.1, 0.1, 0.01, 0.01], setting="scheduler=plateau"),
        ]
    )  # fmt: skip
    found = recorded(curves)
    assert [len(rate.rows) for rate in found] == [3, 3, 1], "one that stopped shares the line"
    figure = rates(curves)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["default", "scheduler=cosine", "scheduler=plateau"]
    lines = figure.axes[0].lines
    np.testing.assert_allclose(xy(lines[0]), np.array([[1, 2, 3, 4], [0.1] * 4]))
    np.testing.assert_allclose(ydata(lines[1]), [0.1, 0.05, 0.02, 0.0])
    np.testing.assert_allclose(ydata(lines[2]), [0.1, 0.1, 0.055, 0.055])
    assert (
        len({line.get_linestyle() for line in lines}) == 3
        or len({(line.get_linestyle(), line.get_color()) for line in lines}) == 3
    )


def test_techniques_are_named_where_settings_do_not_tell() -> None:
    curves = pd.concat(
        [
            curve("none", 0, "lr", [0.1, 0.1]),
            curve("l1", 0, "lr", [0.1, 0.1]),
            curve("snapshot", 0, "lr", [0.1, 0.0]),
        ]
    )
    labels = [text.get_text() for text in rates(curves).legends[0].get_texts()]
    assert labels == ["none, l1", "snapshot"]


# --- budget ---------------------------------------------------------------------------------


def tried(names: list[str]) -> pd.DataFrame:
    parts = []
    for place, name in enumerate(names):
        value = np.array([0.5, 0.6, 0.65]) + place / 100
        parts.append(
            pd.DataFrame({"dataset": "digits", "setting": "", "label": name,
                          "budget": [1, 2, 3], "value": value, "low": value - 0.1,
                          "high": value + 0.1})
        )  # fmt: skip
    return pd.concat(parts)


def test_budget_names_the_best_and_the_baseline() -> None:
    evp = tried(["none", *(f"t{place}" for place in range(1, 13))])
    assert leaders(evp, lower_is_better=False) == [
        "none", *(f"t{place}" for place in range(12, 12 - NAMED, -1))
    ]  # fmt: skip
    assert leaders(evp, lower_is_better=True)[1] == "t1"
    figure = budget(evp, VALIDATION_ACCURACY)
    axes = figure.axes[0]
    assert len(axes.lines) == 13
    best = next(line for line in axes.lines if ydata(line)[-1] == pytest.approx(0.77))
    np.testing.assert_allclose(xy(best), np.array([[1, 2, 3], [0.62, 0.72, 0.77]]))
    assert len(axes.collections) == BANDS
    assert {"none", "t12", "t5"} <= set(texts(figure))
    assert "t4" not in texts(figure)
    assert axes.get_ylabel().startswith("expected best validation accuracy")


def test_budget_of_one_technique() -> None:
    budget(tried(["l1"]), VALIDATION_ACCURACY).draw_without_rendering()
