"""A job: its runs trained as stacks, and recorded."""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig

from regexp import checkpoint
from regexp.dataset.base import Data
from regexp.ensemble import ensemble_metrics
from regexp.member import Member
from regexp.plan import PlannedRun, build_member, plan
from regexp.stack import Stack
from regexp.train import Result
from regexp.train import train as train_stack

if TYPE_CHECKING:
    from regexp.tracking import RunRecord, Tracker

__all__ = ["Outcome", "PlannedRun", "plan", "train"]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        name: of the run.
        status: `FINISHED` or `FAILED`.
        reason: of a failure.
        metrics: of its final weights; empty if it failed or had been finished before.
    """

    name: str
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


def train(config: DictConfig, tracker: Tracker, sweep_id: str, setting: str = "") -> list[Outcome]:
    """Train and record the runs of a job that the sweep has not finished yet.

    Args:
        config: composed and validated, not resolved.
        tracker: records the runs.
        sweep_id: of the parent run.
        setting: what beside the technique the sweep varies in this job, for people.

    Returns:
        One outcome a run, in the order of the plan.

    Raises:
        ConfigError: what only the data can tell is wrong; nothing was recorded.
    """
    runs = plan(config)
    finished = tracker.finished(sweep_id)
    outcomes = {
        run.fingerprint: Outcome(run.name, "FINISHED")
        for run in runs
        if run.fingerprint in finished
    }
    pending = [run for run in runs if run.fingerprint not in finished]
    members = [build_member(run) for run in pending]
    with _progress(config.trainer.epochs * len(pending)) as advance, _settings(config) as device:
        for part in stacks(pending, members, config.stack):
            chosen = [pending[index] for index in part]
            records = [_start(tracker, sweep_id, run, setting) for run in chosen]
            for run, outcome in zip(
                chosen,
                _train_stack([members[index] for index in part], chosen, records, device, advance),
                strict=True,
            ):
                outcomes[run.fingerprint] = outcome
    return [outcomes[run.fingerprint] for run in runs]


def stacks(runs: Sequence[PlannedRun], members: Sequence[Member], stack: bool) -> list[list[int]]:
    """Which runs train together: those of equal structure, in their order.

    Args:
        runs: of the job.
        members: their ingredients.
        stack: False for every run by itself.

    Returns:
        Positions of the runs, one list a stack.
    """
    if not stack:
        return [[index] for index in range(len(runs))]
    groups: dict[Any, list[int]] = {}
    for index, (run, member) in enumerate(zip(runs, members, strict=True)):
        trainer = run.config["trainer"]
        key = (trainer["epochs"], trainer["batch_size"], member.structure())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _train_stack(
    members: list[Member],
    runs: Sequence[PlannedRun],
    records: Sequence[RunRecord],
    device: torch.device,
    advance: Any,
) -> list[Outcome]:
    """Train one stack and record its runs; whatever fails in it fails these runs alone."""
    trainer = runs[0].config["trainer"]

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        records[run].metrics(metrics, epoch)
        advance(1)

    try:
        stack = Stack(
            members, trainer["epochs"], trainer["batch_size"], device, trainer["precision"]
        )
        results = sorted(
            train_stack(stack, trainer["epochs"], report), key=lambda result: result.run
        )
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"training raised {type(error).__name__}: {error}; debug=true shows where"
        if runs[0].config["debug"]:
            traceback.print_exc()
        for record in records:
            record.finish("FAILED", reason)
        return [Outcome(run.name, "FAILED", reason) for run in runs]
    for member, result in zip(members, results, strict=True):
        result.metrics |= against_naive(member.data, result.metrics)
    add_ensembles(members, runs, results)
    return [
        _record(run, record, result)
        for run, record, result in zip(runs, records, results, strict=True)
    ]


def against_naive(data: Data, metrics: Mapping[str, float]) -> dict[str, float]:
    """Errors of a regression in the target's own unit, and against the naive forecast.

    Args:
        data: one run's.
        metrics: of its final weights.

    Returns:
        `test/rmse_unscaled` and `test/mae_unscaled` where targets of one unit were scaled;
        `test/rmse_naive`, and `test/skill` = 1 - rmse / rmse_naive, where there is such a forecast.
    """
    own: dict[str, float] = {}
    if "test/rmse" not in metrics:
        return own
    scales = set() if data.target_scale is None else set(data.target_scale.scale)
    if len(scales) == 1:  # of one unit
        scale = scales.pop()
        own |= {
            f"test/{name}_unscaled": metrics[f"test/{name}"] * scale for name in ("rmse", "mae")
        }
    if naive := data.naive.get("test"):
        own |= {"test/rmse_naive": naive, "test/skill": 1 - metrics["test/rmse"] / naive}
    return own


def add_ensembles(
    members: Sequence[Member], runs: Sequence[PlannedRun], results: Sequence[Result]
) -> None:
    """Give runs that differ in their seed alone and share their splits the ensemble's metrics."""
    groups: dict[tuple[str, int], list[int]] = {}
    for index, (member, run, result) in enumerate(zip(members, runs, results, strict=True)):
        if result.status == "FINISHED":
            groups.setdefault((run.variant, id(member.data)), []).append(index)
    for indices in groups.values():
        if len(indices) < 2:
            continue
        data = members[indices[0]].data
        outputs = torch.stack([results[index].outputs for index in indices])
        targets = data.test.targets.to(outputs.device)
        scores = ensemble_metrics(outputs, targets, data.task)
        for index in indices:
            results[index].metrics |= {f"ensemble/{n}": float(v) for n, v in scores.items()}
            results[index].metrics["ensemble/members"] = float(len(indices))


def _start(tracker: Tracker, sweep_id: str, run: PlannedRun, setting: str) -> RunRecord:
    return tracker.start(
        sweep_id,
        name=run.name,
        fingerprint=run.fingerprint,
        params=run.params,
        tags={
            "technique": run.technique,
            "variant": run.variant,
            "setting": setting,
            "seed": str(run.seed),
            "dataset": run.dataset,
        },
        config_yaml=run.config_yaml,
        dataset={"name": run.dataset, "checksum": run.checksum, "source": run.source},
    )


def _record(run: PlannedRun, record: RunRecord, result: Result) -> Outcome:
    """Record what a run ended with."""
    if result.status == "FINISHED":
        record.summary(result.metrics)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("best", result.best), ("last", result.last)):
                path = Path(folder) / f"{name}.pt"
                checkpoint.save(path, content)
                record.artifact(path, "checkpoints")
    record.finish(result.status, result.reason)  # type: ignore[arg-type]
    return Outcome(run.name, result.status, result.reason, result.metrics)


@contextlib.contextmanager
def _settings(config: DictConfig) -> Iterator[torch.device]:
    """Threads, the device, and deterministic algorithms on it, for a while."""
    name = config.trainer.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(config.trainer.threads)
    if device.type == "cuda":
        # cuBLAS asks for this before it promises equal bits
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield device
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar of a job's epochs, where there is a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="epoch", leave=False, disable=None) as bar:
        yield bar.update
