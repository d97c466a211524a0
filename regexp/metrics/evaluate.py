"""From predictions to metrics, each run by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from regexp.metrics.loss import CLASSIFICATION, LOSSES, MULTILABEL, Loss, squared_error


def metrics(
    outputs: Tensor, targets: Tensor, task: str, loss: Loss | None = None
) -> dict[str, Tensor]:
    """The metrics of a split.

    Args:
        outputs: logits [..., rows, classes] or [..., rows, labels], or values
            [..., rows, outputs] in regression.
        targets: classes, int64 [..., rows]; labels, 0 or 1, [..., rows, labels]; or values
            [..., rows, outputs].
        task: `classification`, `multilabel` or `regression`.
        loss: a user's loss in the place of the plain one.

    Returns:
        Each [...]: `loss`, the plain loss (mean cross-entropy in nats, over the labels too, or mean
        squared error); `accuracy` in classification, and of several labels their mean accuracy;
        `mae`, `rmse` and `r2` in regression, pooled over several targets. Where all rows have the
        same targets, whose variance no model can explain, `r2` is 1 if every prediction is exact
        and else 0, as in scikit-learn. Where a user's loss takes other outputs than one of each
        target, the loss alone.
    """
    mean_loss = (loss or LOSSES[task])(outputs, targets).mean(-1)
    if task == CLASSIFICATION:
        correct = (outputs.argmax(-1) == targets).to(outputs.dtype)
        return {"loss": mean_loss, "accuracy": correct.mean(-1)}
    if task == MULTILABEL:
        correct = ((outputs > 0) == (targets > 0.5)).to(outputs.dtype)
        return {"loss": mean_loss, "accuracy": correct.mean((-1, -2))}
    if loss is not None and outputs.shape != targets.shape:  # such as a mean and a variance
        return {"loss": mean_loss}
    error = outputs - targets
    # The mean of equal numbers is one of them only up to rounding.
    constant = (targets == targets[..., :1, :]).all(-2, keepdim=True)
    spread = (targets - targets.mean(-2, keepdim=True)).masked_fill(constant, 0)
    # one target that does not vary has no part in that of several, but where none varies
    unexplained = error.masked_fill(constant & ~constant.all(-1, keepdim=True), 0)
    left, total = unexplained.square().sum((-1, -2)), spread.square().sum((-1, -2))
    squared = mean_loss if loss is None else squared_error(outputs, targets).mean(-1)
    return {
        "loss": mean_loss,
        "mae": error.abs().mean((-1, -2)),
        "rmse": squared.sqrt(),
        "r2": torch.where(total > 0, 1 - left / total, (left == 0).to(total.dtype)),
    }
