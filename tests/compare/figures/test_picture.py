"""Files of pictures, and which pictures a comparison has."""

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from regexp.compare import Comparison, figures
from regexp.compare.comparison import Family
from regexp.compare.figures import draw, forest, png
from regexp.compare.figures.learning import learning_curves
from regexp.compare.figures.picture import file_name
from regexp.compare.figures.reliability import reliability
from regexp.compare.figures.scales import usual
from regexp.compare.figures.style import INK, distinct, measured, short
from regexp.compare.pictured import FAMILIES, panel_keys, pictured
from regexp.compare.verdict import Judge
from tests.compare.figures import frames
from tests.compare.figures.frames import ACCURACY, curve, diagnostics, table, technique
from tests.compare.figures.frames import reliability as reliability_of

BASE = {"technique": "none", "mean": 0.9}


def figure() -> Figure:
    rows = [BASE, technique("<script>alert(1)</script> $\\frac$ 漢", 0.02, outcome="helps")]
    return forest(table(rows), ACCURACY)


def svg(name: str = "forest") -> str:
    return figures.svg(figure(), name, "A & B")


def test_svg_is_transparent_and_its_ink_is_the_text_colour() -> None:
    text = svg()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "currentColor" in text
    assert INK not in text
    assert "#000000" not in text, "all that is black is ink"
    assert "script" not in text
    assert "A &amp; B" in text
    assert not re.search(r"fill: #ffffff", text), "no white ground"
    assert "<!--" not in text
    assert "<?xml" not in text


def test_ids_of_two_pictures_differ() -> None:
    ids = [set(re.findall(r'\sid="([^"]+)"', svg(name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]
    text = svg("a")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= ids[0], "every reference leads somewhere"


def test_equal_pictures_give_equal_files() -> None:
    assert svg() == svg()
    first = png(figure())
    assert first == png(figure())
    with Image.open(io.BytesIO(first)) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg()
    assert dict(matplotlib.rcParams) == before


def test_names() -> None:
    assert measured("test/accuracy") == "test accuracy"
    assert measured("final/val_rmse") == "validation RMSE"
    assert short("a\nb") == "a b"
    assert len(short("x" * 500, 30)) == 30
    assert file_name("forest/../a b") == "forest_.._a_b"
    assert len(file_name("x" * 500)) < 90


def test_names_that_differ_differ_when_they_are_short() -> None:
    grid = [
        f"l1+dropout (strength={strength}, hidden={hidden})"
        for strength in (0.0001, 0.001)
        for hidden in (0.2, 0.3)
    ]
    found = distinct(["none", *grid])
    assert found[0] == "none"
    assert len(set(found)) == 5
    assert all(len(name) <= 34 for name in found)
    assert [("0.0001" in name, "hidden=0.2" in name) for name in found[1:]] == [
        (True, True), (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert distinct(["a" * 50 + "b" + "a" * 50, "a" * 50 + "c" + "a" * 50, "d"], 30)[2] == "d"
    assert distinct(["same", "same"]) == ["same #1", "same #2"]
    assert len(set(distinct([f"{'x' * 40} {place} {'y' * 60}" for place in range(30)]))) == 30


@pytest.mark.parametrize("setting", ["", "model.hidden=[128, 128], optimizer.lr=0.0003, a.b=c"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_title_and_legend_are_above_the_panels(count: int, setting: str) -> None:
    names = [f"technique {place}" for place in range(count)]
    drawn = [
        learning_curves(
            pd.concat(
                curve(name, seed, metric, [2.0, 1.0], setting=setting)
                for name in names for seed in (0, 1) for metric in ("train/loss", "val/loss")
            )
        ),
        reliability(
            pd.concat(
                diagnostics(name, 0, reliability=reliability_of({7: (20, 0.5, 0.6)})).assign(
                    setting=setting
                )
                for name in names
            )
        ),
    ]  # fmt: skip
    for figure in drawn:
        figure.draw_without_rendering()
        boxes = [legend.get_window_extent() for legend in figure.legends]
        assert figure.get_suptitle()
        top = figure.get_window_extent().y1
        for box in boxes:
            assert all(box.y0 >= axes.title.get_window_extent().y1 for axes in figure.axes)
        heads = [text.get_window_extent() for text in figure.texts if text.get_text()]
        assert max(head.y1 for head in heads) <= top
        assert all(head.x0 >= 0 and head.x1 <= figure.get_window_extent().x1 for head in heads)


def test_usual_size_leaves_out_what_is_far_beyond() -> None:
    assert usual([1.0, 2.0, 3.0, 100.0]) == 3.0
    assert usual([1.0, 2.0, np.nan, np.inf]) == 2.0
    assert usual([0.0]) == 0


# --- which pictures -------------------------------------------------------------------------


def comparison(rows: list[dict[str, Any]]) -> Comparison:
    data = table(rows)
    runs = data[["dataset", "setting", "technique", "variant", "label"]].assign(
        seed=0, status="FINISHED", **{"metrics.epochs": 2.0}
    )
    families = [
        Family(str(dataset), "", part, Judge(ACCURACY), notes=[])
        for dataset, part in data.groupby("dataset", sort=False)
    ]
    return _comparison(data, runs, families)


def of_settings(settings: dict[str, dict[str, float]]) -> Comparison:
    """Of datasets, and of each the settings with the mean of their best technique."""
    rows = [
        row
        | {"dataset": dataset, "setting": setting}
        | {"mean": 0.0, "adjusted_mean": mean - worse}  # some stopped early
        for dataset, means in settings.items()
        for setting, mean in means.items()
        for row, worse in ((BASE, 0.3), (technique("l1", 0.0), 0.0))
    ]
    data = table(rows)
    families = [
        Family(str(dataset), str(setting), part, Judge(ACCURACY), notes=[])
        for (dataset, setting), part in data.groupby(["dataset", "setting"], sort=False)
    ]
    return _comparison(data, data.iloc[:0], families)


def _comparison(data: pd.DataFrame, runs: pd.DataFrame, families: list[Family]) -> Comparison:
    return Comparison(ACCURACY, runs, runs.iloc[:0], data, families, across=None, sweeps={})


def curves_of(dataset: str) -> list[pd.DataFrame]:
    return [
        curve(name, 0, metric, [0.5, 0.4], dataset=dataset)
        for name in ("none", "l1") for metric in ("train/loss", "val/loss", "val/accuracy", "lr")
    ]  # fmt: skip


def test_draw_chooses_what_applies() -> None:
    rows = []
    for dataset in ("iris", "wine"):
        rows += [BASE | {"dataset": dataset}, technique("l1", 0.01, dataset=dataset)]
    curves = pd.concat(curves_of("iris") + curves_of("wine"))
    diagnostics = frames.diagnostics("l1", 0, weights=frames.weights({20: 5}))
    diagnostics["dataset"] = "wine"
    found = {one.name: one for one in draw(comparison(rows), curves, diagnostics)}
    each = ["forest", "cost", "overfitting", "learning_curves_loss", "learning_curves_accuracy"]
    expected = {"heat_map", "learning_rate_iris", "learning_rate_wine", "weights_wine"}
    expected |= {f"{name}_{dataset}" for name in each for dataset in ("iris", "wine")}
    assert set(found) == expected
    assert all(one.caption and one.title for one in found.values())
    assert found["forest_iris"].title.endswith("iris")
    assert found["forest_iris"].kind == "forest"


def test_one_run_alone_has_few_pictures() -> None:
    curves = curve("none", 0, "lr", [0.1])
    none = frames.diagnostics("none", 0).iloc[:0]
    found = [one.name for one in draw(comparison([BASE]), curves, none)]
    assert found == ["learning_rate_digits"]


def test_losses_of_the_baseline_alone_are_pictured_once() -> None:
    metrics = ("train/loss", "val/loss", "val/accuracy")
    curves = pd.concat([curve("none", 0, metric, [0.5, 0.4]) for metric in metrics])
    none = frames.diagnostics("none", 0).iloc[:0]
    found = [one.kind for one in draw(comparison([BASE]), curves, none)]
    assert found == ["overfitting", "learning_curves_accuracy"]


def test_a_picture_that_fails_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("too odd")

    monkeypatch.setattr(figures, "forest", fail)
    none = frames.diagnostics("none", 0).iloc[:0]
    empty = curve("none", 0, "lr", [])
    found = [one.name for one in draw(comparison([BASE, technique("l1", 0.1)]), empty, none)]
    assert found == ["cost_digits"]
    assert "too odd" in caplog.text


def test_small_panels_show_the_best_and_the_worst() -> None:
    rows = [technique(f"t{place:02}", 0.001 * place) for place in range(40)]
    chosen = {key[2] for key in panel_keys(table([BASE, *rows]), ACCURACY)}
    assert chosen == {"none", *(f"t{place:02}" for place in [*range(29, 40), *range(4)])}
    few = table([BASE, *rows[:15]])
    assert len(panel_keys(few, ACCURACY)) == 16


def test_of_many_settings_those_with_the_best_scores_are_pictured() -> None:
    """Of each dataset as many; a dataset with one setting has it pictured however bad it is."""
    many = {f"lr={number}": 0.001 * (number * 7 % 40) for number in range(40)}
    found = of_settings({"iris": many, "wine": {"": 0.0}})
    shown = [(family.dataset, family.setting) for family in pictured(found)]
    best = sorted(many, key=lambda setting: -many[setting])[: FAMILIES // 2]
    assert shown == [*(("iris", one) for one in many if one in best), ("wine", "")]
    few = of_settings({"iris": dict(list(many.items())[:FAMILIES])})
    assert pictured(few) == few.families
    datasets = of_settings({f"d{number}": {"": 0.5} for number in range(30)})
    assert len(pictured(datasets)) == 30
