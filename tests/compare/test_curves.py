import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regexp.compare import learning_curves


def values(technique: str, seed: int, losses: list[float], variant: str = "") -> pd.DataFrame:
    """Validation losses by epoch, and training losses of half of them."""
    frames = [
        pd.DataFrame(
            {
                "dataset": "digits",
                "setting": "",
                "technique": technique,
                "variant": variant,
                "label": f"{technique} ({variant})" if variant else technique,
                "seed": seed,
                "metric": metric,
                "step": range(1, len(losses) + 1),
                "value": np.array(losses) * factor,
            }
        )
        for metric, factor in (("val/loss", 1.0), ("train/loss", 0.5))
    ]
    return pd.concat(frames)


def ydata(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_ydata(), dtype=float)


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> dict[str, Axes]:
    """The panels of the figure that is saved next, by title."""
    found: dict[str, Axes] = {}
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **named: Any) -> None:
        found.update({axes.get_title(): axes for axes in figure.axes if axes.get_visible()})
        save(figure, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def test_lines_are_means_over_seeds_and_the_baseline_is_grey(
    tmp_path: Path, panels: dict[str, Axes]
) -> None:
    curves = pd.concat(
        [
            values("l1", 0, [1.0, 0.6]),
            values("l1", 1, [0.8, 0.4]),
            values("none", 0, [1.2, 1.0]),
        ]
    )
    learning_curves(curves, tmp_path / "new" / "loss.png")
    assert (tmp_path / "new" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list(panels) == ["none", "l1"]
    drawn = {(line.get_color(), line.get_linestyle()): line for line in panels["l1"].lines}
    colour = next(colour for colour, _ in drawn if colour != "0.6")
    np.testing.assert_allclose(ydata(drawn[colour, "-"]), [0.9, 0.5])
    np.testing.assert_allclose(ydata(drawn[colour, "--"]), [0.45, 0.25])
    np.testing.assert_allclose(ydata(drawn["0.6", "-"]), [1.2, 1.0])
    assert len(panels["none"].lines) == 2


def test_a_run_that_stopped_counts_with_its_last_value(
    tmp_path: Path, panels: dict[str, Axes]
) -> None:
    """The mean of those that still train would favour the seeds that do well for long."""
    curves = pd.concat([values("none", 0, [1.0, 0.6, 0.2]), values("none", 1, [0.8, 0.4])])
    learning_curves(curves, tmp_path / "loss.png", metrics=["val/loss"])
    panel = panels["none"]
    assert [line.get_linestyle() for line in panel.lines] == ["-", ":"]
    np.testing.assert_allclose(ydata(panel.lines[0]), [0.9, 0.5])
    np.testing.assert_allclose(ydata(panel.lines[1]), [0.5, (0.2 + 0.4) / 2])
    edges = np.asarray(panel.collections[0].get_paths()[0].vertices)
    for step, pair in ((1, [1.0, 0.8]), (3, [0.2, 0.4])):
        top = edges[edges[:, 0] == step][:, 1].max()
        assert top == pytest.approx(np.mean(pair) + np.std(pair, ddof=1))


def test_diverged_run_does_not_flatten_the_others(tmp_path: Path, panels: dict[str, Axes]) -> None:
    curves = pd.concat(
        [
            values("none", 0, [1.0] * 500),
            values("l1", 0, [1.0] * 497 + [1e30, math.inf, math.nan]),
        ]
    )
    learning_curves(curves, tmp_path / "loss.png")
    assert panels["none"].get_ylim()[1] < 2


def test_every_panel_that_has_none_below_shows_epochs(
    tmp_path: Path, panels: dict[str, Axes]
) -> None:
    curves = pd.concat([values(name, 0, [1.0, 0.5]) for name in ("none", "a", "b", "c", "d")])
    learning_curves(curves, tmp_path / "loss.png")
    shown = [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels.values()]
    assert shown == [False, True, True, True, True]


def test_nothing_to_draw_is_an_empty_figure(tmp_path: Path) -> None:
    learning_curves(values("none", 0, []), tmp_path / "loss.png")
    assert (tmp_path / "loss.png").exists()


def test_a_name_is_no_formula(tmp_path: Path, panels: dict[str, Axes]) -> None:
    """Two dollars begin and end one, which may be none that can be drawn."""
    learning_curves(values("l1", 0, [1.0, 0.6], variant="$\\frac$"), tmp_path / "figure.png")
    assert list(panels) == ["l1 ($\\frac$)"]
