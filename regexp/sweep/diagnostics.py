"""What pictures of a run need beside its metrics: its reliability, and the sizes of its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from regexp.dataset.base import CLASSIFICATION, Data
from regexp.metrics.calibration import BINS, Reliability
from regexp.training.state import Result

NAME = "diagnostics.json"

# Powers of ten: what is smaller or larger is counted beside the histogram. Fixed, so that those of
# several runs can be added.
EXPONENTS = np.arange(-8, 2.25, 0.25)


def diagnostics(data: Data, result: Result) -> str:
    """The artifact `diagnostics.json` of a run that finished.

    Args:
        data: one run's.
        result: what it ended with.

    Returns:
        JSON: `weights`, see `weight_sizes`; in classification `reliability` on the test split:
        `edges` of the bins, and of each bin `count`, mean `confidence` and `accuracy` (null in an
        empty one).
    """
    content: dict[str, Any] = {"weights": weight_sizes(result.last["weights"])}
    if data.task == CLASSIFICATION:
        outputs = result.outputs
        found = Reliability.of(outputs, data.test.targets.to(outputs.device))
        content["reliability"] = {
            "edges": np.linspace(0, 1, BINS + 1).tolist(),
            "count": found.count.tolist(),
            "confidence": _numbers(found.confidence),
            "accuracy": _numbers(found.accuracy),
        }
    return json.dumps(content)


def weight_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """A histogram of log10|w| over all weights.

    Args:
        state: a network's state dict. Weights are its floating-point tensors of two or more
            dimensions: neither biases nor the parameters of a normalization.

    Returns:
        `edges` (powers of ten) and `counts` of the histogram; how many weights are exact `zeros`,
        smaller than all bins but not zero (`below`), or larger (`above`); how many in `total`.
    """
    tensors = [v for v in state.values() if v.ndim > 1 and v.is_floating_point()]
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
