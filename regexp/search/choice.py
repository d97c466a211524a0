"""What is chosen, and by what: validation scores alone, which is all that trials tell here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from omegaconf import DictConfig

from regexp.config.bars import Bars
from regexp.errors import ConfigError
from regexp.metrics import names
from regexp.metrics.bars import as_compared
from regexp.metrics.names import EPOCH_VALIDATION, SECONDS, VALIDATION
from regexp.search.recipe import Recipe
from regexp.search.space import Draw
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.tuning import asked_metric, headline_of, in_order, mean_as_loss

Scores = Mapping[str, float]


class AtRung(NamedTuple):
    """What trials are ordered by at a rung, of one of them.

    Attributes:
        loss: on the validation rows.
        metric: that counts before the loss; None where the loss alone does.
        score: of the metric, on the same rows.
    """

    loss: float
    metric: str | None = None
    score: float = 0.0

    @property
    def order(self) -> tuple[float, float]:
        """What is better comes first, and of equal ones that with the lower loss."""
        if self.metric is None or names.lower_is_better(self.metric):
            return self.score, self.loss
        return -as_compared(self.score), self.loss


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried.

    Attributes:
        recipe: what it is.
        draw: as it was proposed.
        scores: of each run, by the names of metrics of the validation split; None for one that
            did not finish.
        seconds: of training that its runs have recorded.
        rungs: epoch -> what it had there by metric, of the rungs that it has reached.
        left: whether it ended at the last of them, as it did not pass the bar.
        trained: whether it was; not what could not be planned, nor what its arm had tried before.

    Raises:
        ConfigError: a score of other rows than those of the validation split.
    """

    recipe: Recipe
    draw: Draw = field(default_factory=dict)
    scores: Sequence[Scores | None] = ()
    seconds: float = 0.0
    rungs: Mapping[int, Scores] = field(default_factory=dict)
    left: bool = False
    trained: bool = True

    def __post_init__(self) -> None:
        for name in (name for one in self.scores for name in one or {}):
            if not name.startswith((VALIDATION, EPOCH_VALIDATION)):
                raise ConfigError(
                    f"{name} is no score of validation rows; no trial is chosen by it"
                )

    @property
    def in_full(self) -> bool:
        """Whether it finished, and at no rung."""
        return not self.left and all(one is not None for one in self.scores)


def validation_scores(outcome: Outcome) -> Scores | None:
    """What a choice may know of a run: no metric of test rows is among it.

    None for a run that did not finish.
    """
    if outcome.status != "FINISHED":
        return None
    return {key: value for key, value in outcome.metrics.items() if key.startswith(VALIDATION)}


def tried(recipe: Recipe, draw: Draw, outcomes: Sequence[Outcome], bars: Bars = ()) -> Trial:
    """What a choice may know of a recipe that was tried.

    Args:
        recipe: what was tried.
        draw: as it was proposed.
        outcomes: of its runs; none where it could not be planned.
        bars: that its run had.
    """
    scores = [validation_scores(one) for one in outcomes] or [None]
    seconds = sum(one.metrics.get(SECONDS, 0.0) for one in outcomes)
    noted = outcomes[0].metrics if outcomes else {}
    rungs: dict[int, Scores] = {}
    for bar in bars:
        here = {name: names.at_bar(name, bar.epoch) for name in bar.noted}
        if scores_there := {name: noted[key] for name, key in here.items() if key in noted}:
            rungs[bar.epoch] = scores_there
    left = any(bar.epoch in rungs and not bar.passes(rungs[bar.epoch]) for bar in bars)
    return Trial(recipe, draw, scores, seconds, rungs, left, trained=bool(outcomes))


def seconds_of(trials: Sequence[Trial]) -> float:
    """Of training; a trial that has recorded none, as it failed, took what the others did."""
    recorded = [one.seconds for one in trials if one.seconds]
    return fmean(recorded) * sum(one.trained for one in trials) if recorded else 0.0


def ranked(trials: Sequence[Trial], config: DictConfig) -> list[int]:
    """The positions of trials, the best first, without those that did not finish.

    Those that trained in full are ordered by their scores (`_by_places`). After them come those
    that have left at the furthest rung, by what they had there (`at_rung`), and so on.

    Args:
        trials: what was tried.
        config: says by `compare.metric` what they are ordered by, if not as usual.

    Raises:
        ConfigError: they have no such metric.
    """
    order = _by_places(trials, config)
    left = {at: max(one.rungs) for at, one in enumerate(trials) if one.left}
    for rung in sorted({*left.values()}, reverse=True):
        there = at_rung(rung, trials, config)
        order += sorted((at for at in left if left[at] == rung), key=lambda at: there[at].order)
    return order


def by_means(trials: Sequence[Trial], config: DictConfig) -> list[int]:
    """The positions of those that trained in full, by the means of the metric asked for."""
    return in_order([[None] if one.left else one.scores for one in trials], *asked_metric(config))


def ordered_by(trials: Sequence[Trial], config: DictConfig) -> tuple[str, ...]:
    """The metrics by whose places trials are ordered; not every task has both."""
    metric, _ = headline(trials, config)
    decides = metric.removeprefix(VALIDATION) in names.OF_DECISIONS
    return (metric, VALIDATION + names.ROC_AUC) if decides else (metric,)


def _by_places(trials: Sequence[Trial], config: DictConfig) -> list[int]:
    """The positions of those that trained in full, by the sum of two places.

    A row is right or wrong, so that a few hundred validation rows tell little of an accuracy. How
    the rows of one class are ranked before those of another tells more of the same rows, whatever
    a technique does to the probabilities: the place by the area under the ROC curve counts as much
    as that by a metric of decisions (`benchmarks.foretelling`). Of equal sums the order is that of
    the metric.
    """
    order, metrics = by_means(trials, config), ordered_by(trials, config)
    if len(metrics) < 2:
        return order
    sums = [0] * len(trials)
    for name in metrics:
        scores = {at: [one for one in trials[at].scores if one is not None] for at in order}
        losses = {at: mean_as_loss(ours, name, -1) for at, ours in scores.items()}
        known = sorted(losses.values())
        for at, loss in losses.items():
            sums[at] += bisect_left(known, loss)
    return sorted(order, key=sums.__getitem__)


def at_rung(rung: int, trials: Sequence[Trial], config: DictConfig) -> dict[int, AtRung]:
    """What the trials that have reached a rung are ordered by there, by their positions.

    That is what `metric_at_rungs` says. If one of them has it not, as it is undefined on these
    rows, it is the accuracy or RMSE, and without these the loss alone.
    """
    there = {at: one.rungs[rung] for at, one in enumerate(trials) if rung in one.rungs}
    asked = metric_at_rungs(config)
    usual = [metric for metric in names.NOTED_AT_BARS if metric in names.AT_BARS]
    for metric in () if asked == "loss" else (asked, *usual):
        if metric is not None and all(metric in one for one in there.values()):
            return {at: AtRung(one["loss"], metric, one[metric]) for at, one in there.items()}
    return {at: AtRung(one["loss"]) for at, one in there.items()}


def metric_at_rungs(config: DictConfig) -> str | None:
    """What trials are ordered by at rungs, by `compare.metric`.

    Itself, if a run can tell it after an epoch; else what foretells it best, the loss of another
    loss or error, and of a score of decisions the accuracy: what changes the labels moves the loss
    without moving any of these.

    Returns:
        One of `names.AT_BARS`, or "loss"; None for the accuracy, or in regression the RMSE.
    """
    metric, lower = asked_metric(config)
    if metric is None:
        return None
    name = metric.removeprefix(names.TEST)
    if name in names.AT_BARS:
        return str(name)
    return "loss" if names.lower_is_better(metric, lower) else None


def ranks(trials: Sequence[Trial], config: DictConfig) -> list[float]:
    """The place of each trial, from 0; those that did not finish share the last."""
    order = ranked(trials, config)
    places = {position: float(place) for place, position in enumerate(order)}
    return [places.get(position, float(len(order))) for position in range(len(trials))]


Order = Callable[[Sequence[Trial], DictConfig], list[int]]
"""The positions of trials, the best first, without those that did not finish."""


def best(
    trials: Sequence[Trial], config: DictConfig, count: int, order: Order = ranked
) -> list[Recipe]:
    """The best recipes, all different, of those that trained in full."""
    found: dict[str, Recipe] = {}
    for position in order(trials, config):
        if trials[position].left:
            break
        recipe = trials[position].recipe
        found.setdefault(recipe.key, recipe)
    return list(found.values())[:count]


def headline(trials: Sequence[Trial], config: DictConfig) -> tuple[str, bool]:
    """The metric of validation rows that trials are ordered by, and whether lower is better."""
    runs = [scores for trial in trials for scores in trial.scores if scores is not None]
    return headline_of(runs, *asked_metric(config))
