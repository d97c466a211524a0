"""From predictions to metrics, each run by itself."""

from __future__ import annotations

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
        `accuracy` in classification; `mae`, `rmse` and `r2` in regression.
    """
    loss = LOSSES[task](outputs, targets).mean(-1)
    if task == "classification":
        correct = (outputs.argmax(-1) == targets).to(outputs.dtype)
        return {"loss": loss, "accuracy": correct.mean(-1)}
    error = outputs - targets
    spread = targets - targets.mean(-2, keepdim=True)
    return {
        "loss": loss,
        "mae": error.abs().mean((-1, -2)),
        "rmse": loss.sqrt(),
        "r2": 1 - error.square().sum((-1, -2)) / spread.square().sum((-1, -2)),
    }
