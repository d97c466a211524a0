"""What a sweep's own comparison is asked, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from regexp.compare.claims import claims_of, has_arm
from regexp.config.jobs import Job, Sweep, written
from regexp.config.strays import split_override
from regexp.config.values import GROUPS, plain
from regexp.errors import ConfigError, nearest
from regexp.metrics import names
from regexp.sweeps.final_metrics import names_of
from regexp.sweeps.ingredients import load_data
from regexp.tracking.names import texts

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
    _check_apart(sweep, planned)
    _check_claims(sweep, planned)
    asked = sweep.config.compare
    if asked.metric is not None:
        check_metric(asked.metric, planned, searched=sweep.config.tune.budget > 0)
    if asked.factor is not None:
        _check_factor(asked.factor, sweep)
        if asked.baseline is not None:
            _check_level(asked.baseline, asked.factor, sweep)
    elif asked.baseline is not None:
        _check_baseline(asked.baseline, [run for runs in planned for run in runs])


def _check_apart(sweep: Sweep, planned: Sequence[Sequence[PlannedRun]]) -> None:
    """No two jobs have other runs that are called alike, of which a comparison would show one, as
    where two files of techniques are put under one name; nor a part of their runs in common that
    they call otherwise, as `seeds=2,4` has, which would be of one of them.
    """
    from regexp.sweeps.planned_run import repeats

    known: dict[tuple[object, ...], tuple[Job, str]] = {}
    called: dict[str, tuple[Job, tuple[str, str]]] = {}
    whole = repeats(planned)
    for number, (job, runs) in enumerate(zip(sweep.jobs, planned, strict=False)):
        for run in runs:
            name = job.setting, run.variant
            first, theirs = called.setdefault(run.asked, (job, name))
            if theirs != name and number not in whole:
                raise ConfigError(
                    f"{written(first.overrides)} and {written(job.overrides)} have {run.name} in "
                    "common, which is one run, of one of them; let each have its own, or give a "
                    "command for each"
                )
            where = job.choices.get("dataset"), job.setting
            key = *where, run.technique, run.variant, run.seed, run.trial_for
            other, fingerprint = known.setdefault(key, (job, run.fingerprint))
            if other is not job and fingerprint != run.fingerprint:
                raise ConfigError(
                    f"{written(other.overrides)} and {written(job.overrides)} differ, and both are "
                    f"called {run.technique}, so that a comparison would show one; give the "
                    "techniques names of their own, as by the line `# @package regularizer.NAME` "
                    "of their files",
                    key="regularizer",
                )


def _check_claims(sweep: Sweep, planned: Sequence[Sequence[PlannedRun]]) -> None:
    """Every arm of every claim has one run a seed, and every dataset the metric."""
    claims = claims_of(plain(sweep.config.study)["claims"])
    of_runs = (run for job in planned for run in job if claims and not run.trial_for)
    runs = [(run, texts(run.config)) for run in of_runs]
    for claim in claims if runs else ():
        key = f"study.claims.{claim.name}"
        check_metric(claim.metric, planned, key=f"{key}.metric")
        for name, arm in claim.arms.items():
            found = {
                run.fingerprint: run.seed
                for run, values in runs
                if has_arm(arm, run.technique, run.dataset, values)
            }
            seeds = list(found.values())
            if not seeds or len(set(seeds)) < len(seeds):
                wrong = "several runs of a seed have it" if seeds else "no run of this sweep has it"
                raise ConfigError(
                    wrong, key=f"{key}.{name}", got=dict(arm),
                    cure="change its keys, or leave all claims out: study.claims=null",
                )  # fmt: skip


def _check_level(baseline: str, factor: str, sweep: Sweep) -> None:
    """A job has the level of the factor, if it is words that the sweep varies."""
    given = [split_override(one) for job in sweep.jobs for one in job.overrides]
    levels = {level for key, level in given if key == factor}
    name = baseline.partition(" (")[0]
    if levels and name not in levels and all(map(str.isidentifier, (name, *levels))):
        raise ConfigError(
            f"no run of this sweep has it{nearest(name, levels)}",
            key="compare.baseline",
            got=baseline,
        )


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


def check_metric(
    metric: str,
    planned: Sequence[Sequence[PlannedRun]],
    *,
    searched: bool = False,
    key: str = "compare.metric",
) -> None:
    """Check that every dataset's runs have a metric, and validation rows too if it is to choose.

    Args:
        metric: its name.
        planned: the runs of each job.
        searched: whether something is chosen by it.
        key: that names it, for the message.

    Raises:
        ConfigError: the runs or their validation rows have no such metric.
    """
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
                key=key,
                got=metric,
            )
        if searched and names.chosen_by(metric) not in there:
            raise no_metric_of_validation(metric, key)


def no_metric_of_validation(metric: str, key: str = "compare.metric") -> ConfigError:
    """That a search cannot choose by a metric."""
    return ConfigError(
        "a search chooses by the validation split, which has no such metric",
        key=key,
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
