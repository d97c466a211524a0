"""What a sweep's own comparison is asked, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from regexp.config.jobs import Sweep
from regexp.config.values import GROUPS
from regexp.errors import ConfigError, nearest
from regexp.metrics import names
from regexp.sweeps.final_metrics import names_of
from regexp.sweeps.ingredients import load_data

if TYPE_CHECKING:
    from regexp.sweeps.planned_run import PlannedRun


def check_question(sweep: Sweep, planned: Sequence[Sequence[PlannedRun]]) -> None:
    """Check what can be known before the sweep has runs.

    Args:
        sweep: composed and checked.
        planned: the runs of each job; where only the sweeper knows them, nothing is known.

    Raises:
        ConfigError: no run will have the metric, the factor or the baseline.
    """
    asked = sweep.config.compare
    if asked.metric is not None:
        _check_metric(asked.metric, planned, searched=sweep.config.tune.budget > 0)
    if asked.factor is not None:
        _check_factor(asked.factor, sweep)
    elif asked.baseline is not None:
        _check_baseline(asked.baseline, [run for runs in planned for run in runs])


def _check_baseline(baseline: str, planned: Sequence[PlannedRun]) -> None:
    """A run has the technique, if it is techniques that differ."""
    if len({run.technique for run in planned}) < 2:
        return
    labels = {f"{run.technique} ({run.variant})" for run in planned if run.variant}
    labels |= {run.technique for run in planned}
    if baseline not in labels:
        raise ConfigError(
            f"no run of this sweep has it{nearest(baseline, labels)}",
            key="compare.baseline",
            got=baseline,
        )


def _check_metric(metric: str, planned: Sequence[Sequence[PlannedRun]], *, searched: bool) -> None:
    """Every dataset's runs have the metric, and the validation split has it if it is to choose."""
    firsts = {run.dataset: run for runs in reversed(planned) for run in runs[:1]}
    for dataset, run in firsts.items():
        config = run.config
        there = names_of(load_data(config["dataset"], config["paths"]["data"], run.seed))
        own = config["trainer"]["metrics"] or {}
        there += [prefix + name for prefix in (names.VALIDATION, names.TEST) for name in own]
        there += names.SHARPNESSES if config["trainer"]["sharpness"] else ()
        if metric not in there:
            tested = [name for name in there if name.startswith(names.TEST)]
            raise ConfigError(
                f"runs on {dataset} have no such metric{nearest(metric, tested)}",
                key="compare.metric",
                got=metric,
            )
        if searched and names.chosen_by(metric) not in there:
            raise ConfigError(
                "a search chooses by the validation split, which has no such metric",
                key="compare.metric",
                got=metric,
                cure="choose another, and compare by this one afterwards: regexp compare "
                f"SWEEP_ID --metric {metric}",
            )


def _check_factor(factor: str, sweep: Sweep) -> None:
    """The factor is a key or group of the configuration."""
    known = factor in GROUPS or OmegaConf.select(sweep.config, factor) is not None
    if not known and sweep.jobs and factor not in sweep.swept:
        choices = [key for key in sweep.swept if key != "dataset"] or GROUPS
        raise ConfigError(
            f"no such key or group is varied{nearest(factor, choices)}",
            key="compare.factor",
            got=factor,
        )
