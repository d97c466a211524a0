"""The study of recipes: boosting is chosen on validation rows; the page has what runs came to."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from omegaconf import OmegaConf

from experiments.recipes import __main__ as study
from experiments.recipes import boosting, page, stored, worth
from experiments.recipes.worth import Arm, Gain, Worth
from regexp.commands.arguments import parse
from regexp.config.searched import compose_search
from regexp.search.lead import TOLD
from regexp.search.recipe import Recipe
from regexp.search.taking_part import read_space
from tests.search.records_by_hand import record

CONFIG = OmegaConf.create(
    {
        "search": {"batch": 4, "finalists": 3, "seeds": 2, "seed": 0},
        "compare": {"metric": "test/balanced_accuracy"},
    }
)


class Fits:
    """Scores that follow from the learning rate alone: test rows like another than validation."""

    def __init__(self) -> None:
        self.made: list[tuple[float, int]] = []

    def __call__(self, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
        rate = settings["learning_rate"]
        self.made.append((rate, seed))
        return {
            "final/val_balanced_accuracy": 1 - rate,
            "final/val_loss": rate,
            "test/balanced_accuracy": rate,
            "seconds": 1.0,
        }


def test_boosting_is_chosen_on_validation_rows_and_tested_with_fresh_seeds() -> None:
    pytest.importorskip("optuna", minversion="4")
    fits = Fits()
    tuned = boosting.tune(CONFIG, fits, budget=22)
    trials = [rate for rate, seed in fits.made if seed == 0]
    # 3 batches of 4, 3 + 2 x 2 fits of finalists, and 2: no fourth fits in
    assert len(trials) == tuned.trials == 12
    assert trials[0] == boosting.DEFAULTS["learning_rate"]
    assert tuned.settings["learning_rate"] == min(trials)
    assert tuned.scores == {10_000: min(trials), 10_001: min(trials)}
    for number, seeds in ((3, {1}), (2, {2, 3})):
        again = {rate for rate, seed in fits.made if seed in seeds}
        assert again == {*sorted(trials)[:number]}


def test_boosting_may_weigh_classes() -> None:
    pytest.importorskip("optuna", minversion="4")

    class Seen(Fits):
        def __call__(self, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
            weights.append(settings.get("class_weight", "none to try"))
            return super().__call__(settings, seed)

    weights: list[str | None] = []
    boosting.tune(CONFIG, Seen(), budget=22, weigh_classes=True)
    assert weights[0] is None, "first as it is"
    assert {*weights} == {None, "balanced"}
    weights.clear()
    boosting.tune(CONFIG, Seen(), budget=22)
    assert {*weights} == {"none to try"}


@pytest.mark.parametrize("table", ["wine", "digits", "car"])
def test_the_ingredients_are_those_that_the_network_of_a_table_takes(
    table: str, tmp_path: Path
) -> None:
    words = [f"experiment=recipe_{table}", worth.techniques_of(table)]
    if table == "car":  # which is a file
        classes = ["unacc"] * 150 + ["good"] * 50
        rows = pd.DataFrame({"doors": range(200), "class": classes})
        rows.to_csv(tmp_path / "car.csv", index=False)
        words.append(f"paths.data={tmp_path}")
    space = read_space(compose_search(parse(words)[0]))  # which refuses one that does not apply
    assert len(space.techniques) == len(worth.INGREDIENTS) + (table == "car")


def test_the_techniques_of_words_are_those_of_the_recipe() -> None:
    techniques = {"l1": {"strength": 0.1}, "dropout": {"hidden": 0.2, "inputs": 0.1}, "sam": {}}
    shared = {"optimizer.lr": 0.1}
    assert page.names_of(str(Recipe(shared, techniques))) == [*techniques]
    assert page.names_of(str(Recipe(shared, {}))) == page.names_of("") == []


def test_an_arm_that_was_not_trained_is_the_tuned_one() -> None:
    runs = pd.DataFrame(
        {
            "status": "FINISHED",
            "technique": ["none", "none", "hist_gradient_boosting"],
            "variant": ["tuned", "tuned", ""],
            "tuned": ["none; lr=0.1", "none; lr=0.1", ""],
            "seed": [5, 6, 5],
            "metrics.test/balanced_accuracy": [0.5, 0.7, 0.9],
        }
    )
    arms = worth.arms_of(runs, "test/balanced_accuracy", {worth.RECIPE: 16, worth.TUNED: 12})
    scores = {5: 0.5, 6: 0.7}
    assert arms[worth.TUNED] == Arm(scores, "none; lr=0.1", 12)
    assert arms[worth.RECIPE] == Arm(scores, "none; lr=0.1", 16)
    assert arms[worth.UNTUNED] == Arm(scores, "none; lr=0.1", 0)
    assert arms[worth.BOOSTED].scores == {5: 0.9}


def test_trials_are_those_of_the_search_that_is_told_of() -> None:
    """And not runs of the store, which a search with more time may have had before."""
    ends = [{"folder": "there", "budget": "1min"}, {"folder": "here", "budget": "1min"}]
    searches = {str(at): {TOLD: json.dumps(told)} for at, told in enumerate(ends)}
    tracker: Any = SimpleNamespace(
        client=SimpleNamespace(search_runs=lambda *asked: [
            SimpleNamespace(data=SimpleNamespace(tags=tags), info=SimpleNamespace(run_id=name))
            for name, tags in searches.items()
        ]),
        experiment_id="0",
        text=lambda name, file: record(verdict=f"worth of {name}").as_json().encode(),
    )  # fmt: skip
    different = {
        arm: {one.recipe.key: bool(one.recipe.techniques) for one in trials if one.score}
        for arm, trials in record().trials.items()
    }
    mixed = sum(different["recipes"].values())
    alone = len(different["none"])
    assert 0 < mixed != alone > 0
    assert not any(different["none"].values())
    trials = {worth.RECIPE: mixed, worth.TUNED: alone}
    assert worth.verdict_of(tracker, "here", "1min") == ("worth of 1", trials)
    with pytest.raises(RuntimeError, match="no verdict"):
        worth.verdict_of(tracker, "here", "2min")


def made(table: str, recipe: float, plain: float) -> Worth:
    arms = {name: Arm({5: plain, 6: plain}, "none", 8) for name in worth.ARMS}
    arms[worth.SINGLE] = Arm({5: plain, 6: plain}, "l1 (strength=0.1); lr=0.1", 8)
    arms[worth.RECIPE] = Arm({5: recipe, 6: recipe}, "dropout", 8)
    points = 100 * (recipe - plain)
    gain = Gain(points, points - 1, points + 1, "helps" if points > 1 else "not shown")
    return Worth(table, arms, {worth.UNTUNED: gain, worth.TUNED: gain}, "30min")


def test_the_page_counts_tables_and_has_their_numbers_beside_ours(tmp_path: Path) -> None:
    found = [made("vehicle", 0.84, 0.8), made("wine", 0.95, 0.945), made("car", 0.9, 0.92)]
    page.write(tmp_path, found, ["python -m experiments.recipes"])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        "- against plain: ahead on 2 of 3, median +0.50 points; the interval is above 0 on 1 and "
        "below on 1\n" in text
    )
    assert "- against boosting: ahead on 2 of 3, median +0.50 points\n" in text
    assert "| vehicle | 80.00 | 80.00 | 80.00 | **84.00** | 80.00 | 80.00 | +4.00" in text
    assert "| vehicle | 83.77 | 80.00 | 84.39 | 80.00 | 82.58 | 84.00 | 74.97 | 80.00 |" in text
    assert "| wine | 83" not in text
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(worth.ARMS) * 2
    assert {row["chosen"] for row in rows if row["arm"] == worth.RECIPE} == {"dropout"}
    assert stored.stored(tmp_path) == found
    assert "Each search has 30min of training" in " ".join(text.split())


def test_tables_are_made_again_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.write(tmp_path, [made("vehicle", 0.84, 0.8), made("wine", 0.95, 0.945)], ["command"])
    again = replace(made("car", 0.9, 0.8), budget="60min")
    monkeypatch.setattr(study, "one_thread", lambda: None)  # of the process of these tests
    monkeypatch.setattr(worth, "worth_of", lambda table, *_: replace(again, table=table))
    for table in ("wine", "car"):
        study.main(["--tables", table, "--budget", "60min", "--folder", str(tmp_path), "seed=1"])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        "**Commands.**\n\n```bash\n"
        "python -m experiments.recipes --tables vehicle --budget 30min seed=1\n"
        "python -m experiments.recipes --tables car wine --budget 60min seed=1\n```" in text
    )
    assert "Each search has 30min (vehicle), 60min (car, wine) of" in " ".join(text.split())
    assert "against plain: ahead on 3 of 3, median +10.00 points" in text
    kept = stored.stored(tmp_path)
    assert kept == [made("vehicle", 0.84, 0.8), again, replace(again, table="wine")]


@pytest.mark.parametrize(
    ("singles", "cocktails", "said"),
    [
        (["none", ""], ["none", ""],
         "a single technique was chosen on none of 2 tables. None of 2 recipes has a term of the "
         "loss, and none of 2 recipes has a normalization."),
        (["l1 (strength=0.1); lr=0.1", "none"], ["l1; lr=0.1", "dropout; lr=0.1"],
         "a single technique was chosen on 1 of 2 tables (l1). 1 of 2 recipes has a term of the "
         "loss, and none of 2 recipes has a normalization."),
        (["l1", "dropout", "l1"], ["l1 + batch_norm", "batch_norm", "l2"],
         "a single technique was chosen on 3 of 3 tables (dropout, l1). 2 of 3 recipes have a term "
         "of the loss, and 2 of 3 recipes have a normalization."),
        (["l1"], ["l1"],
         "a single technique was chosen on 1 of 1 table (l1). 1 of 1 recipe has a term of the "
         "loss, and none of 1 recipe has a normalization."),
    ],
)  # fmt: skip
def test_what_was_chosen_is_told_of_none_one_and_many(
    singles: list[str], cocktails: list[str], said: str
) -> None:
    scores = {5: 0.9}
    found = [
        Worth("wine", {worth.SINGLE: Arm(scores, one), worth.RECIPE: Arm(scores, other)}, {}, "")
        for one, other in zip(singles, cocktails, strict=True)
    ]
    assert said in " ".join(page.opperman(found).split())


def test_a_table_that_is_not_there_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "one_thread", lambda: None)  # of the process of these tests
    with pytest.raises(SystemExit) as ended:
        study.main([f"paths.data={tmp_path}", "--tables", "car"])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("dataset.path: no 'car.csv' in ")
    assert not [*tmp_path.iterdir()]
