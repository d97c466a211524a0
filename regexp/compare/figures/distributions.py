"""What diagnostics of runs hold, pooled over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regexp.compare.baseline import KEYS, Baseline, Key

if TYPE_CHECKING:
    import pandas as pd

SMALL = 1e-3
"""Below this a weight counts as small."""


@dataclass(frozen=True)
class PooledWeights:
    """The weights of a technique's runs.

    Attributes:
        edges: of the bins, log10 |w|.
        shares: of all weights, one a bin.
        zeros: share of exact zeros.
        small: share of weights with |w| < `SMALL`, zeros among them.
    """

    edges: np.ndarray
    shares: np.ndarray
    zeros: float
    small: float


@dataclass(frozen=True)
class PooledReliability:
    """Confidence and accuracy of a technique's runs on the test split, by bin of confidence.

    Attributes:
        edges: of the bins.
        count: predictions in each.
        confidence, accuracy: means of each bin; NaN where it is empty.
        error: the expected calibration error, the mean over runs; as `test/ece`.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def by_key(
    diagnostics: pd.DataFrame, part: str, against: Baseline
) -> dict[Key, list[dict[str, Any]]]:
    """A part of the diagnostics of every technique's runs, the baseline first."""
    contents: dict[Key, list[dict[str, Any]]] = {}
    for _, row in diagnostics.iterrows():
        if content := row["content"].get(part):
            contents.setdefault(cast("Key", tuple(row[KEYS])), []).append(content)
    return dict(sorted(contents.items(), key=lambda item: not against.has(*item[0][2:])))


def labels(diagnostics: pd.DataFrame) -> dict[Key, str]:
    """The labels of rows."""
    return {cast("Key", tuple(row[KEYS])): str(row["label"]) for _, row in diagnostics.iterrows()}


def pooled_weights(contents: list[dict[str, Any]]) -> PooledWeights:
    """The weights of several runs, as if of one."""
    edges = np.asarray(contents[0]["edges"], dtype=float)
    counts = np.sum([content["counts"] for content in contents], axis=0)
    zeros, below, total = (
        sum(content[name] for content in contents) for name in ("zeros", "below", "total")
    )
    inside = counts[edges[1:] <= np.log10(SMALL) + 1e-9].sum()
    total = total or np.nan
    return PooledWeights(
        edges, counts / total, float(zeros / total), float((zeros + below + inside) / total)
    )


def pooled_reliability(contents: list[dict[str, Any]]) -> PooledReliability:
    """The predictions of several runs, as if of one."""
    counts = np.array([content["count"] for content in contents], dtype=float)
    total = counts.sum(axis=0)
    sums = {
        name: (np.array([_numbers(content[name]) for content in contents]) * counts).sum(axis=0)
        for name in ("confidence", "accuracy")
    }
    with np.errstate(invalid="ignore"):
        confidence, accuracy = sums["confidence"] / total, sums["accuracy"] / total
    edges = np.asarray(contents[0]["edges"], dtype=float)
    error = float(np.mean([_error(content) for content in contents]))
    return PooledReliability(edges, total, confidence, accuracy, error)


def _error(content: dict[str, Any]) -> float:
    count = np.array(content["count"], dtype=float)
    gaps = np.abs(_numbers(content["accuracy"]) - _numbers(content["confidence"]))
    return float((gaps * count).sum() / count.sum()) if count.sum() else float("nan")


def _numbers(values: list[float | None]) -> np.ndarray:
    """Zero where a bin is empty: it counts nothing."""
    return np.array([0.0 if value is None else value for value in values])
