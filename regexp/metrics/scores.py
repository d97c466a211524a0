"""Scores of one run's final weights on a split, beside those of every epoch.

The definitions are scikit-learn's, which the tests hold them against, computed for all classes or
labels at once: scikit-learn's own calls check their arguments for longer than a small run takes.
What is undefined on the rows at hand (the ROC AUC of a class that none of them has) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from regexp.metrics import names
from regexp.metrics.loss import CLASSIFICATION, LOSSES, MULTILABEL

Array = NDArray[Any]


def scores(outputs: Tensor, targets: Tensor, task: str, classes: Sequence[str]) -> dict[str, float]:
    """The scores of a split, without the metrics of `regexp.metrics.evaluate`.

    Args:
        outputs: logits [rows, classes] or [rows, labels]; values in regression, which has no more
            scores than `metrics` gives.
        targets: classes, int64 [rows]; of several labels 0 or 1, [rows, labels].
        task: see `regexp.metrics.loss.LOSSES`.
        classes: the names of the classes or labels.

    Returns:
        By name, of which `regexp.metrics.names` has the directions: of classes `balanced_accuracy`,
        `macro_f1`, `roc_auc`, `recall/<class>`; of several labels `macro_f1`, `micro_f1`,
        `roc_auc`, `exact_match`, `recall/<label>`. The recalls of more than `MOST_RECALLS` are left
        out. Of both `log_loss`, the plain loss, whatever loss is trained on.
    """
    if task == CLASSIFICATION:
        found = _of_classes(outputs, targets, classes)
    elif task == MULTILABEL:
        found = _of_labels(outputs, targets, classes)
    else:
        return {}
    found[names.LOG_LOSS] = float(LOSSES[task](outputs.double(), targets).mean())
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _of_classes(outputs: Tensor, targets: Tensor, classes: Sequence[str]) -> dict[str, float]:
    true = targets.cpu().numpy()
    logits = outputs.double().cpu().numpy()
    # as the accuracy has it, in the outputs' own precision
    predicted = outputs.argmax(-1).cpu().numpy()
    count = logits.shape[-1]
    confusion = np.bincount(true * count + predicted, minlength=count**2).reshape(count, count)
    right, rows, said = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    recall = _share(right, rows)
    seen = (rows + said) > 0  # scikit-learn's labels: those of the targets and of the predictions
    areas = roc_auc(log_odds(logits), true[:, None] == np.arange(count))
    return {
        names.BALANCED_ACCURACY: _mean(recall),
        names.MACRO_F1: _mean(_share(2 * right, rows + said)[seen]),
        names.ROC_AUC: float(areas[1]) if count == 2 else _mean(areas),
        **_recalls(recall, classes),
    }


def _of_labels(outputs: Tensor, targets: Tensor, labels: Sequence[str]) -> dict[str, float]:
    true = targets.cpu().numpy() > 0.5
    logits = outputs.double().cpu().numpy()
    predicted = logits > 0
    right = (true & predicted).sum(0)
    rows, said = true.sum(0), predicted.sum(0)
    f1 = _share(2 * right, rows + said)
    return {
        names.MACRO_F1: _mean(np.nan_to_num(f1)),  # 0 of a label that is neither there nor said
        names.MICRO_F1: float(_share(2 * right.sum(), (rows + said).sum())),
        names.ROC_AUC: _mean(roc_auc(logits, true)),
        names.EXACT_MATCH: float((true == predicted).all(-1).mean()),
        **_recalls(_share(right, rows), labels),
    }


def log_odds(logits: Array) -> Array:
    """log(p / (1 - p)) of the probability of each class, of [rows, classes].

    It has the order of the probabilities. Those of a network that is very sure are 1 to the last
    digit in many rows (from 37 nats on), which would count as equal.
    """
    likely = log_softmax(logits, -1)
    first = logits.argmax(-1, keepdims=True)  # the one that may be more than one half
    others = np.array(logits)
    np.put_along_axis(others, first, -np.inf, -1)
    found = np.array(likely)
    np.put_along_axis(found, first, -np.inf, -1)
    found -= np.log1p(-np.exp(found))
    ahead = np.take_along_axis(logits, first, -1) - logsumexp(others, -1, keepdims=True)
    np.put_along_axis(found, first, ahead, -1)
    return found


def roc_auc(scores: Array, positive: Array) -> Array:
    """The area under the ROC curve of each column: the chance that a positive row scores higher.

    Equal scores count one half (Mann and Whitney's U).

    Args:
        scores: [rows, columns].
        positive: bool, of the same shape.

    Returns:
        [columns]; NaN where all rows are positive, or none is, or a score is NaN.
    """
    import pandas as pd  # whose ranks are scipy's, without the half second of scipy.stats

    ranks = pd.DataFrame(scores).rank().to_numpy()
    above = np.where(positive, ranks, 0).sum(0)
    count = positive.sum(0)
    areas = _share(above - count * (count + 1) / 2, count * (len(positive) - count))
    return np.where(np.isnan(scores).any(0), np.nan, areas)


def _recalls(recall: Array, classes: Sequence[str]) -> dict[str, float]:
    if len(recall) > names.MOST_RECALLS:
        return {}
    labels = [str(name) for name in classes] or [str(index) for index in range(len(recall))]
    return {
        f"{names.RECALL}{label}": float(value)
        for label, value in zip(names.apart(labels), recall, strict=True)
    }


def _share(part: Any, whole: Any) -> Any:
    """part / whole, NaN of nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(part, whole)


def _mean(values: Array) -> float:
    """The mean of those that are defined; NaN if none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
