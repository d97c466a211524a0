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


def test_band_ends_where_a_seed_stopped(tmp_path: Path, panels: dict[str, Axes]) -> None:
    curves = pd.concat([values("none", 0, [1.0, 0.6, 0.5]), values("none", 1, [0.8, 0.4])])
    learning_curves(curves, tmp_path / "loss.png", metrics=["val/loss"])
    panel = panels["none"]
    np.testing.assert_allclose(ydata(panel.lines[0]), [0.9, 0.5, 0.5])
    edges = np.asarray(panel.collections[0].get_paths()[0].vertices)
    assert edges[:, 0].max() == 2
    spread = np.std([1.0, 0.8], ddof=1)
    assert edges[edges[:, 0] == 1][:, 1].max() == pytest.approx(0.9 + spread)


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
