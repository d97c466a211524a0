"""Reruns from the first look at the records to the last line of what came of them."""

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from regexp.config.values import plain
from regexp.errors import ConfigError, count, printable
from regexp.rerun import report
from regexp.rerun.archive.archive import read_archive
from regexp.rerun.environments import differences_of_runs
from regexp.rerun.original import Original, OriginalSweep
from regexp.rerun.recorded import read_run, read_sweep
from regexp.rerun.remake import Remade, RerunPlan, plan_rerun, remake
from regexp.rerun.report import run_name
from regexp.rerun.stacks import stacks_of
from regexp.rerun.trust import check_trusted
from regexp.rerun.verify import verify
from regexp.rerun.yardsticks import refit, separated
from regexp.sweeps.launched import open_tracker
from regexp.sweeps.progress import say
from regexp.tracking import RunRecord, Tracker, interruptible
from regexp.tracking.stored import Reader


def rerun(
    config: DictConfig, source: str = "", *, sweep_id: str = "", allowed: Sequence[str] = ()
) -> int:
    """Make runs again and print how they compare; 0 if all are identical, else 1.

    Args:
        config: says where the store and the data are.
        source: the id of a run, or the path of an archive.
        sweep_id: of a sweep, instead.
        allowed: targets that the user trusts; see `check_trusted`.

    Raises:
        ConfigError: no run can be made again, or a configuration is not trusted.
        TrackingError: the store, or a run that it does not have.
    """
    sweep = read_sweep(_reader(config), sweep_id) if sweep_id else _originals(config, source)
    trained, sticks, unfinished = separated(sweep.runs)
    stacks, left_out = stacks_of(trained)
    left_out += unfinished
    if not stacks and not sticks:
        original, reason = left_out[0]
        raise ConfigError(
            f"the run {run_name(original)} ({original.run_id}) cannot be made again: {reason}"
        )
    members = [member for stack in stacks for member in stack.members]
    check_trusted([*members, *(one.config for one in sticks)], allowed)

    asked = count(sum(len(stack.runs) for stack in stacks), "run")
    asked += f" and {count(len(sticks), 'yardstick')}" if sticks else ""
    say(f"{asked} of {printable(sweep.name)}, from {sweep.source}")
    for original, reason in left_out:
        say(f"left out: {run_name(original)} ({original.run_id}): {printable(reason)}")
    here = {"paths": plain(config.paths), "tracking": plain(config.tracking), "debug": config.debug}
    plans = [plan_rerun(stack, here) for stack in stacks]
    say("")
    report.print_environments([run for planned in plans for run in planned.differences])
    say("")
    with interruptible(), open_tracker(config) as tracker:
        settings = {"rerun": {"of": sweep.sweep_id, "source": sweep.source}}
        parent = tracker.sweep(uuid.uuid4().hex, f"rerun of {sweep.name}", settings)
        remade = _remake(plans, tracker, parent, here)
        if sticks:
            say(f"{count(len(sticks), 'yardstick')} ...")
        for original in sticks:
            remade.append(refit(original, tracker, parent.id, here))
            report.print_remade(remade[-1])
        return _finish(remade, left_out, parent)


def diff(config: DictConfig, *run_ids: str) -> int:
    """Print what differs between two runs; 0 if their results are identical, else 1."""
    reader = _reader(config)
    first, second = (read_run(reader, run_id) for run_id in run_ids)
    for letter, original in (("A", first), ("B", second)):
        say(f"{letter}: {run_name(original)}, {original.status} ({original.run_id})")
    say("")
    report.print_configurations(first, second)
    say("")
    report.print_environments([differences_of_runs(first, second)], ("A", "B"), limit=None)
    say("")
    verdict = verify(first, second, again=False)
    report.print_results(first.metrics, second.metrics, verdict)
    say("")
    if verdict.empty:
        say("There are no results to compare: neither run has metrics or weights.")
        return 1
    if verdict.identical:
        say(f"The results are identical ({report.what_was_compared(verdict)}).")
        return 0
    say("The results differ:")
    for line in report.difference_lines(verdict):
        say(f"  {line}")
    return 1


def _originals(config: DictConfig, source: str) -> OriginalSweep:
    """A run of the store, or what an archive holds, as a sweep."""
    if source.endswith(".zip") or not re.fullmatch(r"[0-9a-zA-Z_-]+", source):
        return read_archive(Path(source))
    reader = _reader(config)
    original = read_run(reader, source)
    return OriginalSweep(original.run_id, original.name, [original], {}, reader.source)


def _reader(config: DictConfig) -> Reader:
    return Reader(config.tracking.uri, config.paths.mlruns)


def _remake(
    plans: Sequence[RerunPlan], tracker: Tracker, parent: RunRecord, here: Mapping[str, Any]
) -> list[Remade]:
    """Make every planned stack again, and tell of each of its runs."""
    remade = []
    for number, planned in enumerate(plans):
        size = count(len(planned.stack.runs), "run")
        if len(planned.stack.members) > len(planned.stack.runs):
            size += f" of a stack of {len(planned.stack.members)}"
        say(f"[{number + 1}/{len(plans)}] {printable(planned.stack.name)}: {size} ...")
        for again in remake(planned, tracker, parent.id, here):
            report.print_remade(again)
            remade.append(again)
    return remade


def _finish(
    remade: Sequence[Remade], left_out: Sequence[tuple[Original, str]], parent: RunRecord
) -> int:
    """Sum up, and end the parent run."""
    identical = sum(again.verdict is not None and again.verdict.identical for again in remade)
    failed = sum(again.verdict is None for again in remade)
    different = len(remade) - failed - identical
    summary = report.summary_line(identical, different, failed, len(left_out))
    same = identical == len(remade) and not left_out
    parent.tags({"rerun.identical": same})
    parent.note(f"# {parent.name}\n\n{summary}")
    parent.finish("FAILED" if failed else "FINISHED", summary if failed else "")
    say(f"\n{summary}. Recorded in MLflow as {printable(parent.name)} ({parent.id}).")
    return 0 if same else 1
