"""Metrics that a run has from its data or from the other runs of its stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from regexp.dataset.base import CLASSIFICATION, Data
from regexp.metrics import names
from regexp.metrics.calibration import Reliability, brier_score
from regexp.metrics.ensemble import ensemble_metrics
from regexp.stack.member import Member
from regexp.sweep.planned_run import PlannedRun
from regexp.training.state import Result


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
    if names.RMSE not in metrics:
        return own
    scales = set() if data.target_scale is None else set(data.target_scale.scale)
    if len(scales) == 1:  # of one unit
        scale = scales.pop()
        own |= {f"{name}_unscaled": metrics[name] * scale for name in (names.RMSE, names.MAE)}
    if naive := data.naive.get("test"):
        own |= {names.RMSE_NAIVE: naive, names.SKILL: 1 - metrics[names.RMSE] / naive}
    return own


def calibration(data: Data, outputs: Tensor) -> dict[str, float]:
    """How far a classifier's probabilities can be trusted.

    Args:
        data: one run's.
        outputs: of its final weights on the test split, [rows, outputs].

    Returns:
        `test/brier` and `test/ece`, see `regexp.metrics.calibration`; nothing in regression.
    """
    if data.task != CLASSIFICATION:
        return {}
    targets = data.test.targets.to(outputs.device)
    return {
        names.BRIER: brier_score(outputs, targets),
        names.CALIBRATION_ERROR: Reliability.of(outputs, targets).error,
    }


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
