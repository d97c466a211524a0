"""What became of runs, and which numbers follow from what became of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from omegaconf import DictConfig

from regexp.metrics import names
from regexp.sweeps import tuning
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking import Earlier


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        name: of the run.
        status: `FINISHED` or `FAILED`.
        reason: of a failure.
        metrics: of its final weights; if its loss became NaN the seconds that it took, and none
            if it failed otherwise.
        diverged: whether it failed because its loss became NaN.
        before: whether it had ended before the command was given.
        tuned: the numbers that a search has chosen for it, for people.
    """

    name: str
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    diverged: bool = False
    before: bool = False
    tuned: str = ""


def chosen_numbers(config: DictConfig, trials: Sequence[Outcome]) -> tuning.Numbers:
    """The numbers that a job's search chooses.

    Args:
        config: of the job.
        trials: what became of all of them, in the order of the plan.

    Raises:
        ConfigError: every configuration diverged.
    """
    drawn, seeds = tuning.draw_configurations(config), config.tune.seeds
    metrics = [None if one.diverged else one.metrics for one in trials]
    each = [metrics[start : start + seeds] for start in range(0, len(metrics), seeds)]
    assert len(each) == len(drawn)
    return drawn[tuning.choose_configuration(each, *tuning.asked_metric(config))]


def ended_before(runs: Sequence[PlannedRun], earlier: Mapping[str, Earlier]) -> dict[str, Outcome]:
    """Fingerprint -> what became of those runs that had ended before."""
    return {
        run.fingerprint: Outcome(
            run.name,
            one.status,
            one.reason,
            {
                name: value
                for name, value in one.metrics.items()
                if one.status == "FINISHED" or name == names.SECONDS
            },
            diverged=one.status != "FINISHED",
            before=True,
            tuned=run.tuned,
        )
        for run in runs
        if (one := earlier.get(run.fingerprint)) and one.ended
    }
