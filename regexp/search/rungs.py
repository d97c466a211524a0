"""Successive halving: which validation losses a batch's trials must have to go on.

Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter
tuning", https://arxiv.org/abs/1810.05934, algorithm 2) in a form in which what is left is not taken
up again, and the bars of a batch are fixed before it trains: they are of its configuration, so that
what becomes of a trial follows from itself, in whatever process and however often it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from regexp.config.bars import Bars, rungs_of
from regexp.search.choice import Trial


def bars_after(earlier: Sequence[Trial], config: DictConfig) -> Bars:
    """The bars of the trials that follow some others.

    A bar is the validation loss that the best 1/eta of those trials had at the rung which have
    reached it; there is none as long as fewer than eta have.

    Args:
        earlier: of the same arm.
        config: of the search.
    """
    bars: list[tuple[int, float | None]] = []
    for rung in _rungs(config):
        losses = sorted(trial.rungs[rung] for trial in earlier if rung in trial.rungs)
        best = len(losses) // config.search.rungs.eta
        # of a few digits, as all numbers of a trial
        bars.append((rung, float(f"{losses[best - 1]:.5g}") if best else None))
    return bars


def rung_lines(config: DictConfig) -> list[str]:
    """A line on where the trials of a search may end early; none where they do not."""
    epochs = " and ".join(map(str, _rungs(config)))
    line = (
        f"After {epochs} of {config.trainer.epochs} epochs a trial goes on if its validation loss "
        f"is among the best 1/{config.search.rungs.eta} of the trials before it."
    )
    return [line] if epochs else []


def _rungs(config: DictConfig) -> list[int]:
    rungs = config.search.rungs
    return rungs_of(rungs.eta, rungs.first, config.trainer.epochs)
