"""The pictures of a search: what is drawn is what its record says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from regexp.compare.figures.style import BLUE, VERMILION
from regexp.search.figures import draw, sketched
from regexp.search.figures.parallel import BAND, axes_of, parallel
from regexp.search.figures.progress import progress
from regexp.search.figures.switches import switches, switches_of
from regexp.search.recipe import Recipe
from regexp.search.records import Chosen
from tests.compare.figures.frames import texts, xy
from tests.search.records_by_hand import record


def steps(figure: Figure, colour: str) -> list[list[float]]:
    [line] = [line for line in figure.axes[0].lines
              if line.get_drawstyle() == "steps-post" and line.get_color() == colour]  # fmt: skip
    return [*xy(line).tolist()]


def test_progress_has_the_best_so_far_of_both_arms_against_their_own_time() -> None:
    figure = progress(record())
    assert steps(figure, BLUE) == [[2, 4, 10, 16], [0.90, 0.92, 0.95, 0.95]]
    assert steps(figure, VERMILION) == [[3, 6, 6], [0.90, 0.93, 0.93]]
    assert figure.axes[0].get_xscale() == "log"
    assert {"1", "2", "5", "best recipe so far", "none, tuned"} <= {*texts(figure)}


def test_estimators_are_lines_of_validation_scores_but_for_those_that_guess() -> None:
    lines = [xy(line)[1].tolist() for line in progress(record()).axes[0].lines]
    assert [0.96, 0.96] in lines
    assert [0.1, 0.1] not in lines


def test_a_trial_that_a_rung_ended_is_fainter_and_one_that_failed_is_not_there() -> None:
    points = [line for line in progress(record()).axes[0].lines
              if line.get_linestyle() == "None" and line.get_markersize() == 3.5]  # fmt: skip
    assert len(points) == 9
    faint = [xy(line)[0].tolist() for line in points if line.get_markerfacecolor() == "none"]
    assert faint == [[12.0]]


def test_a_search_of_which_nothing_has_finished_is_drawn() -> None:
    whole = record()
    failed = {arm: [replace(one, score=None) for one in trials]
              for arm, trials in whole.trials.items()}  # fmt: skip
    figure = progress(replace(whole, trials=failed))
    assert not [text for text in figure.axes[0].texts if text.get_text().isdecimal()]


def test_switches_are_shares_of_the_best_quarter_and_of_all_that_finished() -> None:
    """Of 7 that finished the best 2 both have dropout, which 3 of all have; mixup 0 and 2."""
    dropout, mixup = switches_of(record())
    assert (dropout.name, dropout.good, dropout.of_good, dropout.all, dropout.of_all) == (
        "dropout", 2, 2, 3, 7,
    )  # fmt: skip
    assert (mixup.good, mixup.all) == (0, 2)
    assert dropout.difference == pytest.approx(1 - 3 / 7)
    figure = switches(record())
    [axes] = figure.axes
    drawn = [(line.get_marker(), *xy(line)[:, 0]) for line in axes.lines if len(xy(line)[0]) == 1]
    assert drawn == [("|", pytest.approx(300 / 7), 0), ("o", 100, 0),
                     ("|", pytest.approx(200 / 7), 1), ("s", 0, 1)]  # fmt: skip
    assert "2 of 2; 3 of 7" in texts(figure)
    weights = [label.get_fontweight() for label in axes.get_yticklabels()]
    assert weights == ["bold", "normal"], "what the recipe has"


def test_of_many_techniques_those_of_the_recipe_are_drawn_and_the_largest_differences() -> None:
    """40 techniques in all trials but dropout and mixup; 30 are drawn."""
    made = record()
    many: dict[str, Any] = {f"t{number:02}": {} for number in range(40)}
    trials = [
        replace(one, recipe=Recipe(one.recipe.shared, many | dict(one.recipe.techniques)))
        for one in made.trials["recipes"]
    ]
    found = Chosen(Recipe(made.recipe.recipe.shared, {"t39": {}}))
    made = record(trials={**made.trials, "recipes": trials}, recipe=found)
    names = [label.get_text() for label in switches(made).axes[0].get_yticklabels()]
    assert len(names) == 30
    assert (names[0], names[-1]) == ("dropout", "mixup")
    assert "t39" in names


def test_axes_stand_for_numbers_categories_counts_and_the_score() -> None:
    made = record()
    trials = sorted(
        (one for one in made.trials["recipes"] if one.score is not None),
        key=lambda one: one.rank,
    )
    lr, batch, techniques, score = axes_of(made, trials)
    assert lr.name == "learning rate"
    assert lr.heights == pytest.approx([1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 1 / 3, 0])
    assert [text for _, text in lr.ticks] == ["0.0001", "0.001", "0.01", "0.1"]
    # 32 is the lower half and 64 the upper; the better ones of each are above within it
    assert batch.heights == pytest.approx(
        [0.88125, 0.79375, 0.70625, 0.25 + 0.35 / 3, 0.61875, 0.25, 0.25 - 0.35 / 3]
    )
    assert [text for _, text in techniques.ticks] == ["0", "1"]
    assert score.heights == pytest.approx([0.5, 0.25, 0, 0, 0, 0, 1])  # 0.93 to 0.97
    assert [text for _, text in score.ticks] == ["0.930", "0.940", "0.950", "0.960", "0.970"]


def test_ticks_of_scores_differ_whatever_their_size() -> None:
    made = record()
    found = [one for one in made.trials["recipes"] if one.score is not None]
    for scale, ticks in (
        (1e-3, ["0.000930", "0.000940", "0.000950", "0.000960", "0.000970"]),
        (1e5, ["93000", "94000", "95000", "96000", "97000"]),
    ):
        trials = [replace(one, score=scale * (one.score or 0.0)) for one in found]
        assert [text for _, text in axes_of(made, trials)[-1].ticks] == ticks


def test_of_errors_the_least_is_on_top_and_what_is_far_above_stands_at_the_edge() -> None:
    made = record(lower_is_better=True, metric="final/val_rmse", yardsticks={})
    trials = [one for one in made.trials["recipes"] if one.score is not None]
    heights = axes_of(made, trials)[-1].heights
    assert heights == pytest.approx([1, 1 / 3, 2 / 3, 0, 0, 0, 0])  # 0.93 and above to 0.90
    axes = progress(made).axes[0]
    low, high = axes.get_ylim()
    assert low < 0.90 < high < 0.97, "the better half is seen"
    edge = [line for line in axes.lines if line.get_marker() == "|"]
    assert {float(xy(line)[1, 0]) for line in edge} == {high}


def test_the_chosen_is_drawn_last_and_no_line_crosses_a_band() -> None:
    figure = parallel(record())
    [axes] = figure.axes
    [chosen] = [line for line in axes.lines if line.get_color() == VERMILION]
    x, y = xy(chosen)
    assert x.tolist() == [BAND / 2, 1 - BAND / 2, 1, 1 + BAND / 2, 2 - BAND / 2, 2, 2 + BAND / 2,
                          3 - BAND / 2]  # fmt: skip
    assert np.isnan(y[[2, 5]]).all(), "the line is broken within each axis"
    assert y[0] == pytest.approx(1 / 3), "its learning rate is 0.001 in 0.0001 to 0.1"


def test_none_with_tuned_numbers_is_drawn_where_it_is_the_recipe() -> None:
    axes = parallel(record(recipe=record().tuned)).axes[0]
    [chosen] = [line for line in axes.lines if line.get_color() == VERMILION]
    assert xy(chosen)[1, 0] == pytest.approx(2 / 3), "its learning rate is 0.01"
    blue = [line for line in axes.lines if line.get_color() == BLUE]
    assert len(blue) == 3, "beside it the best quarter of 7 recipes"


def test_a_search_has_three_pictures_and_none_where_no_recipe_finished() -> None:
    pictures = draw(record())
    assert [one.name for one in pictures] == [
        "search_progress", "search_techniques", "search_numbers",
    ]  # fmt: skip
    none = record().trials["none"]
    assert not sketched(record(trials={"recipes": [], "none": none}))
