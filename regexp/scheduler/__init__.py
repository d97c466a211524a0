"""Learning-rate schedules: torch's schedulers, each stepped at its right interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

INTERVALS = ("step", "epoch")

Factory = Callable[[Optimizer], LRScheduler]
"""Makes a scheduler of an optimizer: a partial of a torch scheduler's class, or any function."""


def goes_by_count(kind: Any) -> bool:
    """Whether a scheduler's class, or a function that makes one, is torch's or ours.

    Those look at the number of the step, or at a validation loss, and change rates and betas. One
    of a user's own may look at parameters, of which a stack has those of all runs, and change what
    an optimizer keeps.
    """
    home = getattr(kind, "__module__", None) or ""
    return home.partition(".")[0] in ("torch", "regexp")


def learning_rate_of(optimizer: Optimizer) -> float:
    """The learning rate of an optimizer's next step (of its first parameter group).

    It is `lr`, and with optimizers that find a rate themselves (Prodigy, D-Adaptation) `lr` times
    what they have found, `d`.
    """
    group = optimizer.param_groups[0]
    return float(group["lr"]) * (float(group["d"]) if _finds_rate(group) else 1.0)


def _finds_rate(group: dict[str, Any]) -> bool:
    return "d0" in group and "d" in group  # Adafactor's `d` is another number


class Schedule:
    """A torch scheduler and when to step it.

    The loop calls `step_batch` after every `optimizer.step()`, and `step_epoch` after every
    epoch's validation; the schedule does what its interval asks for.

    To resume: make the optimizer, then the schedule (making it sets the optimizer's learning
    rate), then load the states of both.

    Args:
        factory: makes the scheduler of `optimizer`.
        interval: `step` or `epoch`: what the scheduler counts.
        optimizer: whose learning rate is scheduled.

    Raises:
        ValueError: if `interval` is neither, or does not fit the scheduler.
    """

    def __init__(self, factory: Factory, interval: str, optimizer: Optimizer) -> None:
        if interval not in INTERVALS:
            raise ValueError(f"scheduler.interval: expected step or epoch, got {interval!r}")
        self.interval = interval
        self.optimizer = optimizer
        self.scheduler = factory(optimizer)
        if self.uses_metric and interval != "epoch":
            raise ValueError(
                "scheduler.interval: ReduceLROnPlateau follows the validation loss, which is known "
                f"once an epoch; expected epoch, got {interval!r}"
            )

    @property
    def goes_by_count(self) -> bool:
        """Whether it does, and those that it consists of do; see the function."""
        parts = [self.scheduler, *getattr(self.scheduler, "_schedulers", ())]
        return all(goes_by_count(type(part)) for part in parts)

    @property
    def uses_metric(self) -> bool:
        """Whether the learning rate depends on the validation loss.

        If so, runs that share an optimizer would share a plateau: each needs its own.
        """
        return isinstance(self.scheduler, ReduceLROnPlateau)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the optimizer's next step (of its first parameter group)."""
        return learning_rate_of(self.optimizer)

    @property
    def changes_every_step(self) -> bool:
        """Whether the learning rate may be another one after each step."""
        return self.interval == "step" or _finds_rate(self.optimizer.param_groups[0])

    def step_batch(self) -> None:
        """Note that the optimizer made a step."""
        if self.interval == "step":
            self.scheduler.step()

    def step_epoch(self, validation_loss: float) -> None:
        """Note that an epoch ended with this plain loss on the validation split."""
        if self.interval != "epoch":
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(validation_loss)
        else:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's state, of plain numbers and lists."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave."""
        self.scheduler.load_state_dict(state)
