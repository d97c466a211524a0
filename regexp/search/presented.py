"""What a search leaves behind at its end: its record, the chosen runs marked, page and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.config.targets import find_target
from regexp.errors import printable
from regexp.metrics.names import SEARCH, YARDSTICK_STAGE, column
from regexp.search.arm import Arm
from regexp.search.choice import Scores, Trial, headline, ranks
from regexp.search.engine import planned_runs
from regexp.search.page import keep, report, write
from regexp.search.records import Chosen, Finalist, SearchRecord, Tried
from regexp.search.seeds import TRIAL_SEED
from regexp.search.verdict import FOUND, TUNED
from regexp.sweeps.progress import say
from regexp.sweeps.yardstick_runs import record_yardsticks
from regexp.sweeps.yardsticks import planned_yardsticks
from regexp.tracking import pasted

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.search.recipe import Recipe
    from regexp.search.space import Space
    from regexp.tracking import RunRecord, Tracker

CHOSEN = "chosen"
"""Tag of the trials and finalists that were chosen: `recipe` or `none`."""


def present(
    tracker: Tracker,
    search: RunRecord,
    space: Space,
    record: SearchRecord,
    worth: ComparisonReport | None,
) -> None:
    """Keep the record and the page of a search with its own run, and show the way to them.

    Args:
        tracker: of the search.
        search: its own run.
        space: what it looked through.
        record: what it came to, but for the estimators.
        worth: the comparison of its verdict; None where there is none.

    Raises:
        OSError: the page cannot be written.
    """
    record = replace(record, yardsticks=yardsticks_of(space, tracker, search, record.metric))
    search.text(record.as_json(), SEARCH)
    mark(tracker, search.id, {"none": record.tuned.recipe, "recipe": record.recipe.recipe})
    if worth is None or not (worth.comparison.runs["status"] == "FINISHED").any():
        return
    made = report(tracker, record, worth, figures=space.config.figures)
    page = write(made, Path(space.config.search.folder))
    keep(made, search)
    where = {"uri": space.config.tracking.uri, "folder": space.config.paths.mlruns}
    say(
        "\nThe recipe in words, what it is worth and how it was found, in one page:\n"
        f"  {printable(str(page))}\n"
        f"The page again, from the runs that are recorded:\n"
        f"  {pasted.command('compare', search.id, **where)}"
    )
    if record.recipe.recipe.techniques:
        explain = pasted.command("explain", search.id, data=space.config.paths.data, **where)
        say(f"What each of its techniques carries:\n  {explain}")
    runs = worth.comparison.runs
    same = str(record.recipe.recipe) == str(record.tuned.recipe)  # whose runs then are of both
    ours = runs[(runs["variant"] == (TUNED if same else FOUND)) & (runs["status"] == "FINISHED")]
    if len(ours):
        predict = pasted.command("predict", str(ours["run_id"].iloc[0]), "FILE", **where)
        say(f"Predictions for new rows, by the recipe's first run:\n  {predict}")


def mark(tracker: Tracker, search_id: str, chosen: Mapping[str, Recipe]) -> None:
    """Tag the runs of a search that were chosen; of what is both, the last name counts.

    A longer search may choose others than it did before: the tag of these becomes empty, but for
    runs that another search has as well.
    """
    runs = tracker.runs(search_id)
    names = {str(recipe): name for name, recipe in chosen.items()}
    columns = ["run_id", "variant", "sweeps", CHOSEN]
    for run_id, variant, sweeps, before in runs[columns].itertuples(index=False):
        name = names.get(variant, "" if sweeps == search_id else before)
        if name != before:
            record = tracker.joined(run_id, variant)
            record.tags({CHOSEN: name})
            record.finish()


def yardsticks_of(
    space: Space, tracker: Tracker, search: RunRecord, metric: str
) -> dict[str, float]:
    """Fit scikit-learn's estimators on the trials' training rows, as runs of the search.

    Returns:
        Estimator -> its score by a metric of the validation rows; none that failed.
    """
    [run] = planned_runs(space, space.default, {}, [TRIAL_SEED])
    sticks, left_out = planned_yardsticks(space.config, [[run]])
    with tracker.asking_once():
        record_yardsticks(sticks, left_out, tracker, search, reuse=space.config.reuse)
    runs = tracker.runs(search.id)
    runs = runs[(runs["stage"] == YARDSTICK_STAGE) & (runs["status"] == "FINISHED")]
    if column(metric) not in runs:
        return {}
    scores = runs.dropna(subset=column(metric))
    return dict(zip(scores["technique"], scores[column(metric)].astype(float), strict=True))


def record_of(
    space: Space,
    arms: Sequence[Arm],
    found: Recipe,
    tuned: Recipe,
    *,
    title: str,
    verdict: str = "",
    text: str = "",
) -> SearchRecord:
    """What is recorded of a search.

    Args:
        space: what it looked through.
        arms: recipes and `none`, after their last trial.
        found: the recipe that was chosen.
        tuned: the numbers that were chosen for `none`.
        title: of the search.
        verdict: the id of the sweep that says what the recipe is worth.
        text: the recipe as an experiment.
    """
    config = space.config
    metric, lower = headline([trial for arm in arms for trial in arm.trials], config)
    return SearchRecord(
        title=title,
        metric=metric,
        lower_is_better=lower,
        shared=list(space.shared),
        trials={arm.name: _tried(arm, metric) for arm in arms},
        recipe=_chosen(space, found),
        tuned=_chosen(space, tuned),
        batch=config.search.batch,
        finalists={arm.name: _finalists(arm, metric) for arm in arms},
        left_out=space.left_out,
        verdict=verdict,
        text=text,
    )


def _tried(arm: Arm, metric: str) -> list[Tried]:
    return [
        Tried(trial.recipe, _score(trial, metric), rank, trial.seconds, whole=not trial.left)
        for trial, rank in zip(arm.trials, ranks(arm.trials, arm.config), strict=True)
    ]


def _finalists(arm: Arm, metric: str) -> list[Finalist]:
    return [
        Finalist(trial.recipe, [_known(scores, metric) for scores in trial.scores])
        for trial in arm.finalists
    ]


def _score(trial: Trial, metric: str) -> float | None:
    """The mean of its runs; None if one of them did not finish or has it not."""
    known = [score for one in trial.scores if (score := _known(one, metric)) is not None]
    return sum(known) / len(known) if known and len(known) == len(trial.scores) else None


def _known(scores: Scores | None, metric: str) -> float | None:
    """A run's score; None where it did not finish, or is undefined on its validation rows."""
    score = math.nan if scores is None else scores.get(metric, math.nan)
    return None if math.isnan(score) else score


def _chosen(space: Space, recipe: Recipe) -> Chosen:
    there = {name: space.techniques[name] for name in recipe.techniques}
    return Chosen(
        recipe,
        {name: _sentence(find_target(name, one.node)) for name, one in there.items()},
        {name: one.default() for name, one in there.items()},
    )


def _sentence(kind: object) -> str:
    """What a class says of itself first."""
    text = (kind.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(text.split())
