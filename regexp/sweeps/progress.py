"""What a job tells about itself: lines in the terminal, and a report for the sweep's process."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from regexp.config.jobs import Sweep, written
from regexp.config.strays import override_key
from regexp.config.values import AUTO, grid_of, seeds_of, shown
from regexp.errors import NotApplicable, count, first_line, once
from regexp.metrics.names import ENSEMBLES, HEADLINES, MEMBERS, column
from regexp.sweeps.tuning import draw_configurations

if TYPE_CHECKING:
    import pandas

    from regexp.sweeps.planned_run import PlannedRun

OPTIMIZED = "optimization_results.yaml"  # of Hydra's sweepers


def say(line: str) -> None:
    """Print a line at once, for whoever waits."""
    print(line, flush=True)


@dataclass
class JobReport:
    """What became of one job.

    Attributes:
        number: of the job, from 0.
        technique: the job's techniques joined with "+".
        varied: what else the sweep varies in it, see `varied`.
        points: how many points its grid has.
        outcomes: one dict a run, see `regexp.sweeps.outcome.Outcome`.
        reason: why the job itself failed; empty if it did not.
        seconds: wall time.
    """

    number: int
    technique: str
    varied: str = ""
    points: int = 1
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """What tells the job from the sweep's others: "l1, optimizer=muon"."""
        return full_name(self.technique, self.varied)

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(name, reason) of the job if it failed, and of each of its runs that did."""
        failed = [(self.name, self.reason)] if self.reason else []
        return failed + [
            (
                full_name(str(outcome["name"]), self.varied),
                str(outcome["reason"]) or str(outcome["status"]),
            )
            for outcome in self.outcomes
            if outcome["status"] != "FINISHED"
        ]


def full_name(technique: str, varied: str) -> str:
    """A name of a job or run, with what the sweep varies in it if that is anything."""
    return ", ".join(filter(None, (technique, varied)))


def varied(config: DictConfig, overrides: Sequence[str], swept: Sequence[str]) -> str:
    """What beside its techniques the sweep varies in a job: "optimizer=muon trainer.epochs=9".

    Args:
        config: the job's, without what its overrides say of techniques that it does not have.
        overrides: the job's.
        swept: the keys that differ from job to job.
    """
    told = []
    for override in overrides:
        key = override_key(override)
        stray = key.startswith("regularizer.") and OmegaConf.select(config, key) is None
        if key in swept and key != "regularizer" and not stray:
            told.append(override)
    return written(told)


def points(config: DictConfig) -> int:
    """How many points a job's grid has; 1 without a grid."""
    return math.prod(map(len, grid_of(config).values()))


def size(config: DictConfig, planned: Sequence[Mapping[str, Any]] | None = None) -> str:
    """How many runs a job has: "10 runs", "32 trials, then 10 runs", "4 runs, seeds 8 to 11".

    Args:
        config: of the job.
        planned: its runs, if they are known.
    """
    if config.seeds == AUTO and planned:
        seeds = [run["seed"] for run in planned]
        return f"{count(len(planned), 'run')}, seeds {min(seeds)} to {max(seeds)}"
    runs = count(len(seeds_of(config)) * points(config), "run")
    if not (budget := config.tune.budget):
        return runs
    tried = len(draw_configurations(config))
    fewer = " (the ranges hold no more)" if tried < budget else ""
    if tried == 1 < budget:
        fewer = " (there is nothing to search)"
    return f"{count(tried * config.tune.seeds, 'trial')}{fewer}, then {runs}"


def result_line(report: JobReport, metric: str | None = None) -> str:
    """One line on a job: its test metric with the spread over seeds, its time, its failures.

    The points of a grid are different experiments, so that only their runs are counted.

    Args:
        report: of the job.
        metric: `compare.metric`.
    """
    from regexp.compare.formats import digits_of, in_ascii, rounded
    from regexp.compare.metric import PLAIN

    parts = []
    if report.outcomes and not report.failures and all(o["before"] for o in report.outcomes):
        return "finished before"
    finished = [outcome for outcome in report.outcomes if outcome["status"] == "FINISHED"]
    if report.points > 1 and finished:
        parts.append(f"{count(len(finished), 'run')} finished")
    for name in filter(None, (metric, *HEADLINES)):
        recorded = [float(outcome["metrics"].get(name, math.nan)) for outcome in finished]
        values = [value for value in recorded if not math.isnan(value)]
        if values and report.points == 1:
            mean = sum(values) / len(values)
            # a square that is too large is infinite, where a power would raise
            squares = sum((v - mean) * (v - mean) for v in values)
            spread = math.sqrt(squares / max(len(values) - 1, 1))
            places = max(3, digits_of(mean, PLAIN) + 1)
            deviation = f" ± {rounded(spread, places)}" if len(values) > 1 else ""
            score = in_ascii(rounded(mean, places))
            some = f" ({len(values)} of {len(finished)})" if len(values) < len(finished) else ""
            parts.append(f"{name.replace('/', ' ')} {score}{deviation}{some}")
            break
    parts.append(f"{report.seconds:.1f} s")
    if tuned := next((outcome["tuned"] for outcome in finished), ""):
        parts.append(f"with {tuned}")
    if report.failures:
        parts.append(f"{len(report.failures)} FAILED ({first_line(report.failures[0][1])})")
    return ", ".join(parts)


def write_report(report: JobReport, path: Path) -> None:
    """Leave a job's report in its file, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(vars(report), default=str))
    part.replace(path)


def best_line(folder: Path) -> list[str]:
    """A line on the best job of a sweeper that optimises; none where there is no such sweeper.

    Args:
        folder: of Hydra's files, where such sweepers leave what they found.
    """
    path = folder / OPTIMIZED
    if not path.exists():
        return []
    found = OmegaConf.load(path)
    assert isinstance(found, DictConfig)
    params, value = found.get("best_params"), found.get("best_value")
    if not params or value is None:  # it minimised several things at once
        return []
    told = written([f"{key}={shown(one)}" for key, one in params.items()])
    return [f"\nThe least validation loss is {value:.4f}, with {told}"]


def failures_of(
    sweep: Sweep, folder: Path, jobs: Iterable[int], causes: Mapping[int, str]
) -> list[tuple[str, str]]:
    """(name, reason) of whatever did not finish, over jobs.

    Args:
        sweep: of the jobs.
        folder: of their reports.
        jobs: their numbers.
        causes: why some of them left no report, as far as it is known.
    """
    reports = {}
    for path in folder.glob("*.json"):
        report = JobReport(**json.loads(path.read_text()))
        reports[report.number] = report
    failed = [failure for number in sorted(reports) for failure in reports[number].failures]
    for number in jobs:
        planned = sweep.jobs[number]
        if number not in reports:
            told = varied(planned.config, planned.overrides, sweep.swept)
            unknown = "the job left no report: its process was stopped, or the disk is full"
            reason = causes.get(number, unknown)
            failed.append((full_name(planned.technique, told), reason))
    return failed


def failure_lines(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Lines on failures, one a reason: runs of a stack often fail for the same one."""
    if not failures:
        return []
    lines = [f"\n{len(failures)} failed (the same command again skips what is finished):"]
    for reason in dict.fromkeys(reason for _, reason in failures):
        names = [name for name, other in failures if other == reason]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {reason}")
    return lines


def unswept_lines(sweep: Sweep) -> list[str]:
    """A line on a sweep that a file has, where only one job of it is trained, of no choice made."""
    swept = list(sweep.master.hydra.sweeper.get("params") or {})
    if sweep.multirun or not swept or {override_key(one) for one in sweep.command} & set(swept):
        return []
    [job] = sweep.jobs
    over = " and ".join(swept)
    return [f"{sweep.name}: one job, of {job.technique}; its sweep over {over} is for -m", ""]


def left_out_lines(sweep: Sweep, why: Mapping[int, NotApplicable]) -> list[str]:
    """Lines on the jobs whose technique does not apply."""
    if not why:
        return []
    lines = [f"{count(len(why), 'job')} of {len(sweep.jobs)} left out, which do not apply here:"]
    for job, error in why.items():
        technique = sweep.jobs[job].technique
        named = error.key in ("regularizer", f"regularizer.{technique}")
        lines.append(f"  {technique}: {error.reason if named else error}")
    return [*lines, ""]


def remark_lines(planned: "Sequence[Sequence[PlannedRun]]") -> list[str]:
    """What the data of some jobs are, and what a user must know before these are trained.

    Each line is there once, and an empty one after them.
    """
    runs = [run for job in planned for run in job]
    about = dict.fromkeys(line for run in runs for line in run.summary)
    lines = [*about, *once(line for run in runs for line in run.remarks)]
    return [*lines, ""] if lines else []


def ensemble_line(runs: "pandas.DataFrame") -> list[str]:
    """Lines on the ensembles of the seeds, by technique and variant, where there are any."""
    for name in ENSEMBLES:
        if column(name) not in runs:
            continue
        found = runs.dropna(subset=[column(name)])
        if found.empty:  # trials alone have them
            continue
        keys = [key for key in ("technique", "variant", "setting") if key in found]
        if "dataset" in found and found["dataset"].nunique() > 1:
            keys.append("dataset")
        parts = []
        for key, group in found.groupby(keys, sort=False):
            label = " ".join(str(part) for part in key if part)
            # of those that trained together: runs that existed before are not among them
            members = group[column(MEMBERS)].iloc[-1]
            of = f" ({members:g} of {len(group)} seeds)" if members < len(group) else ""
            parts.append(f"{label} {group[column(name)].iloc[-1]:.4f}{of}")
        return [f"Mean prediction of the seeds, {name}: {', '.join(parts)}"]
    return []


def failure_summary(failures: Sequence[tuple[str, str]]) -> str:
    """Of the failures, for the parent's tag; empty if there are none."""
    lines = [f"{name}: {first_line(reason)}" for name, reason in failures]
    return f"{len(failures)} failed: {'; '.join(lines)}" if failures else ""
