"""Train the stack of recorded runs again, record what was asked for, compare it with the first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regexp.addresses import print_traceback
from regexp.config.targets import import_target
from regexp.rerun.causes import likely_cause
from regexp.rerun.environments import (
    EnvironmentDifference,
    device_of,
    environment_differences,
    kernels_of,
)
from regexp.rerun.original import Metrics, Original, RunOutcome
from regexp.rerun.stacks import RecordedStack
from regexp.rerun.trust import targets_in
from regexp.rerun.verify import BitVerdict, verify
from regexp.sweeps.job import progress_bar
from regexp.sweeps.plan import from_resolved
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.recording import Recorder, record_numbers, record_result
from regexp.sweeps.reuse import arithmetic_of
from regexp.sweeps.stacks import run_stack
from regexp.tracking import RunRecord, Tracker, environment, names
from regexp.training import checkpoint
from regexp.training.state import Result


@dataclass
class RerunPlan:
    """A stack that is to be trained again.

    Attributes:
        runs: the stack's members, planned with the code and the data that are here.
        differences: one list for each run that is asked for, of its environments then and now.
        failure: why it cannot be trained; empty if it can.
    """

    stack: RecordedStack
    runs: list[PlannedRun] = field(default_factory=list)
    differences: list[list[EnvironmentDifference]] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True)
class Remade:
    """A run that was made again.

    Attributes:
        run_id: MLflow's id of the second run; empty if it could not begin.
        verdict: how both compare; None if it could not be made.
    """

    original: Original
    run_id: str = ""
    verdict: BitVerdict | None = None
    cause: str = ""
    failure: str = ""


def plan_rerun(stack: RecordedStack, here: Mapping[str, Any]) -> RerunPlan:
    """Plan the runs of a recorded stack; whatever is wrong with it becomes the plan's `failure`.

    Args:
        stack: as recorded; its targets are trusted.
        here: `paths`, `tracking` and `debug` of the present command, plain.
    """
    planned = RerunPlan(stack)
    try:
        for member in stack.members:
            for target in targets_in(member):  # so that a user's own modules are compared
                import_target("_target_", target)
        planned.runs = [
            from_resolved(member | dict(here), here["paths"]["data"], variant)
            for member, variant in zip(stack.members, stack.variants, strict=True)
        ]
    except Exception as error:  # one stack must not take the others with it
        planned.failure = in_words(error, here)
        return planned
    now = environment.environment()
    for original, position in stack.runs:
        run = planned.runs[position]
        data = (run.dataset, original.tags.get("data.checksum", ""), run.checksum)
        device = device_of(original.config)
        planned.differences.append(
            environment_differences(
                original.environment,
                now,
                data=data,
                devices=(device, device),
                kernels=kernels_of(original.config),
            )
        )
    return planned


def remake(
    planned: RerunPlan, tracker: Tracker, sweep_id: str, here: Mapping[str, Any]
) -> list[Remade]:
    """Train a planned stack, record the runs that are asked for, and compare them.

    Returns:
        One for each run that is asked for. Whatever fails fails these runs alone.
    """
    asked = planned.stack.runs
    if planned.failure:
        return [Remade(original, failure=planned.failure) for original, _ in asked]
    records: list[RunRecord] = []
    history: list[dict[str, dict[int, float]]] = [{} for _ in planned.runs]

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        advance(1)
        for name, value in metrics.items():
            history[run].setdefault(names.safe(name), {})[epoch] = value
        for (_, position), record in zip(asked, records, strict=True):
            if position == run:
                record.metrics(metrics, epoch)

    try:
        for original, position in asked:
            records.append(_start(planned, position, original, tracker, sweep_id))
        epochs = planned.runs[0].config["trainer"]["epochs"]
        with progress_bar(epochs * len(planned.runs)) as advance:
            results = run_stack(planned.runs, report, planned.stack.at_once)
    except Exception as error:
        reason = in_words(error, here)
        for record in records:
            record.finish("FAILED", reason)
        return [Remade(original, failure=reason) for original, _ in asked]
    return [
        _compare(planned, index, record, results[position], history[position], here)
        for index, ((_, position), record) in enumerate(zip(asked, records, strict=True))
    ]


def outcome_of(result: Result, history: Metrics) -> RunOutcome:
    """What a run that has just been trained came to, as the store would give it."""
    metrics = {name: dict(steps) for name, steps in history.items()}
    for name, value in result.metrics.items():
        metrics.setdefault(names.safe(name), {})[0] = value
    weights = checkpoint.digest(result.last["weights"]) if result.last else ""
    return RunOutcome(result.status, result.reason, metrics, weights, lambda: result.last or None)


def _start(
    planned: RerunPlan, position: int, original: Original, tracker: Tracker, sweep_id: str
) -> RunRecord:
    arithmetic = arithmetic_of(planned.runs[position].config["trainer"])
    setting = original.tags.get("setting", "")
    recorder = Recorder(tracker, sweep_id, setting, arithmetic, {})
    record = recorder.start(planned.runs, {position}, planned.stack.at_once)[position]
    assert record is not None
    of = {"rerun.of": original.run_id}
    # of the remarks a rerun knows those of the data alone
    kept = ("stage", "tuned", "remarks")
    of |= {name: original.tags[name] for name in kept if name in original.tags}
    record.tags(of)
    return record


def _compare(
    planned: RerunPlan,
    index: int,
    record: RunRecord,
    result: Result,
    history: Metrics,
    here: Mapping[str, Any],
) -> Remade:
    """Hold one result against the first, and record both it and what came of that."""
    original, position = planned.stack.runs[index]
    try:
        verdict = verify(original, outcome_of(result, history))
        cause = likely_cause(verdict, planned.differences[index])
        record.tags({"rerun.identical": verdict.identical})
        if cause:
            record.tags({"rerun.cause": cause})
        record_numbers([record], [result], [record.id])
        record_result(planned.runs[position], record, result)
    except Exception as error:  # records that cannot be compared, or a full disk
        reason = in_words(error, here)
        record.finish("FAILED", reason)
        return Remade(original, record.id, failure=reason)
    return Remade(original, record.id, verdict, cause)


def in_words(error: Exception, here: Mapping[str, Any]) -> str:
    """An error in words for people."""
    if here["debug"]:
        print_traceback(error)
    if isinstance(error, ValueError | RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}; --debug shows where"
