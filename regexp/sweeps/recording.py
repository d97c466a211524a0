"""What MLflow keeps of a run: from its start to what it ended with."""

from __future__ import annotations

import tempfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regexp.config.yaml_text import as_yaml
from regexp.metrics import outputs
from regexp.metrics.names import (
    DIAGNOSTICS,
    FAILED_METRICS,
    SECONDS,
    TEST_OUTPUTS,
    TUNING_STAGE,
)
from regexp.sweeps.identity import shared_code
from regexp.sweeps.model_files import MODEL, write_model
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun, stack_of
from regexp.sweeps.reuse import in_words
from regexp.tracking import DIVERGED, CheckpointCopy, Earlier, RunRecord, Tracker
from regexp.tracking.shared import FOLDER, Shared, diagnostics_of, packed, where
from regexp.training import checkpoint
from regexp.training.state import Result


@dataclass(frozen=True)
class Recorder:
    """Begins the records of a job's runs.

    Attributes:
        tracker: of the store.
        sweep_id: of the parent run.
        setting: what beside the technique the sweep varies in the job, for people.
        arithmetic: what bits depend on beside configuration, data and code.
        earlier: what the sweep goes on from, by fingerprint; see `regexp.sweeps.reuse`.
        elsewhere: whether it goes on from what was trained by other arithmetic.
    """

    tracker: Tracker
    sweep_id: str
    setting: str
    arithmetic: Mapping[str, str]
    earlier: Mapping[str, Earlier]
    elsewhere: bool = False

    def start(
        self,
        stack: Sequence[PlannedRun],
        positions: Container[int],
        at_once: int | None = None,
    ) -> list[RunRecord | None]:
        """Begin the records of a stack's runs, or go on with those of tries that were broken off.

        Args:
            stack: all its runs.
            positions: of the runs in it that are recorded.
            at_once: how many of its runs train side by side; None for all.

        Returns:
            One record a run of the stack, None where none is wanted.
        """
        members = as_yaml(stack_of(stack, at_once))
        wanted = [position for position in range(len(stack)) if position in positions]
        records: list[RunRecord | None] = [None] * len(stack)
        first = "" if len(wanted) > 1 else None
        for position in wanted:
            shared = Shared(position, members, first)
            records[position] = record = self._start(stack[position], shared)
            first = first or (None if first is None else record.stack)
        return records

    def ids(self, records: Sequence[RunRecord | None], stack: Sequence[PlannedRun]) -> list[str]:
        """The ids of a stack's runs, those that ended before among them; empty of one with none."""
        before = [self.earlier.get(run.fingerprint) for run in stack]
        pairs = zip(records, before, strict=True)
        return [record.id if record else earlier.id if earlier else "" for record, earlier in pairs]

    def copy_of(
        self, records: Sequence[RunRecord | None], stack: Sequence[PlannedRun]
    ) -> CheckpointCopy:
        """The copy of a stack's checkpoint in the store: an artifact of the stack's first run."""
        before = self.earlier.get(stack[0].fingerprint)
        first = records[0] or before
        assert first is not None
        return CheckpointCopy(
            self.tracker.places, first.id, self.tracker.queue, none=before is None
        )

    def _start(self, run: PlannedRun, shared: Shared) -> RunRecord:
        before = self.earlier.get(run.fingerprint)
        bits = in_words(self.arithmetic)
        # on another machine its other epochs would have other bits
        same = before is not None and before.arithmetic.endswith(bits)
        record = self.tracker.start(
            self.sweep_id,
            name=run.name,
            fingerprint=run.fingerprint,
            params=run.params,
            tags={
                "technique": run.technique,
                "seed": str(run.seed),
                "dataset": run.dataset,
                "data.checksum": run.checksum,
                "code.checksum": shared_code(run.config),
                "split": "shared" if run.shared_split else "seed",
                "training.rows": str(run.training_rows),
                **labels_of(run, self.setting),
                "remarks": "\n".join(run.remarks),
                "arithmetic": bits,
                "basis": run.basis,
            },
            artifacts={"config.yaml": run.config_yaml},
            dataset={"name": run.dataset, "checksum": run.checksum, "source": run.source},
            resume=before.id if before and (same or self.elsewhere) else None,
            shared=shared,
        )
        if before and self.elsewhere and not same:
            mixed = (
                f"{run.name} was begun by other arithmetic ({before.arithmetic}) and went on by "
                f"this one ({bits}): nothing gives its bits again"
            )
            told = {"arithmetic": f"{before.arithmetic}, then {bits}"}
            record.tags(told | {"remarks": "\n".join([*run.remarks, mixed])})
        return record


def labels_of(run: PlannedRun, setting: str) -> dict[str, str]:
    """The tags of a run that follow from its sweep, which another sweep may have others of.

    Args:
        run: as planned.
        setting: what beside the technique the sweep varies in the job, for people.
    """
    return {
        "variant": run.variant,
        "setting": setting,
        "stage": run.stage,
        "tuned": run.tuned,
    }


def record_numbers(
    records: Sequence[RunRecord | None], results: Sequence[Result], ids: Sequence[str]
) -> None:
    """Record the metrics of a stack's runs that have ended, and their diagnostics.

    Before all else of their ends, so that the numbers of a run go in one request, and nothing of
    what they share is missing when the first of them has ended.

    Args:
        records: of the runs; None of one of which nothing is to be recorded.
        results: of their training.
        ids: of the runs, those without records among them.
    """
    finished = {
        run_id: result.diagnostics
        for run_id, result in zip(ids, results, strict=True)
        if run_id and result.diagnostics and result.status == "FINISHED"
    }
    for record, result in zip(records, results, strict=True):
        if record is None:
            continue
        record.summary(_metrics(result))
        if record.stack == record.id:
            record.text(diagnostics_of(finished), where(DIAGNOSTICS))
        if result.status != "FINISHED":
            record.tags({DIVERGED: True})
            continue
        if not record.stack:
            record.text(result.diagnostics, DIAGNOSTICS)
        if result.failed_metrics:
            lines = [f"{name}: {reason}" for name, reason in result.failed_metrics.items()]
            record.tags({FAILED_METRICS: "\n".join(lines)})
        record.tags({"weights.sha256": checkpoint.digest(result.last["weights"])})


def _metrics(result: Result) -> dict[str, float]:
    """What is recorded of a run that has ended, by name."""
    return result.metrics if result.status == "FINISHED" else {SECONDS: result.seconds}


def record_test_outputs(
    records: Sequence[RunRecord | None], results: Sequence[Result], ids: Sequence[str]
) -> bool:
    """Record the test outputs of a stack's runs together, as `record_numbers` and after it.

    Returns:
        Whether it was done: not where they come to much, and each run has its own.

    Raises:
        OSError: the files cannot be written.
    """
    first = next((one for one in records if one is not None and one.stack == one.id), None)
    if first is None:
        return False
    with tempfile.TemporaryDirectory() as name:
        for run_id, result in zip(ids, results, strict=True):
            if run_id and result.status == "FINISHED" and result.test_outputs is not None:
                folder = Path(name, run_id)
                folder.mkdir()
                outputs.write(folder / TEST_OUTPUTS, result.test_outputs)
        archive = packed(Path(name))
        if archive is not None:
            first.artifact(archive, FOLDER)
    return archive is not None


def record_result(
    run: PlannedRun, record: RunRecord | None, result: Result, outputs_are_recorded: bool = False
) -> Outcome:
    """Record the files of a run whose numbers are recorded, and its end.

    Args:
        run: as planned.
        record: of the run; None if nothing is to be recorded.
        result: of its training.
        outputs_are_recorded: whether its test outputs are, with those of its stack.

    Raises:
        OSError: the files cannot be written.
    """
    diverged = result.status != "FINISHED"
    outcome = Outcome(run.name, result.status, result.reason, _metrics(result), diverged)
    if record is None:
        return outcome
    if not diverged:
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            kept = {} if run.stage == TUNING_STAGE else {"best": result.best, "last": result.last}
            for name, content in kept.items():  # nobody uses a trial, and a search has thousands
                path = folder / f"{name}.pt"
                checkpoint.save(path, content)
                record.artifact(path, "checkpoints")
            if result.test_outputs is not None and not (outputs_are_recorded and record.stack):
                outputs.write(folder / TEST_OUTPUTS, result.test_outputs)
                record.artifact(folder / TEST_OUTPUTS)
            if result.model:
                record.artifact(write_model(result.model, record.id, folder / MODEL))
    record.finish(result.status, result.reason)  # type: ignore[arg-type]
    return outcome


def record_failure(run: PlannedRun, record: RunRecord | None, reason: str) -> Outcome:
    """Record that a run failed, where anything is to be recorded."""
    if record is not None:
        record.finish("FAILED", reason)
    return Outcome(run.name, "FAILED", reason)
