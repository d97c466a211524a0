"""The scores of a metric by test row, from what a run gives for each.

Their mean is the metric. Accuracies, losses and errors are means over rows as they stand. A root
and a mean over classes are not: each row then has what it moves the metric by, to first order (the
delta method; its influence, centered at the metric).

- RMSE: r + (e_i - r^2) / (2 r), with e_i the squared error of row i and r the root of their mean.
- Balanced accuracy, recalls: m + (k / k_c) w (h_i - m_c), with h_i whether row i of class c is
  found, m_c the mean of the k_c rows of that class, w the weight of the class in the metric m.

What depends on how rows are ordered among each other (AUC, F1, R2, the calibration error) has no
such form here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.statistics import Floats
from regexp.metrics import names

if TYPE_CHECKING:
    from regexp.metrics.outputs import RowOutputs


def row_scores(test: RowOutputs, metric: str) -> Floats | None:
    """The scores of a metric by row, [rows]; None where it has no such form.

    Args:
        test: what a run gives for each test row.
        metric: as recorded, such as `test/accuracy`.
    """
    name = metric.removeprefix(names.TEST)
    if name == metric or not len(test.rows):
        return None
    if name.startswith(names.RECALL):
        return _recall(test, name.removeprefix(names.RECALL))
    if name.startswith(names.OF_TARGET):
        one = _of_target(test, name.removeprefix(names.OF_TARGET))
        return None if one is None else _root(one) * one.scale[0]
    form = _FORMS[test.task].get(name)
    return None if form is None else form(test)


def scores_alone(test: RowOutputs, metric: str, scores: Floats) -> Floats:
    """The `row_scores`, but for what all rows of a run share, such as their mean in an RMSE's."""
    name = metric.removeprefix(names.TEST)
    if name.startswith(names.OF_TARGET):
        one = _of_target(test, name.removeprefix(names.OF_TARGET))
        return scores if one is None else _squared(one)
    alone = _ALONE.get(name)
    return scores if alone is None else alone(test)


def predictions(test: RowOutputs) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """What is predicted for each row: its class, its labels, or its values; [rows, ...]."""
    if test.task == names.CLASSIFICATION:
        return test.outputs.argmax(1)
    return test.outputs > 0 if test.task == names.MULTILABEL else test.outputs


def _right(test: RowOutputs) -> Floats:
    return np.asarray(predictions(test) == test.targets, dtype=np.float64)


def _labels_right(test: RowOutputs) -> Floats:
    return np.asarray(predictions(test) == (test.targets > 0.5), dtype=np.float64)


def _cross_entropy(test: RowOutputs) -> Floats:
    from scipy.special import log_softmax

    likely = log_softmax(test.outputs.astype(np.float64), axis=1)
    return -np.take_along_axis(likely, test.targets[:, None], 1)[:, 0]


def _cross_entropy_of_labels(test: RowOutputs) -> Floats:
    logits = test.outputs.astype(np.float64)
    each = np.logaddexp(0, logits) - logits * test.targets
    return np.asarray(each.mean(1))


def _brier(test: RowOutputs) -> Floats:
    from scipy.special import softmax

    likely = softmax(test.outputs.astype(np.float64), axis=1)
    likely[np.arange(len(likely)), test.targets] -= 1
    return np.asarray((likely**2).sum(1))


def _balanced(test: RowOutputs) -> Floats:
    right, found = _right(test), np.unique(test.targets)
    weights = np.full(len(found), 1 / len(found))
    return _by_class(right, np.searchsorted(found, test.targets), weights)


def _recall(test: RowOutputs, part: str) -> Floats | None:
    parts = names.apart(test.classes)
    if part not in parts or test.task == names.REGRESSION:
        return None
    at = parts.index(part)
    if test.task == names.CLASSIFICATION:
        of, right = test.targets == at, _right(test)
    else:
        of, right = test.targets[:, at] > 0.5, _labels_right(test)[:, at]
    return _by_class(right, of.astype(int), np.array([0.0, 1.0])) if of.any() else None


def _of_target(test: RowOutputs, part: str) -> RowOutputs | None:
    """The outputs for one of several targets; None if there is none of this name."""
    parts = names.apart(test.classes)
    if part not in parts or test.task != names.REGRESSION:
        return None
    at = slice(parts.index(part), parts.index(part) + 1)
    return replace(test, outputs=test.outputs[:, at], targets=test.targets[:, at],
                   classes=test.classes[at], mean=test.mean[at], scale=test.scale[at])  # fmt: skip


def _by_class(right: Floats, group: np.ndarray, weights: Floats) -> Floats:
    """A weighted mean of the groups' means, by row."""
    sizes = np.maximum(np.bincount(group, minlength=len(weights)), 1)
    means = np.bincount(group, right, len(weights)) / sizes
    moved = (right - means[group]) * (weights / sizes)[group] * len(right)
    return np.asarray(float(means @ weights) + moved)


def _squared(test: RowOutputs) -> Floats:
    error = test.outputs.astype(np.float64) - test.targets
    return np.asarray((error**2).mean(1))


def _absolute(test: RowOutputs) -> Floats:
    return np.asarray(np.abs(test.outputs.astype(np.float64) - test.targets).mean(1))


def _root(test: RowOutputs) -> Floats:
    squares = _squared(test)
    mean = float(squares.mean())
    if not mean > 0:
        return np.sqrt(squares)
    return np.asarray((squares + mean) / (2 * np.sqrt(mean)))


def _unscaled(form: Callable[[RowOutputs], Floats]) -> Callable[[RowOutputs], Floats | None]:
    def scaled(test: RowOutputs) -> Floats | None:
        units = np.unique(test.scale)
        return form(test) * units[0] if len(units) == 1 else None

    return scaled


_FORMS: dict[str, dict[str, Callable[[RowOutputs], Floats | None]]] = {
    names.CLASSIFICATION: {
        "accuracy": _right,
        "loss": _cross_entropy,
        names.LOG_LOSS: _cross_entropy,
        "brier": _brier,
        names.BALANCED_ACCURACY: _balanced,
    },
    names.MULTILABEL: {
        "accuracy": lambda test: np.asarray(_labels_right(test).mean(1)),
        "loss": _cross_entropy_of_labels,
        names.LOG_LOSS: _cross_entropy_of_labels,
        names.EXACT_MATCH: lambda test: np.asarray(_labels_right(test).all(1), dtype=np.float64),
    },
    names.REGRESSION: {
        "loss": _squared,
        "mae": _absolute,
        "rmse": _root,
        "mae_unscaled": _unscaled(_absolute),
        "rmse_unscaled": _unscaled(_root),
    },
}
_ALONE = {"rmse": _squared, "rmse_unscaled": _squared}
"""Metrics whose scores by row have what all rows share -> those of the same rows alone."""
