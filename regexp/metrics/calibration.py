"""How far the probabilities of a classifier can be trusted: Brier score and calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15
"""Of equal width, over confidences from 0 to 1 (Guo et al. 2017, section 4)."""


@dataclass(frozen=True)
class Reliability:
    """How often predictions of each confidence are right; each [bins].

    A confidence is the probability of the class that is predicted. The bins are open on the left
    and closed on the right.

    Attributes:
        count: rows, int64.
        confidence: mean confidence; NaN in an empty bin.
        accuracy: share of right predictions; NaN in an empty bin.

    Reference:
        Guo et al., "On calibration of modern neural networks", ICML 2017, equations 1 and 2,
        https://arxiv.org/abs/1706.04599.
    """

    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    @classmethod
    def of(cls, outputs: Tensor, targets: Tensor, bins: int = BINS) -> Reliability:
        """The reliability of predictions.

        Args:
            outputs: logits [rows, classes].
            targets: classes, int64 [rows].
        """
        probabilities = outputs.double().softmax(-1)
        confidence, predicted = probabilities.max(-1)
        right = (predicted == targets).double()
        inner = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=outputs.device)[1:-1]
        place = torch.bucketize(confidence, inner)
        count = torch.bincount(place, minlength=bins)
        # 0 / 0 is NaN: an empty bin has neither
        return cls(
            count.cpu(),
            (torch.bincount(place, confidence, bins) / count).cpu(),
            (torch.bincount(place, right, bins) / count).cpu(),
        )

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap, weighted by rows (equation 3).

        It is biased upwards where bins hold few rows, and depends on their number.
        """
        gaps = (self.accuracy - self.confidence).abs().nan_to_num(0)
        return float((gaps * self.count).sum() / self.count.sum())


def brier_score(outputs: Tensor, targets: Tensor) -> float:
    """Mean over rows of the squared distance of the probabilities to the class that is true.

    The sum over all classes, as Brier wrote it: from 0 to 2, twice the usual score of two classes.

    Args:
        outputs: logits [rows, classes].
        targets: classes, int64 [rows].

    Reference:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
        Review 78, 1950.
    """
    probabilities = outputs.double().softmax(-1)
    probabilities[torch.arange(len(targets), device=targets.device), targets] -= 1
    return float(probabilities.square().sum(-1).mean())
