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
from regexp.compare.figures.picture import file_name
from regexp.compare.figures.style import INK, measured, short, usual
from regexp.compare.pictured import FAMILIES, panel_keys, pictured
from regexp.compare.verdict import Judge
from tests.compare.figures import frames
from tests.compare.figures.frames import ACCURACY, curve, table, technique

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
        row | {"dataset": dataset, "setting": setting, "mean": mean - worse}
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
