"""What a run has at its end from its data or from the other runs of its stack.

Metrics, and the artifact that pictures are drawn from: reliability, and the sizes of the weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regexp.dataset.base import CLASSIFICATION, REGRESSION, Data, Split
from regexp.metrics import evaluate, names
from regexp.metrics.calibration import BINS, Reliability, brier_score
from regexp.metrics.ensemble import ensemble_metrics
from regexp.metrics.outputs import RowOutputs
from regexp.metrics.scores import scores
from regexp.model.kinds import ParameterKinds, parameter_kinds
from regexp.stack.member import Member
from regexp.stack.objective import OwnLoss
from regexp.sweeps.own_metrics import OwnMetrics, taken
from regexp.sweeps.planned_run import PlannedRun
from regexp.training.loop import SPLITS
from regexp.training.state import Result

# Powers of ten: what is smaller or larger is counted beside the histogram. Fixed, so that those of
# several runs can be added.
EXPONENTS = np.arange(-8, 2.25, 0.25)


def add_final_metrics(member: Member, result: Result, own: OwnMetrics) -> None:
    """Give a run that has finished what its data, and metrics of the user's own, add to it."""
    data = member.data
    outputs = {"validation": result.validation_outputs, "test": result.outputs}
    result.metrics |= against_naive(data, result.metrics)
    result.metrics |= calibration(data, result.outputs)
    result.metrics |= final_scores(data, outputs)
    for prefix, split, predicted in _evaluated(data, outputs):
        found, failed = taken(own, data, split, predicted)
        result.metrics |= {prefix + name: value for name, value in found.items()}
        result.failed_metrics |= {prefix + name: reason for name, reason in failed.items()}
    result.test_outputs = row_outputs(data, result.outputs)
    result.diagnostics = diagnostics(data, result, parameter_kinds(member.model))


def _evaluated(data: Data, outputs: Mapping[str, Tensor]) -> Iterator[tuple[str, Split, Tensor]]:
    """Prefix, rows and outputs of the splits that are scored."""
    yield names.VALIDATION, data.validation, outputs["validation"]
    yield names.TEST, data.test, outputs["test"]


def against_naive(data: Data, metrics: Mapping[str, float]) -> dict[str, float]:
    """Errors of a regression in the target's own unit, and against the naive forecast.

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
    return {
        names.BRIER: brier_score(outputs, data.test.targets),
        names.CALIBRATION_ERROR: Reliability.of(outputs, data.test.targets).error,
    }


def final_scores(data: Data, outputs: Mapping[str, Tensor]) -> dict[str, float]:
    """The scores of a run's final weights on validation and test rows, all of which count alike.

    Args:
        data: one run's.
        outputs: of its final weights on `validation` and `test`, each [rows, outputs].

    Returns:
        `final/val_macro_f1`, `test/macro_f1` and so on, see `regexp.metrics.scores`; the recalls
        of classes, and the errors of several targets, on the test split alone.
    """
    found = by_target(data, outputs["test"])
    for prefix, split, predicted in _evaluated(data, outputs):
        of_split = scores(predicted, split.targets, data.task, data.classes)
        for name, value in of_split.items():
            if prefix == names.TEST or not name.startswith(names.RECALL):
                found[prefix + name] = value
    return found


def by_target(data: Data, outputs: Tensor) -> dict[str, float]:
    """The error of each target of a regression with several, in its own unit.

    Args:
        data: one run's.
        outputs: of its final weights on the test split, [rows, outputs].

    Returns:
        `test/rmse/<target>`, of targets without names by their numbers from 1; nothing of more than
        `MOST_RECALLS`.
    """
    if data.task != REGRESSION or not 1 < data.outputs <= names.MOST_RECALLS:
        return {}
    squares = (outputs.double() - data.test.targets.double().to(outputs.device)).square().mean(0)
    scale = np.ones(data.outputs) if data.target_scale is None else data.target_scale.scale
    errors = np.sqrt(squares.cpu().numpy()) * np.asarray(scale)
    called = names.apart(target_names(data))
    return {names.TEST + names.OF_TARGET + name: float(error)
            for name, error in zip(called, errors, strict=True)}  # fmt: skip


def target_names(data: Data) -> list[str]:
    """What a regression's targets are called: their numbers from 1 where they have no names."""
    return list(data.target_names) or [str(number + 1) for number in range(data.outputs)]


def row_outputs(data: Data, outputs: Tensor) -> RowOutputs:
    """What a run gives for each test row, for the artifact of that name.

    Args:
        data: one run's.
        outputs: of its final weights on the test split, [rows, outputs].
    """
    split, scale = data.test, data.target_scale
    count = outputs.shape[-1]
    return RowOutputs(
        task=data.task,
        # rows that nothing read are numbered as they stand
        rows=np.arange(len(split)) if split.rows is None else split.rows,
        outputs=outputs.float().numpy(),
        targets=split.targets.numpy(),
        classes=tuple(target_names(data)) if data.task == REGRESSION else data.classes,
        mean=np.zeros(count) if scale is None else np.array(scale.mean),
        scale=np.ones(count) if scale is None else np.array(scale.scale),
    )


def metrics_of(
    data: Data,
    outputs: Mapping[str, Tensor],
    loss: OwnLoss | None = None,
    own: OwnMetrics | None = None,
) -> dict[str, float]:
    """All metrics of predictions, as a run has them of its final weights.

    Args:
        data: one run's.
        outputs: of `train`, `validation` and `test`, each [rows, outputs].
        loss: a user's in the place of the plain one.
        own: metrics of the user's own.
    """
    found: dict[str, float] = {}
    for name, prefix in SPLITS.items():
        targets = getattr(data, name).targets
        each = evaluate.metrics(outputs[name], targets, data.task, loss)
        found |= {prefix + metric: float(value) for metric, value in each.items()}
    found |= against_naive(data, found) | calibration(data, outputs["test"])
    for prefix, split, predicted in _evaluated(data, outputs):
        taken_of, _ = taken(own or {}, data, split, predicted)
        found |= {prefix + name: value for name, value in taken_of.items()}
    return found | final_scores(data, outputs)


def names_of(data: Data) -> list[str]:
    """The metrics that every run on such data has at its end."""
    count, classes = data.outputs, data.task == CLASSIFICATION
    targets = torch.arange(count) if classes else torch.eye(2)[:, :1].expand(2, count)
    rows = Split(torch.empty(len(targets), 0), targets)
    few = replace(data, train=rows, validation=rows, test=rows)
    outputs = torch.zeros(len(targets), count)
    found = metrics_of(few, dict.fromkeys(SPLITS, outputs))
    return [*found, names.EPOCHS, names.SECONDS]


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
        loss = members[indices[0]].objective.loss
        loss = loss and loss.to(outputs.device, outputs.dtype)  # back from where it trained
        scores = ensemble_metrics(outputs, data.test.targets, data.task, loss)
        for index in indices:
            results[index].metrics |= {f"{names.ENSEMBLE}{n}": float(v) for n, v in scores.items()}
            results[index].metrics[names.MEMBERS] = float(len(indices))


def diagnostics(data: Data, result: Result, kinds: ParameterKinds) -> str:
    """The artifact `diagnostics.json` of a run that finished.

    Args:
        data: it was trained on.
        result: of the run.
        kinds: of its network's parameters.

    Returns:
        JSON: `weights`, see `weight_sizes`; in classification `reliability` on the test split:
        `edges` of the bins, and of each bin `count`, mean `confidence` and `accuracy` (null in an
        empty one).
    """
    content: dict[str, Any] = {"weights": weight_sizes(result.last["weights"], kinds)}
    if data.task == CLASSIFICATION:
        found = Reliability.of(result.outputs, data.test.targets)
        content["reliability"] = {
            "edges": np.linspace(0, 1, BINS + 1).tolist(),
            "count": found.count.tolist(),
            "confidence": _numbers(found.confidence),
            "accuracy": _numbers(found.accuracy),
        }
    return json.dumps(content)


def weight_sizes(state: Mapping[str, Tensor], kinds: ParameterKinds) -> dict[str, Any]:
    """A histogram of log10|w| over all weights.

    Args:
        state: a network's state dict.
        kinds: of its parameters: biases, normalization, embeddings and tokens are no weights.

    Returns:
        `edges` (powers of ten) and `counts` of the histogram; how many weights are exact `zeros`,
        smaller than all bins but not zero (`below`), or larger (`above`); how many in `total`.
    """
    tensors = [value for name, value in state.items() if kinds.get(name) == "weight"]
    each = [tensor.detach().double().abs().cpu().numpy().ravel() for tensor in tensors]
    sizes = np.concatenate([*each, np.empty(0)])
    zeros = int((sizes == 0).sum())
    with np.errstate(divide="ignore"):
        powers = np.log10(sizes)
    counts, _ = np.histogram(powers[sizes > 0], EXPONENTS)
    below = int((powers < EXPONENTS[0]).sum()) - zeros
    return {
        "edges": EXPONENTS.tolist(),
        "counts": counts.tolist(),
        "zeros": zeros,
        "below": below,
        "above": len(sizes) - zeros - below - int(counts.sum()),
        "total": len(sizes),
    }


def _numbers(values: Tensor) -> list[float | None]:
    """JSON has no NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]
