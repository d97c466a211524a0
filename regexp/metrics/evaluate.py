"""From predictions to metrics, each run by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from regexp.metrics.loss import LOSSES


def metrics(outputs: Tensor, targets: Tensor, task: str) -> dict[str, Tensor]:
    """The metrics of a split.

    Args:
        outputs: logits [..., rows, classes], or values [..., rows, outputs] in regression.
        targets: classes, int64 [..., rows], or values [..., rows, outputs].
        task: `classification` or `regression`.

    Returns:
        Each [...]: `loss`, the plain loss (mean cross-entropy in nats, or mean squared error);
        `accuracy` in classification; `mae`, `rmse` and `r2` in regression. Where all rows have the
        same targets, whose variance no model can explain, `r2` is 1 if every prediction is exact
        and else 0, as in scikit-learn.
    """
    loss = LOSSES[task](outputs, targets).mean(-1)
    if task == "classification":
        correct = (outputs.argmax(-1) == targets).to(outputs.dtype)
        return {"loss": loss, "accuracy": correct.mean(-1)}
    error = outputs - targets
    # The mean of equal numbers is one of them only up to rounding.
    constant = (targets == targets[..., :1, :]).all(-2, keepdim=True)
    spread = (targets - targets.mean(-2, keepdim=True)).masked_fill(constant, 0)
    left, total = error.square().sum((-1, -2)), spread.square().sum((-1, -2))
    return {
        "loss": loss,
        "mae": error.abs().mean((-1, -2)),
        "rmse": loss.sqrt(),
        "r2": torch.where(total > 0, 1 - left / total, (left == 0).to(total.dtype)),
    }
