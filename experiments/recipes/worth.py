"""What a table's recipe is worth: the searches of one table, and what their runs came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import pandas as pd

from experiments.recipes.boosting import NAME as BOOSTING
from experiments.recipes.boosting import Fits, tune
from regexp.__main__ import run as command
from regexp.commands.arguments import parse
from regexp.compare import Question, compare
from regexp.config.searched import budget_of, compose_search
from regexp.metrics.names import column
from regexp.search import verdict
from regexp.search.lead import TOLD
from regexp.search.page import record_in
from regexp.search.records import NONE, RECIPES, Tried
from regexp.search.taking_part import read_space
from regexp.sweeps.launched import open_tracker
from regexp.sweeps.tuning import numbers_in_words
from regexp.tracking import Tracker

UNTUNED, TUNED, SINGLE, RECIPE = "plain", "plain, tuned", "best single", "recipe"
BOOSTED, BOOSTED_TUNED = "boosting", "boosting, tuned"
SEARCHES = {RECIPE: ("yardsticks=true",), SINGLE: ("search.most=1", "yardsticks=false")}
INGREDIENTS = (
    "batch_norm", "weight_decay", "dropout", "skip_connection", "mixup", "row_cutmix", "row_cutout",
    "fgsm", "swa", "lookahead", "snapshot",
)  # fmt: skip
"""Of the thirteen of Kadra et al. 2021, those that a network without branches takes: all but
shake-shake and shake-drop."""
OF_UNEQUAL_CLASSES = "logit_adjustment"
"""One more, where classes are of very unequal sizes and the metric counts them alike."""
UNEQUAL = ("car", "credit_g", "phoneme")
"""Tables whose largest class has more than twice the rows of the smallest."""
OF_IMAGES = {"row_cutmix": "cutmix", "row_cutout": "cutout"}
"""What stands for an ingredient where the table is one of images."""
ARMS = (UNTUNED, TUNED, SINGLE, RECIPE, BOOSTED, BOOSTED_TUNED)


@dataclass(frozen=True)
class Arm:
    """What one learner scored.

    Attributes:
        scores: of the test rows, by seed.
        words: what was chosen.
        trials: of which it was chosen.
    """

    scores: Mapping[int, float]
    words: str = ""
    trials: int = 0

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return mean(self.scores.values())


@dataclass(frozen=True)
class Gain:
    """A difference of the recipe, as the comparison tells it.

    Attributes:
        points: in percent.
        low: of the 95% interval on this table.
        high: likewise.
        outcome: the verdict on this table in a word; "the same" where all scores are equal.
    """

    points: float = 0.0
    low: float = 0.0
    high: float = 0.0
    outcome: str = "the same"


@dataclass(frozen=True)
class Worth:
    """Of one table.

    Attributes:
        table: its name.
        arms: by their names, `ARMS`.
        gains: of the recipe, over `UNTUNED` and over `TUNED`.
        budget: of each search, as of `search.budget`.
    """

    table: str
    arms: Mapping[str, Arm]
    gains: Mapping[str, Gain]
    budget: str


def worth_of(table: str, budget: str, overrides: Sequence[str], cache: Path) -> Worth:
    """Search a table's recipe, its best single technique and its boosting, and compare them.

    Args:
        table: of an experiment `recipe_<table>`.
        budget: of each search, as of `search.budget`.
        overrides: of both searches of networks, of which `search.techniques` may be one.
        cache: a folder for the fits of boosting.

    Raises:
        RuntimeError: a search failed.
    """
    words = [f"experiment=recipe_{table}", f"search.budget={budget}", techniques_of(table),
             *overrides]  # fmt: skip
    space = read_space(compose_search(parse(words)[0]))
    seconds, metric = budget_of(space.config), space.config.compare.metric
    assert seconds is not None
    arms: dict[str, Arm] = {}
    gains: dict[str, Gain] = {}
    for name, more in SEARCHES.items():
        folder = str(cache / table / name.replace(" ", "_"))
        if status := command(["search", *words, *more, f"search.folder={folder}"]):
            raise RuntimeError(f"the search for {name} on {table} ended with {status}")
        with open_tracker(space.config) as tracker:
            sweep, trials = verdict_of(tracker, folder, budget)
            found = arms_of(tracker.runs(sweep), metric, trials)
            if name == SINGLE:
                arms[SINGLE] = found[RECIPE]
            else:
                arms |= found
                gains = {one: gain(tracker, sweep, metric, one, arms) for one in (UNTUNED, TUNED)}
    fits = Fits(space, cache / f"{table}.jsonl")
    boosted = tune(space.config, fits, seconds, weigh_classes=table in UNEQUAL)
    words_of = numbers_in_words(boosted.settings)
    arms[BOOSTED_TUNED] = Arm(boosted.scores, words_of, boosted.trials)
    return Worth(table, {name: arms[name] for name in ARMS}, gains, budget)


def techniques_of(table: str) -> str:
    """The override by which a table's search has the ingredients."""
    as_rows = table != "digits"
    names = [one if as_rows else OF_IMAGES.get(one, one) for one in INGREDIENTS]
    names += [OF_UNEQUAL_CLASSES] if table in UNEQUAL else []
    return f"search.techniques=[{','.join(names)}]"


def verdict_of(tracker: Tracker, folder: str, budget: str) -> tuple[str, dict[str, int]]:
    """The sweep with the verdict of a search, and how many trials its arms were chosen of.

    Trials are different ones that have finished: of `RECIPE` with techniques, of `TUNED` without.

    Args:
        tracker: of the store.
        folder: as of `search.folder`, of this search alone.
        budget: as of `search.budget`.

    Raises:
        RuntimeError: there is none.
    """
    asked = {"folder": folder, "budget": budget}
    for search in tracker.client.search_runs([tracker.experiment_id], "tags.`sweep.key` != ''"):
        ends = json.loads(search.data.tags.get(TOLD, "{}"))
        if asked.items() <= ends.items() and (record := record_in(tracker, search.info.run_id)):
            return record.verdict, {RECIPE: _finished(record.trials[RECIPES], True),
                                    TUNED: _finished(record.trials[NONE], False)}  # fmt: skip
    raise RuntimeError(f"the store has no verdict of the search with search.folder={folder}")


def _finished(trials: Sequence[Tried], mixed: bool) -> int:
    finished = [trial.recipe for trial in trials if trial.score is not None]
    return len({recipe.key for recipe in finished if bool(recipe.techniques) == mixed})


def arms_of(runs: pd.DataFrame, metric: str, trials: Mapping[str, int]) -> dict[str, Arm]:
    """The arms of a verdict's sweep; one that is missing is the same as the tuned one.

    Args:
        runs: of the sweep.
        metric: that is told.
        trials: of which each arm was chosen, 0 of one that is not named.
    """
    finished = runs[runs["status"] == "FINISHED"]
    found: dict[str, Arm] = {}
    for name, variant in (
        (TUNED, verdict.TUNED),
        (UNTUNED, verdict.UNTUNED),
        (RECIPE, verdict.FOUND),
    ):
        ours = finished[finished["variant"] == variant]
        if len(ours):
            found[name] = Arm(_scores(ours, metric), str(ours["tuned"].iloc[0] or ""),
                              trials.get(name, 0))  # fmt: skip
        else:
            found[name] = replace(found[TUNED], trials=trials.get(name, 0))
    boosted = finished[finished["technique"] == BOOSTING]
    if len(boosted):
        found[BOOSTED] = Arm(_scores(boosted, metric))
    return found


def _scores(runs: pd.DataFrame, metric: str) -> dict[int, float]:
    return {int(seed): float(value)
            for seed, value in zip(runs["seed"], runs[column(metric)], strict=True)}  # fmt: skip


def gain(tracker: Tracker, sweep: str, metric: str, base: str, arms: Mapping[str, Arm]) -> Gain:
    """Of the recipe over another arm, by the comparison of the verdict's sweep."""
    if arms[RECIPE].scores == arms[base].scores:
        return Gain()
    variant = verdict.TUNED if arms[base].scores == arms[TUNED].scores else verdict.UNTUNED
    table = compare(tracker, [sweep], Question(metric, baseline=f"none ({variant})")).table
    of = verdict.FOUND if (table["variant"] == verdict.FOUND).any() else verdict.TUNED
    row = table[table["variant"] == of].iloc[0]
    points, low, high = (100 * float(row[key]) for key in ("difference", "low", "high"))
    return Gain(points, low, high, str(row["outcome"]))
