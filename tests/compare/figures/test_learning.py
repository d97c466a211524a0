import math

import numpy as np
import pandas as pd
import pytest

from regexp.compare.figures import learning_curves
from regexp.compare.figures.learning import BAND
from regexp.compare.figures.style import BLUE, INK
from tests.compare.figures.frames import curve, panels, ydata


def values(technique: str, seed: int, losses: list[float], variant: str = "") -> pd.DataFrame:
    """Validation losses by epoch, and training losses of half of them."""
    half = [loss / 2 for loss in losses]
    return pd.concat(
        [
            curve(technique, seed, "val/loss", losses, variant=variant),
            curve(technique, seed, "train/loss", half, variant=variant),
        ]
    )


def test_lines_are_means_over_seeds_and_the_baseline_is_behind() -> None:
    curves = pd.concat(
        [
            values("l1", 0, [1.0, 0.6]),
            values("l1", 1, [0.8, 0.4]),
            values("none", 0, [1.2, 1.0]),
        ]
    )
    found = panels(learning_curves(curves))
    assert list(found) == ["none", "l1"]
    drawn = {(line.get_color(), line.get_linestyle()): line for line in found["l1"].lines}
    np.testing.assert_allclose(ydata(drawn[BLUE, "-"]), [0.9, 0.5])
    np.testing.assert_allclose(ydata(drawn[BLUE, "--"]), [0.45, 0.25])
    np.testing.assert_allclose(ydata(drawn[INK, "-"]), [1.2, 1.0])
    assert len(found["none"].lines) == 2


def test_a_run_that_stopped_counts_with_its_last_value() -> None:
    """The mean of those that still train would favour the seeds that do well for long."""
    curves = pd.concat([values("none", 0, [1.0, 0.6, 0.2]), values("none", 1, [0.8, 0.4])])
    panel = panels(learning_curves(curves, metrics=["val/loss"]))["none"]
    assert [line.get_linestyle() for line in panel.lines] == ["-", ":"]
    np.testing.assert_allclose(ydata(panel.lines[0]), [0.9, 0.5])
    np.testing.assert_allclose(ydata(panel.lines[1]), [0.5, (0.2 + 0.4) / 2])
    edges = np.asarray(panel.collections[0].get_paths()[0].vertices)
    for step, pair in ((1, [1.0, 0.8]), (3, [0.2, 0.4])):
        top = edges[edges[:, 0] == step][:, 1].max()
        assert top == pytest.approx(np.mean(pair) + np.std(pair, ddof=1))


def test_diverged_run_does_not_flatten_the_others() -> None:
    curves = pd.concat(
        [
            values("none", 0, [1.0] * 500),
            values("l1", 0, [1.0] * 497 + [1e30, math.inf, math.nan]),
        ]
    )
    assert panels(learning_curves(curves))["none"].get_ylim()[1] < 2


def test_one_of_several_seeds_that_diverges_does_not_either() -> None:
    wild = [1.0, 0.9, *(10.0**epoch for epoch in range(1, 19))]
    calm = [1.0 - 0.04 * epoch for epoch in range(20)]
    runs = [("none", 0, calm), ("none", 1, calm), ("l1", 0, calm), ("l1", 1, wild)]
    curves = pd.concat([values(*run) for run in runs])
    assert panels(learning_curves(curves))["none"].get_ylim()[1] < 5


def test_every_panel_that_has_none_below_shows_epochs() -> None:
    curves = pd.concat([values(name, 0, [1.0, 0.5]) for name in ("none", "a", "b", "c", "d")])
    found = panels(learning_curves(curves))
    shown = [axes.xaxis.get_tick_params()["labelbottom"] for axes in found.values()]
    assert shown == [False, True, True, True, True]


def test_a_long_band_has_few_points() -> None:
    """Its outline would make the SVG of a long sweep huge."""
    curves = pd.concat([values("none", seed, list(np.linspace(1, 0, 5000))) for seed in range(2)])
    panel = panels(learning_curves(curves))["none"]
    assert len(np.asarray(panel.collections[0].get_paths()[0].vertices)) < 3 * BAND
    assert len(ydata(panel.lines[0])) == 5000


def test_nothing_to_draw_is_an_empty_figure() -> None:
    assert not learning_curves(values("none", 0, [])).axes[0].lines


def test_a_name_is_no_formula() -> None:
    """Two dollars begin and end one, which may be none that can be drawn."""
    figure = learning_curves(values("l1", 0, [1.0, 0.6], variant="$\\frac$"))
    figure.draw_without_rendering()
    assert list(panels(figure)) == ["l1 ($\\frac$)"]
