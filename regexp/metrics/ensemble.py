"""Ensembles: one prediction out of those of several members.

The members may be runs of different seeds (a deep ensemble: Lakshminarayanan et al. 2017,
https://arxiv.org/abs/1612.01474, section 2.4), or what a technique's `predict` gives.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import logsigmoid

from regexp.metrics.evaluate import metrics
from regexp.metrics.loss import CLASSIFICATION, MULTILABEL, REGRESSION, Loss


def mean_prediction(outputs: Tensor, task: str) -> Tensor:
    """The members' mean prediction.

    Args:
        outputs: logits [..., members, rows, classes or labels], or values
            [..., members, rows, outputs] in regression.
        task: `classification`, `multilabel` or `regression`.

    Returns:
        [..., rows, classes]: the logarithm of the mean probabilities, which serves as logits (the
        mean of the logits would be another ensemble); of labels the logits of their mean
        probabilities; in regression the mean values. A single member's outputs come back as they
        are.
    """
    members = outputs.shape[-3]
    if members == 1:
        return outputs.squeeze(-3)
    if task == REGRESSION:
        return outputs.mean(-3)
    if task == MULTILABEL:
        return logsigmoid(outputs).logsumexp(-3) - logsigmoid(-outputs).logsumexp(-3)
    return outputs.log_softmax(-1).logsumexp(-3) - math.log(members)


def ensemble_metrics(
    outputs: Tensor, targets: Tensor, task: str, loss: Loss | None = None
) -> dict[str, Tensor]:
    """The metrics of several members' mean prediction on the same rows.

    The loss is never above the mean of the members' losses (Jensen's inequality: minus the
    logarithm and the square are convex), and equal to it where they all predict the same.

    Args:
        outputs: [..., members, rows, outputs], as in `mean_prediction`.
        targets: of the rows, which the members share: classes [..., rows], or values
            [..., rows, outputs].
        task: as there.
        loss: a user's loss in the place of the plain one.

    Returns:
        As `regexp.metrics.evaluate.metrics`.

    Raises:
        ValueError: if the members' rows are not those of the targets.
    """
    rows = targets.shape[-1 if task == CLASSIFICATION else -2]
    if outputs.ndim < 3 or outputs.shape[-2] != rows:
        raise ValueError(
            f"ensemble: expected outputs [members, {rows} rows, outputs], got "
            f"{list(outputs.shape)}; members need the same rows: set dataset.split_seed=0"
        )
    return metrics(mean_prediction(outputs, task), targets, task, loss)
