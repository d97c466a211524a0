"""Pictures of the table: what is drawn is what the table says."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from regexp.compare.baseline import NONE, parts_of
from regexp.compare.figures import cost, forest, heat_map, settings
from regexp.compare.figures.cost import pareto, placed, unit
from regexp.compare.figures.heat_map import cells
from regexp.compare.figures.settings import groups, parsed
from regexp.compare.figures.style import BLUE, INK, VERMILION
from regexp.compare.metric import Metric, metric_of
from tests.compare.figures.frames import ACCURACY, panels, table, technique, texts, xy, ydata

BASE = {"technique": "none", "mean": 0.9}


def names(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


# --- forest ---------------------------------------------------------------------------------


def test_forest_draws_differences_and_intervals_in_points() -> None:
    rows = [
        BASE,
        technique("l1", -0.02, outcome="hurts"),
        technique("dropout", 0.03, 0.0051234, outcome="helps"),
        technique("ema", 0.001),
        {"technique": "mixup", "outcome": "no verdict", "pairs": 0},
    ]
    figure = forest(table(rows), ACCURACY)
    assert names(figure) == ["dropout", "ema", "l1", "mixup"], "the best on top"
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    points = {int(y[0]): (x[0], line) for line in drawn for x, y in [xy(line)]}
    assert {place: round(x, 9) for place, (x, _) in points.items()} == {0: 3.0, 1: 0.1, 2: -2.0}
    colours = [points[place][1].get_color() for place in range(3)]
    assert colours == [BLUE, INK, VERMILION]
    filled = [points[place][1].get_markerfacecolor() != "none" for place in range(3)]
    assert filled == [True, False, True], "only claims are filled"
    spans = [tuple(np.round(xy(line)[0], 9)) for line in axes.lines if len(xy(line)[0]) == 2]
    assert {(1.97532, 4.02468), (1.46298, 4.53702), (-4.0, 0.0), (-5.0, 1.0)} <= set(spans)
    assert "+3.00 [+1.97, +4.03]  n = 5" in texts(figure)
    assert "no difference known  n = 0" in texts(figure)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_forest_of_errors_has_the_least_on_top_and_no_unit() -> None:
    rows = [BASE, technique("l1", 0.5), technique("l2", -0.5)]
    figure = forest(table(rows), metric_of("test/rmse"))
    assert names(figure) == ["l2", "l1"]
    assert "points" not in figure.axes[0].get_xlabel()
    assert "← better" in figure.axes[0].get_xlabel()


def test_numbers_of_a_forest_have_as_many_digits() -> None:
    """Those that the usual one asks for."""
    rows = [BASE, *(technique(f"a{at}", gain) for at, gain in enumerate((0.2, 0.021, 0.0003)))]
    shown = [text for text in texts(forest(table(rows), ACCURACY)) if "n = " in text]
    assert len(shown) == 3
    numbers = [number for text in shown for number in re.findall(r"\d+\.\d+", text)]
    assert {len(number.partition(".")[2]) for number in numbers} == {2}


def test_one_failure_does_not_flatten_the_forest() -> None:
    good = [technique(f"t{place}", 0.001 * place) for place in range(8)]
    figure = forest(table([BASE, *good, technique("broken", -0.9)]), ACCURACY)
    low, high = figure.axes[0].get_xlim()
    assert low > -10
    assert high < 10
    arrow = [line for line in figure.axes[0].lines if line.get_marker() == "<"]
    assert [xy(line).tolist() for line in arrow] == [[[low], [8.0]]]
    assert any(text.startswith("−90.0") for text in texts(figure)), "its number is written"


@pytest.mark.parametrize("count", [0, 1, 90])
def test_forest_of_few_and_many(count: int) -> None:
    rows = [technique(f"t{place}", 0.001 * place) for place in range(count)]
    figure = forest(table([BASE, *rows]), ACCURACY)
    figure.draw_without_rendering()
    assert len(names(figure)) == count


# --- cost -----------------------------------------------------------------------------------


def test_pareto_front() -> None:
    seconds = np.array([1.0, 2.0, 3.0, 1.0, 0.5])
    scores = np.array([0.9, 0.95, 0.94, 0.8, 0.7])
    assert pareto(seconds, scores, lower_is_better=False).tolist() == [0, 1, 4]
    assert pareto(seconds, scores, lower_is_better=True).tolist() == [4]


def test_cost_of_several_baselines_is_in_units_of_the_cheapest() -> None:
    """Of a grid over epochs, where each technique is in units of its own baseline's."""
    rows = table(
        [
            {
                "technique": name, "variant": f"epochs={epochs}", "mean": mean + epochs / 500,
                "seconds": times * epochs / 5, "relative_seconds": times,
            }
            for name, mean, times in (("none", 0.8, 1.0), ("l1", 0.81, 1.1))
            for epochs in (5, 50)
        ]
    )  # fmt: skip
    told = placed(rows, NONE)
    assert told["relative_seconds"].tolist() == pytest.approx([1.0, 10.0, 1.1, 11.0])
    front = pareto(
        told["relative_seconds"].to_numpy(), told["mean"].to_numpy(), lower_is_better=False
    )
    assert set(told["label"][front]) == set(rows["label"])
    assert unit(rows, NONE) == "none (epochs=5)"
    assert unit(rows[:1], NONE) == "the baseline"


def test_cost_places_means_against_relative_seconds() -> None:
    rows = [
        BASE,
        technique("l1", 0.01, relative_seconds=1.2, outcome="helps"),
        technique("sam", 0.02, relative_seconds=2.1),
        technique("ema", -0.01, relative_seconds=np.nan),
    ]
    figure = cost(table(rows), ACCURACY)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    drawn = {
        (float(x), round(float(y), 9))
        for line in axes.lines
        if line.get_linestyle() == "None"
        for x, y in zip(*xy(line), strict=True)
    }
    assert drawn == {(1.0, 0.9), (1.2, 0.91), (2.1, 0.92)}, "the baseline costs 1"
    front = next(line for line in axes.lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(xy(front), [[1.0, 1.2, 2.1], [0.9, 0.91, 0.92]])
    assert {"none", "l1", "sam"} <= set(texts(figure))
    assert "ema" not in texts(figure)


def test_cost_places_what_has_other_seeds_by_those_of_the_baseline() -> None:
    easy = technique("l1", -0.02, relative_seconds=1.0, mean=0.95, outcome="hurts")
    front, *points = cost(table([BASE, easy]), ACCURACY).axes[0].lines
    np.testing.assert_allclose(xy(front), [[1.0], [0.9]], err_msg="on it is none alone")
    assert sorted(y for point in points for y in xy(point)[1]) == pytest.approx([0.88, 0.9])


def test_names_do_not_overlap() -> None:
    generator = np.random.default_rng(0)
    rows = [
        technique(f"technique_{place}", float(generator.normal(0, 0.01)),
                  relative_seconds=float(np.exp(generator.normal(0.3, 0.2))))
        for place in range(12)
    ]  # fmt: skip
    figure = cost(table([BASE, *rows]), ACCURACY)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 13
    meeting = [
        (one, two) for one in range(13) for two in range(one) if boxes[one].overlaps(boxes[two])
    ]
    assert not meeting


def test_a_failure_stands_at_the_border_with_its_score() -> None:
    rows = [technique(f"t{place}", 0.001 * place) for place in range(8)]
    figure = cost(table([BASE, *rows, technique("broken", -0.8)]), ACCURACY)
    assert figure.axes[0].get_ylim()[0] > 0.8
    assert "broken at 0.1" in texts(figure)


@pytest.mark.parametrize("count", [0, 1, 90])
def test_cost_of_few_and_many(count: int) -> None:
    rows = [technique(f"t{place}", 0.001 * place) for place in range(count)]
    cost(table([BASE, *rows]), ACCURACY).draw_without_rendering()


# --- heat map -------------------------------------------------------------------------------


def several() -> pd.DataFrame:
    rows = []
    for place, dataset in enumerate(("iris", "wine")):
        rows += [
            BASE | {"dataset": dataset},
            technique("l1", 0.01 * place, dataset=dataset, outcome="helps" if place else "hurts"),
            technique("dropout", 0.05, dataset=dataset),
        ]
    return table([*rows, technique("ema", -0.02, dataset="iris")])


def test_heat_map_has_every_difference_in_its_cell() -> None:
    values, claims = cells(several(), lower_is_better=False)
    assert values.index.tolist() == ["dropout", "l1", "ema"], "by their mean, the best first"
    assert list(map(tuple, values.columns)) == [("iris", ""), ("wine", "")]
    np.testing.assert_allclose(values.to_numpy(), [[0.05, 0.05], [0, 0.01], [-0.02, np.nan]])
    assert claims.to_numpy().tolist() == [[False, False], [True, True], [False, False]]
    figure = heat_map(several(), ACCURACY)
    axes = figure.axes[0]
    written = {tuple(map(float, text.get_position())): text for text in axes.texts}
    assert written[0.0, 0.0].get_text() == "+5.0"
    assert written[1.0, 1.0].get_text() == "+1.0"
    assert written[0.0, 2.0].get_text() == "−2.0"
    assert written[1.0, 2.0].get_text() == "–", "no run there"
    assert written[1.0, 1.0].get_fontweight() == "bold"
    assert written[0.0, 0.0].get_fontweight() == "normal"
    assert len(axes.patches) == 2, "two frames for two claims"
    image = axes.images[0]
    np.testing.assert_allclose(image.get_array().filled(np.nan), values.to_numpy() * 100)  # type: ignore[union-attr]


@pytest.mark.parametrize("lower", [False, True])
def test_blue_is_better(lower: bool) -> None:
    image = heat_map(several(), Metric("test/accuracy", lower)).axes[0].images[0]
    red, _, blue, _ = image.to_rgba(np.array([5.0]))[0]
    assert (blue > red) != lower


# --- settings -------------------------------------------------------------------------------


def test_settings_are_taken_apart() -> None:
    text = "dataset.train_size=50, model.hidden=[8, 8], optimizer.lr=1e-3"
    assert parts_of(text) == ["dataset.train_size=50", "model.hidden=[8, 8]", "optimizer.lr=1e-3"]
    assert parsed(text) == {"dataset.train_size": 50.0, "optimizer.lr": 1e-3}
    assert parsed("") == {}


def sizes(count: int, extra: str = "") -> pd.DataFrame:
    rows = []
    for size in (1000, 50, 200):
        setting = f"dataset.train_size={size}{extra}"
        rows.append(BASE | {"setting": setting})
        rows += [technique(f"t{one}", size / 1e5 + one / 1000, 0.001, setting=setting)
                 for one in range(count)]  # fmt: skip
    return table(rows)


def test_groups_have_one_number_that_varies() -> None:
    data = pd.concat([sizes(1, ", model=cnn"), sizes(1, ", model=mlp")])
    found = groups(data)
    assert [(dataset, key, rest) for dataset, key, rest, _ in found] == [
        ("digits", "dataset.train_size", "model=cnn"),
        ("digits", "dataset.train_size", "model=mlp"),
    ]
    assert [len(rows) for *_, rows in found] == [6, 6]
    assert not groups(table([BASE, technique("l1", 0.1)]))


def test_a_line_a_technique_against_the_number() -> None:
    figure = settings(sizes(2), ACCURACY, "dataset.train_size")
    axes = figure.axes[0]
    lines = [
        line for line in axes.lines if len(xy(line)[0]) == 3 and line.get_linestyle() != "None"
    ]
    np.testing.assert_allclose(ydata(lines[0]), [0.05, 0.2, 1.0])
    np.testing.assert_allclose(ydata(lines[1]), [0.15, 0.3, 1.1])
    np.testing.assert_allclose(xy(lines[0])[0], [50, 200, 1000], rtol=0.1)
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "200", "1000"]
    whiskers = axes.collections[0].get_segments()  # type: ignore[attr-defined]
    np.testing.assert_allclose([[end[1] for end in one] for one in whiskers],
                               [[-0.15, 0.25], [0.0, 0.4], [0.8, 1.2]], atol=1e-12)  # fmt: skip
    assert {"t0", "t1"} <= set(texts(figure))


@pytest.mark.parametrize("count", [2, 7])
def test_what_lies_far_beyond_the_others_is_an_arrow_with_its_number(count: int) -> None:
    data = sizes(count)
    wild = (data["label"] == "t1") & data["setting"].str.contains("1000")
    data.loc[wild, ["difference", "low", "high"]] = [-0.9, -0.91, -0.89]
    figure = settings(data, ACCURACY, "dataset.train_size")
    axes = figure.axes[0] if count == 2 else panels(figure)["t1"]
    [arrow] = [line for line in axes.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(ydata(arrow), [axes.get_ylim()[0]])
    assert axes.get_ylim()[0] > -90
    assert "−90.0" in [text.get_text() for text in axes.texts]


def test_the_number_of_an_arrow_counts_whatever_its_size() -> None:
    data = sizes(2)
    columns = ["difference", "low", "high"]
    data[columns] = data[columns].astype(float) * 1e-3
    wild = (data["label"] == "t1") & data["setting"].str.contains("1000")
    data.loc[wild, columns] = [-0.045, -0.046, -0.044]
    figure = settings(data, metric_of("test/rmse"), "dataset.train_size")
    assert "−0.0450" in [text.get_text() for text in figure.axes[0].texts]


def test_ticks_that_lie_close_are_told_once() -> None:
    numbers = (100, 101, 102, 103, 400, 700)
    rows = [
        {**row, "setting": f"dataset.train_size={number}"}
        for number in numbers
        for row in (BASE, technique("l1", 0.01))
    ]
    axes = settings(table(rows), ACCURACY, "dataset.train_size").axes[0]
    told = [label.get_text() for label in axes.get_xticklabels()]
    assert told == ["100", "", "", "", "400", "700"]
    assert list(axes.get_xticks()) == list(numbers)


def test_an_interval_without_zero_does_not_read_as_one_with_it() -> None:
    rows = [BASE, technique("l1", 0.006, 0.002998)]
    assert "+0.6000 [+0.0004, +1.1996]  n = 5" in texts(forest(table(rows), ACCURACY))


def test_many_techniques_get_a_panel_each() -> None:
    found = panels(settings(sizes(7), ACCURACY, "dataset.train_size"))
    assert set(found) == {f"t{one}" for one in range(7)}
    own = next(line for line in found["t3"].lines if line.get_color() == BLUE)
    np.testing.assert_allclose(ydata(own), [0.35, 0.5, 1.3])
