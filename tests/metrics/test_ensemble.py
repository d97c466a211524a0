"""Ensembles: the mean probability by hand, and Jensen's inequality for the loss."""

from __future__ import annotations

import pytest
import torch

from regexp.metrics.ensemble import ensemble_metrics, mean_prediction
from regexp.metrics.evaluate import metrics


@pytest.fixture
def logits():
    """Of five members on 40 rows with three classes, some of them very sure."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.1, 1.0, 3.0, 30.0, 300.0], dtype=torch.float64).view(5, 1, 1)
    return spread * torch.randn(5, 40, 3, generator=generator, dtype=torch.float64)


@pytest.fixture
def classes():
    return torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(1))


def test_is_the_mean_of_the_probabilities(logits):
    ours = mean_prediction(logits, "classification")
    expected = logits.softmax(-1).mean(0)
    torch.testing.assert_close(ours.exp(), expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(ours.softmax(-1), expected, rtol=0, atol=1e-15)
    assert not torch.allclose(logits.mean(0).softmax(-1), expected, atol=0.1)


def test_sure_members_do_not_overflow():
    """Probabilities of 0 and 1: the mean is a half, and its logarithm finite."""
    opposed = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]])
    ours = mean_prediction(opposed, "classification")
    torch.testing.assert_close(ours, torch.full((1, 2), 0.5).log())


def test_the_mean_of_labels_is_that_of_their_probabilities(logits):
    ours = mean_prediction(logits, "multilabel")
    torch.testing.assert_close(ours.sigmoid(), logits.sigmoid().mean(0), rtol=0, atol=1e-14)
    opposed = torch.tensor([[[1e4]], [[-1e4]]])
    torch.testing.assert_close(mean_prediction(opposed, "multilabel"), torch.zeros(1, 1))


def test_loss_is_at_most_the_mean_of_the_members(logits, classes):
    ours = ensemble_metrics(logits, classes, "classification")
    each = [metrics(member, classes, "classification")["loss"] for member in logits]
    assert ours["loss"] < torch.stack(each).mean() - 0.1
    same = ensemble_metrics(logits[:1].expand(4, -1, -1), classes, "classification")
    torch.testing.assert_close(same["loss"], each[0])


def test_squared_error_is_at_most_the_mean_of_the_members(logits):
    """By the spread of the members, exactly (the ambiguity decomposition)."""
    targets = torch.zeros(40, 3, dtype=torch.float64)
    ours = ensemble_metrics(logits, targets, "regression")
    each = torch.stack([metrics(m, targets, "regression")["loss"] for m in logits])
    spread = (logits - logits.mean(0)).square().mean()
    torch.testing.assert_close(ours["loss"], each.mean() - spread)


def test_one_member_is_itself_to_the_bit(logits, classes):
    assert torch.equal(mean_prediction(logits[:1], "classification"), logits[0])
    ours = ensemble_metrics(logits[:1], classes, "classification")
    for name, value in metrics(logits[0], classes, "classification").items():
        assert torch.equal(ours[name], value)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_leading_axes_are_ensembles_of_their_own(logits, task):
    stacked = mean_prediction(torch.stack([logits, -logits]), task)
    assert torch.equal(stacked[0], mean_prediction(logits, task))
    assert torch.equal(stacked[1], mean_prediction(-logits, task))


def test_refuses_other_rows(logits, classes):
    with pytest.raises(ValueError, match=r"39 rows.*dataset\.split_seed"):
        ensemble_metrics(logits, classes[:-1], "classification")
    with pytest.raises(ValueError, match="40 rows"):
        ensemble_metrics(logits[0], classes, "classification")  # no axis of members
