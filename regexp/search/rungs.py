"""Successive halving: what a batch's trials must have reached to go on.

Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter
tuning", https://arxiv.org/abs/1810.05934, algorithm 2) in a form in which what is left is not taken
up again, and the bars of a batch are fixed before it trains: they are of its configuration, so that
what becomes of a trial follows from itself, in whatever process and however often it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Context

from omegaconf import DictConfig

from regexp.config.bars import Bars, rungs_of
from regexp.metrics import names
from regexp.metrics.bars import Bar, as_compared
from regexp.search.choice import AtRung, Trial, at_rung, metric_at_rungs


def bars_after(earlier: Sequence[Trial], config: DictConfig) -> Bars:
    """The bars of the trials that follow some others.

    A bar is what the best 1/eta of those trials had at the rung which have reached it, see
    `at_rung`; there is none as long as fewer than eta have.

    Args:
        earlier: of the same arm.
        config: of the search.
    """
    bars: list[Bar] = []
    metric = metric_at_rungs(config)
    noted = None if metric in names.NOTED_AT_BARS else metric
    trained = [one for one in earlier if one.trained]
    for rung in _rungs(config):
        there = sorted(at_rung(rung, trained, config).values(), key=lambda one: one.order)
        best = len(there) // config.search.rungs.eta
        bars.append(_bar(rung, there[best - 1]) if best else Bar(rung, metric=noted))
    return bars


def _bar(rung: int, one: AtRung) -> Bar:
    """The bar that is passed by a trial that has this and by better ones.

    Its numbers have few digits, as all numbers of a trial; losses and errors are rounded up, so
    that they are not below those that it is of.
    """
    if one.metric is None:
        return Bar(rung, _rounded_up(one.loss))
    rounded = _rounded_up if names.lower_is_better(one.metric) else as_compared
    return Bar(rung, _rounded_up(one.loss), one.metric, rounded(one.score))


def _rounded_up(number: float) -> float:
    return float(Context(prec=5, rounding=ROUND_CEILING).create_decimal(repr(number)))


def rung_lines(config: DictConfig) -> list[str]:
    """A line on where the trials of a search may end early; none where they do not."""
    epochs = " and ".join(map(str, _rungs(config)))
    score = metric_at_rungs(config) or "accuracy (in regression, its RMSE)"
    line = (
        f"After {epochs} of {config.trainer.epochs} epochs a trial goes on if its validation "
        f"{score} is among the best 1/{config.search.rungs.eta} of the trials before it."
    )
    return [line] if epochs else []


def share_of_epochs(config: DictConfig) -> float:
    """What a trial takes of all epochs, in the mean, where 1/eta pass each bar."""
    eta, whole = config.search.rungs.eta, config.trainer.epochs
    share, reached, before = 0.0, 1.0, 0
    for rung in [*_rungs(config), whole]:
        share += reached * (rung - before) / whole
        reached, before = reached / (eta or 1), rung
    return share


def _rungs(config: DictConfig) -> list[int]:
    rungs = config.search.rungs
    return rungs_of(rungs.eta, rungs.first, config.trainer.epochs)
