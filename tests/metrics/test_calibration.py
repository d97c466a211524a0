"""Brier score and calibration against scikit-learn's and numpy's."""

import math

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from regexp.metrics.calibration import BINS, Reliability, brier_score


def predictions(rows: int = 400, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    outputs = 2 * torch.randn(rows, classes, generator=generator)
    right = outputs.argmax(-1)
    wrong = torch.randint(classes, (rows,), generator=generator)
    return outputs, torch.where(torch.rand(rows, generator=generator) < 0.6, right, wrong)


def test_brier_score_is_scikit_learns() -> None:
    outputs, targets = predictions()
    expected = brier_score_loss(
        targets.numpy(),
        outputs.double().softmax(-1).numpy(),
        labels=np.arange(4),
        scale_by_half=False,
    )
    assert brier_score(outputs, targets) == pytest.approx(expected, rel=1e-12)


def test_brier_score_of_the_surest_predictions() -> None:
    outputs = torch.tensor([[100.0, 0.0], [100.0, 0.0]])
    assert brier_score(outputs, torch.tensor([0, 0])) == pytest.approx(0, abs=1e-80)
    assert brier_score(outputs, torch.tensor([1, 1])) == pytest.approx(2)
    assert torch.equal(outputs, torch.tensor([[100.0, 0.0], [100.0, 0.0]]))


def test_reliability_is_scikit_learns() -> None:
    outputs, targets = predictions()
    confidence, predicted = outputs.double().softmax(-1).max(-1)
    right = (predicted == targets).int().numpy()
    found = Reliability.of(outputs, targets)
    accuracy, mean = calibration_curve(right, confidence.numpy(), n_bins=BINS)
    there = found.count > 0
    np.testing.assert_allclose(found.accuracy[there], accuracy, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[there], mean, rtol=1e-12)
    assert found.accuracy[~there].isnan().all()
    assert found.confidence[~there].isnan().all()
    counts, _ = np.histogram(confidence.numpy(), BINS, (0, 1))
    assert found.count.tolist() == counts.tolist()
    expected = sum(
        n / len(right) * abs(a - c)
        for n, a, c in zip(counts[counts > 0], accuracy, mean, strict=True)
    )
    assert found.error == pytest.approx(expected, rel=1e-12)


def test_error_of_predictions_that_are_as_sure_as_they_are_right() -> None:
    outputs = torch.tensor([[math.log(3), 0.0]]).repeat(4, 1)  # probability 3/4
    assert Reliability.of(outputs, torch.tensor([0, 0, 0, 1])).error == pytest.approx(0, abs=1e-7)
    assert Reliability.of(outputs, torch.tensor([1, 1, 1, 1])).error == pytest.approx(0.75)


def test_bins_are_closed_on_the_right() -> None:
    outputs = torch.zeros(3, 2)  # confidence 1/2
    count = Reliability.of(outputs, torch.zeros(3, dtype=torch.long), bins=2).count
    assert count.tolist() == [3, 0]
