"""What is chosen, and by what: validation scores alone, which is all that trials tell here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from regexp.config.bars import Bars, as_compared
from regexp.errors import ConfigError
from regexp.metrics import names
from regexp.metrics.names import EPOCH_VALIDATION, SECONDS, VALIDATION
from regexp.search.recipe import Recipe
from regexp.search.space import Draw
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.tuning import headline_of, in_order

Scores = Mapping[str, float]


class RungScores(NamedTuple):
    """What a trial has reached at a rung.

    Attributes:
        loss: on the validation rows.
        accuracy: on the same; None in regression, and where the loss alone counts.
        rmse: on the same; None but in regression, and where the loss alone counts.
    """

    loss: float
    accuracy: float | None = None
    rmse: float | None = None

    @property
    def order(self) -> tuple[float, float]:
        """What is better comes first: the accuracy or RMSE, and of equal ones the loss."""
        if self.rmse is not None:
            return self.rmse, self.loss
        return 0.0 if self.accuracy is None else -as_compared(self.accuracy), self.loss


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried.

    Attributes:
        recipe: what it is.
        draw: as it was proposed.
        scores: of each run, by the names of metrics of the validation split; None for one that
            did not finish.
        seconds: of training that its runs have recorded.
        rungs: epoch -> what it had there, of the rungs that it has reached.
        left: whether it ended at the last of them, as it did not pass the bar.

    Raises:
        ConfigError: a score of other rows than those of the validation split.
    """

    recipe: Recipe
    draw: Draw = field(default_factory=dict)
    scores: Sequence[Scores | None] = ()
    seconds: float = 0.0
    rungs: Mapping[int, RungScores] = field(default_factory=dict)
    left: bool = False

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
    rungs = {
        epoch: RungScores(
            noted[names.rung_loss(epoch)],
            noted.get(names.rung_accuracy(epoch)),
            noted.get(names.rung_rmse(epoch)),
        )
        for epoch in (bar.epoch for bar in bars)
        if names.rung_loss(epoch) in noted
    }
    left = any(bar.epoch in rungs and not bar.passes(*rungs[bar.epoch]) for bar in bars)
    return Trial(recipe, draw, scores, seconds, rungs, left)


def seconds_of(trials: Sequence[Trial]) -> float:
    """Of training; a trial that has recorded none, as it failed, took what the others did."""
    recorded = [one.seconds for one in trials if one.seconds]
    return fmean(recorded) * len(trials) if recorded else 0.0


def ranked(trials: Sequence[Trial], config: DictConfig) -> list[int]:
    """The positions of trials, the best first, without those that did not finish.

    Those that trained in full are ordered by their scores. After them come those that have left at
    the furthest rung, by what they had there (`at_rung`), and so on.

    Args:
        trials: what was tried.
        config: says by `compare.metric` what they are ordered by, if not as usual.

    Raises:
        ConfigError: they have no such metric.
    """
    order = in_order([[None] if one.left else one.scores for one in trials], *_metric(config))
    left = {at: max(one.rungs) for at, one in enumerate(trials) if one.left}
    for rung in sorted({*left.values()}, reverse=True):
        there = at_rung(rung, trials, config)
        order += sorted((at for at in left if left[at] == rung), key=lambda at: there[at].order)
    return order


def at_rung(rung: int, trials: Sequence[Trial], config: DictConfig) -> dict[int, RungScores]:
    """What the trials that have reached a rung are ordered by there, by their positions.

    That is the accuracy, with the loss among equal ones, or in regression the RMSE; or the loss
    alone if `by_loss`, or if one of them has recorded neither (by an earlier version).
    """
    there = {at: one.rungs[rung] for at, one in enumerate(trials) if rung in one.rungs}
    if by_loss(config) or any(one.accuracy is one.rmse is None for one in there.values()):
        return {at: RungScores(one.loss) for at, one in there.items()}
    return there


def by_loss(config: DictConfig) -> bool:
    """Whether `compare.metric` is a loss or an error by its name, and no score of decisions.

    Of what every epoch records, a score of decisions or of their order is best foretold by the
    accuracy: what changes the labels moves the loss without moving any of these. An RMSE is
    recorded itself.
    """
    metric = config.compare.metric
    if metric in (names.RMSE, names.RMSE_UNSCALED):
        return False
    return metric is not None and names.lower_is_better(metric)


def ranks(trials: Sequence[Trial], config: DictConfig) -> list[float]:
    """The place of each trial, from 0; those that did not finish share the last."""
    order = ranked(trials, config)
    places = {position: float(place) for place, position in enumerate(order)}
    return [places.get(position, float(len(order))) for position in range(len(trials))]


def best(trials: Sequence[Trial], config: DictConfig, count: int) -> list[Recipe]:
    """The best recipes, all different, of those that trained in full."""
    found: dict[str, Recipe] = {}
    for position in ranked(trials, config):
        if trials[position].left:
            break
        recipe = trials[position].recipe
        found.setdefault(json.dumps([recipe.shared, recipe.techniques]), recipe)
    return list(found.values())[:count]


def headline(trials: Sequence[Trial], config: DictConfig) -> tuple[str, bool]:
    """The metric of validation rows that trials are ordered by, and whether lower is better."""
    runs = [scores for trial in trials for scores in trial.scores if scores is not None]
    return headline_of(runs, *_metric(config))


def _metric(config: DictConfig) -> tuple[str | None, bool | None]:
    """`compare.metric`, and whether lower is better of it if its name does not tell."""
    metric = config.compare.metric
    return metric, None if metric is None else OmegaConf.select(config, names.direction_of(metric))
