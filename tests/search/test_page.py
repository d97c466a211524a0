"""The page of a search, and what it leaves in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regexp.compare.report import ComparisonReport
from regexp.search import page
from regexp.search.page import SearchReport, description, record_in, report, write
from regexp.search.recipe import Recipe
from regexp.search.records import Chosen, Finalist, SearchRecord
from tests.compare.sources import Source, compared, scored
from tests.compare.test_html import Page
from tests.search.records_by_hand import record

SCORES = {
    "none (tuned)": [0.90, 0.91, 0.92, 0.90, 0.91],
    "none (untuned)": [0.80, 0.82, 0.81, 0.80, 0.81],
    "dropout (recipe)": [0.93, 0.94, 0.95, 0.94, 0.93],
}


def runs() -> Any:
    frame = scored(SCORES)
    frame["label"] = frame["technique"]
    frame["variant"] = frame["technique"].str.extract(r"\((\w+)\)", expand=False)
    frame["technique"] = frame["technique"].str.partition(" ")[0]
    return frame


def reported(*, figures: bool, **changes: Any) -> SearchReport:
    worth = ComparisonReport(compared(runs(), baseline="none (tuned)"))
    return report(Source({"a" * 32: runs()}), record(**changes), worth, figures=figures)


def words(text: str) -> str:
    return " ".join("".join(Page(text).texts).replace("\u200b", "").split())


def test_the_page_says_the_recipe_its_worth_and_how_it_was_found(tmp_path: Path) -> None:
    made = reported(figures=True)
    assert write(made, tmp_path) == tmp_path / "search.html"
    text = (tmp_path / "search.html").read_text(encoding="utf-8")
    assert not Page(text).open
    said = words(text)
    assert "hidden=0.3 (in its YAML hidden=0.5). Zero units at random." in said
    assert f"regexp explain {'a' * 32}" in said
    assert "regularizer: dropout: hidden: 0.3" in said, "the recipe as an experiment"
    assert "8 in 2 batches, 16 s of training; 1 ended by a rung; 1 did not finish" in said
    assert "hist gradient boosting" in said
    assert "96.00 % on the same validation rows" in said
    assert "swaneeds more epochs" in said
    assert "none (tuned)" in said, "the verdict of the comparison"
    assert text.count("<svg role") == 3
    assert sorted(one.name for one in (tmp_path / "figures").iterdir()) == [
        "search_numbers.png", "search_progress.png", "search_techniques.png",
    ]  # fmt: skip


def test_the_gain_over_untuned_none_stands_beside_that_over_tuned() -> None:
    sentences = dict(reported(figures=False).untuned)
    assert {*sentences} == {"none (tuned)", "dropout (recipe)"}
    # the mean of the differences by seed: 0.13, 0.12, 0.14, 0.14, 0.12
    assert "13.0 points higher" in sentences["dropout (recipe)"]


def test_without_figures_nothing_is_drawn(tmp_path: Path) -> None:
    write(reported(figures=False), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["search.html"]
    assert "<svg role" not in (tmp_path / "search.html").read_text(encoding="utf-8")


def test_improvements_are_told_with_the_time_at_which_they_came() -> None:
    trial, after, score, recipe = reported(figures=False).improvements
    assert trial.cells == ["1", "2", "5"]
    assert after.cells == ["2 s", "4 s", "10 s"]
    assert score.cells == ["90.00", "92.00", "95.00"]
    assert recipe.cells[2] == "dropout (hidden=0.3); lr=0.001, batch_size=64"


def test_finalists_are_told_with_their_means_and_the_chosen_one() -> None:
    """Differences to the best: -1, 1 and -3 points, and -6, -1 and -5."""
    place, mean, seeds, behind, chosen, finalist = reported(figures=False).finalists
    assert place.cells == ["1", "2", "3", "4"]
    assert mean.cells == ["95.00 ± 1.53", "94.00 ± 0.58", "91.00 ± 0.58", "–"]
    assert seeds.cells == ["3"] * 4
    assert behind.cells == ["–", "−1.0 ± 1.2", "−4.0 ± 1.5", "–"]
    assert chosen.cells == ["recipe", "", "none, tuned", ""]
    assert finalist.cells[3] == "none; lr=0.001, batch_size=32", "one of its runs failed"
    said = words(page.page(reported(figures=False)))
    assert "The recipe is the one with the best mean" in said


def test_a_finalist_that_was_halved_away_comes_after_the_others_and_is_held_against_its_seeds() -> (
    None
):
    finalists = {
        "recipes": [
            Finalist(record().recipe.recipe, [0.96, 0.92, 0.97]),
            Finalist(record().trials["recipes"][6].recipe, [0.97, 0.95]),
        ],
        "none": record().finalists["none"][1:],
    }
    _, mean, seeds, behind, _, finalist = reported(figures=False, finalists=finalists).finalists
    assert mean.cells == ["95.0 ± 1.5", "91.0 ± 0.6", "96.0 ± 1.0"]
    assert seeds.cells == ["3", "3", "2"]
    assert behind.cells[2] == "2.0 ± 1.0", "of 96 and 92 with the same seeds"
    assert finalist.cells[2] == "dropout (hidden=0.3); lr=0.01, batch_size=64"


def test_a_recipe_without_the_metric_stands_before_one_that_was_halved_away() -> None:
    """As of a metric of one's own that some validation rows leave undefined."""
    finalists = {
        "recipes": [
            Finalist(record().trials["recipes"][6].recipe, [0.97]),
            Finalist(record().recipe.recipe, [0.96, None, 0.97]),
        ],
        "none": [Finalist(record().tuned.recipe, [0.9, None, 0.9])],
    }
    made = reported(figures=False, finalists=finalists)
    _, mean, seeds, behind, chosen, _ = made.finalists
    assert mean.cells == ["–", "97.00", "–"]
    assert seeds.cells == ["3", "1", "3"]
    assert behind.cells == ["–"] * 3
    assert chosen.cells == ["recipe", "", "none, tuned"]
    said = words(page.page(made))
    assert "None of the last round has final/val_accuracy at every seed" in said


def test_of_many_finalists_those_with_the_most_seeds_are_shown() -> None:
    shared = record().recipe.recipe.shared
    many = [
        Finalist(Recipe({**shared, "optimizer.lr": 1e-3 * at}, {}), [0.99 - 0.01 * at] * seeds)
        for at, seeds in enumerate([1] * 20 + [3] * 10, 1)
    ]
    made = reported(figures=False, finalists={"recipes": many, "none": []})
    place, _, seeds, *_ = made.finalists
    assert place.cells[-1] == "24"
    assert seeds.cells == ["3"] * 10 + ["1"] * 14
    said = words(page.page(made))
    assert "The table has not 6 finalists that were halved away." in said


def test_of_finalists_with_the_same_mean_the_chosen_stands_first() -> None:
    tuned = record().tuned
    scores = {
        "recipes": record().finalists["recipes"],
        "none": [Finalist(tuned.recipe, [0.97, 0.96, 0.92])],
    }
    made = reported(figures=False, recipe=tuned, finalists=scores)
    _, _, _, behind, chosen, finalist = made.finalists
    assert [*zip(behind.cells, chosen.cells, strict=True)] == [
        ("–", "recipe and none, tuned"),
        ("0.0 ± 2.6", ""),
        ("−1.0 ± 1.5", ""),
    ]
    assert finalist.cells[0].startswith("none; ")
    assert "The recipe is the one with the best mean" in words(page.page(made))


def test_one_seed_has_no_standard_error_and_no_record_of_finalists_no_table() -> None:
    tuned = record().tuned
    one = {"none": [Finalist(tuned.recipe, [0.9]), Finalist(record().recipe.recipe, [0.8])]}
    made = reported(figures=False, recipe=tuned, finalists=one)
    _, mean, _, behind, *_ = made.finalists
    assert (mean.cells, behind.cells) == (["90.00", "80.00"], ["–", "−10.00"])
    assert "Finalists" not in words(page.page(reported(figures=False, finalists={})))


def test_the_description_has_the_recipe_and_the_answer() -> None:
    recipe, answer, more = description(reported(figures=False)).split("\n\n")
    assert recipe == "**The recipe**: dropout (hidden=0.3); lr=0.001, batch_size=64"
    assert "dropout (recipe)" in answer
    assert "search/search.html" in more


def test_a_recipe_of_no_technique_says_so() -> None:
    """Tuned none, and none as it is configured."""
    tried = record().trials["recipes"]
    for number, tuned, which in (
        (7, tried[7].recipe, "none with the numbers that were tuned for it. Of 5 recipes with"),
        (0, tried[0].recipe, "the configuration as it is, without a technique. Of 5 recipes with"),
    ):
        found = Chosen(tried[number].recipe)
        made = reported(figures=False, recipe=found, tuned=Chosen(tuned))
        said = words(page.page(made))
        assert said.count(f"The best recipe found is {which}") == 2, "the answer, and the recipe"
        assert "a larger search.budget or search.trials it goes on from these trials" in said
        assert "(untuned)" in description(made), "what is compared is told as well"


def test_where_nothing_is_compared_the_page_says_that_none_is_the_best_recipe_found() -> None:
    frame = runs()[runs()["variant"] == "tuned"]
    worth = ComparisonReport(compared(frame, baseline="none (tuned)"))
    none = record().tuned
    made = report(Source({"a" * 32: frame}), record(recipe=none), worth, figures=False)
    for text in (words(page.page(made)), description(made)):
        assert "The best recipe found is none with the numbers" in text.replace("\\", "")
        assert "nothing is compared" not in text.lower()


def test_a_record_is_read_from_the_search_alone() -> None:
    class Texts:
        def text(self, run_id: str, name: str) -> bytes | None:
            known = {"a": record().as_json().encode(), "b": b"{}"}
            return known.get(run_id) if name == "search.json" else None

    found = record_in(Texts(), "a")
    assert isinstance(found, SearchRecord)
    assert found == record()
    assert record_in(Texts(), "b") is None
    assert record_in(Texts(), "c") is None
