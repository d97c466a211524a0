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

from regexp.config.bars import Bar, Bars, as_compared, rungs_of
from regexp.search.choice import RungScores, Trial, at_rung, by_loss


def bars_after(earlier: Sequence[Trial], config: DictConfig) -> Bars:
    """The bars of the trials that follow some others.

    A bar is what the best 1/eta of those trials had at the rung which have reached it, see
    `at_rung`; there is none as long as fewer than eta have.

    Args:
        earlier: of the same arm.
        config: of the search.
    """
    bars: list[Bar] = []
    for rung in _rungs(config):
        there = sorted(at_rung(rung, earlier, config).values(), key=lambda one: one.order)
        best = len(there) // config.search.rungs.eta
        bars.append(_bar(rung, there[best - 1]) if best else Bar(rung))
    return bars


def _bar(rung: int, scores: RungScores) -> Bar:
    """The bar that is passed by these scores and by better ones.

    Its numbers have few digits, as all numbers of a trial; the loss and the RMSE are rounded up, so
    that they are not below those that it is of.
    """
    loss, accuracy, rmse = scores
    return Bar(
        rung,
        _rounded_up(loss),
        None if accuracy is None else as_compared(accuracy),
        None if rmse is None else _rounded_up(rmse),
    )


def _rounded_up(number: float) -> float:
    return float(Context(prec=5, rounding=ROUND_CEILING).create_decimal(repr(number)))


def rung_lines(config: DictConfig) -> list[str]:
    """A line on where the trials of a search may end early; none where they do not."""
    epochs = " and ".join(map(str, _rungs(config)))
    score = "loss" if by_loss(config) else "accuracy (in regression, its RMSE)"
    line = (
        f"After {epochs} of {config.trainer.epochs} epochs a trial goes on if its validation "
        f"{score} is among the best 1/{config.search.rungs.eta} of the trials before it."
    )
    return [line] if epochs else []


def _rungs(config: DictConfig) -> list[int]:
    rungs = config.search.rungs
    return rungs_of(rungs.eta, rungs.first, config.trainer.epochs)
