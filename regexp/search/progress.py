"""How far a search is, in words."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.config.searched import budget_of
from regexp.errors import count
from regexp.metrics.names import VALIDATION_LOSS
from regexp.search.arm import Arm
from regexp.search.budget import seconds_after
from regexp.search.choice import ordered_by, ranked, seconds_of
from regexp.sweeps.time_left import duration
from regexp.sweeps.tuning import numbers_in_words

FAR_OVER = 0.1
"""Of a budget: by so much more it is said that a search takes more."""


def progress(arms: Sequence[Arm], seconds: float, before: int = 0) -> str:
    """How far a search is, in a line.

    Args:
        arms: of the search.
        seconds: that the trials after the first `before` of each arm took.
        before: trials of each arm that were there already, and say nothing of how long others take.
    """
    config, done = arms[0].config, len(arms[0].trials)
    parts = [f"{count(done, 'recipe')} and as many of none"]
    for arm in arms:
        if order := ranked(arm.trials, config):
            trial = arm.trials[order[0]]
            scores = trial.scores[0] or {}
            told = (*ordered_by([trial], config), VALIDATION_LOSS)
            shown = {key: scores[key] for key in told if key in scores}
            parts.append(f"best of {arm.name}: {numbers_in_words(shown)} with {trial.recipe}")
    spent = sum(seconds_of(arm.trials[before:]) for arm in arms)
    trained = sum(trial.trained for arm in arms for trial in arm.trials[before:])
    if not trained or not spent:
        return "; ".join(parts)
    each = seconds / trained
    parts.append(f"{3600 / each:,.0f} trials an hour")
    budget = budget_of(config)
    left = (config.search.trials - done) * 2 * each
    if budget is not None:
        of_budget = budget - seconds_after(arms, done) - sum(arm.seconds for arm in arms)
        left = max(of_budget, 0) * seconds / spent
        if -of_budget > FAR_OVER * budget:
            parts.append(
                f"finalists and verdict take about {duration(-of_budget)} of training more than "
                "search.budget, as a first batch trains in full"
            )
    return "; ".join([*parts, f"about {left / 60:.0f} min of trials left"])
