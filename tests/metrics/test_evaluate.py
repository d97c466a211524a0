"""Metrics and losses against scikit-learn and torch, for one run and for several."""

from __future__ import annotations

import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F

from regexp.metrics.evaluate import metrics
from regexp.metrics.loss import binary_cross_entropy, cross_entropy, squared_error


def test_classification_against_sklearn() -> None:
    outputs = torch.randn(4, 50, 3, dtype=torch.float64)
    targets = torch.randint(3, (4, 50))
    got = metrics(outputs, targets, "classification")
    for run in range(4):
        probabilities = outputs[run].softmax(-1).numpy()
        loss = sklearn.metrics.log_loss(targets[run], probabilities, labels=[0, 1, 2])
        assert float(got["loss"][run]) == pytest.approx(loss)
        accuracy = sklearn.metrics.accuracy_score(targets[run], probabilities.argmax(1))
        assert float(got["accuracy"][run]) == pytest.approx(accuracy)
        alone = metrics(outputs[run], targets[run], "classification")
        assert torch.equal(alone["accuracy"], got["accuracy"][run])


def test_labels_against_sklearn() -> None:
    outputs = torch.randn(4, 50, 3, dtype=torch.float64)
    targets = (torch.rand(4, 50, 3) < 0.4).double()
    got = metrics(outputs, targets, "multilabel")
    for run in range(4):
        shares = outputs[run].sigmoid().numpy()
        each = [sklearn.metrics.log_loss(targets[run, :, k], shares[:, k]) for k in range(3)]
        assert float(got["loss"][run]) == pytest.approx(sum(each) / 3)
        wrong = sklearn.metrics.hamming_loss(targets[run].numpy(), shares > 0.5)
        assert float(got["accuracy"][run]) == pytest.approx(1 - wrong)


def test_a_users_loss_stands_in_the_place_of_the_plain_one_alone() -> None:
    outputs, targets = torch.randn(2, 50, 1).double(), torch.randn(2, 50, 1).double()
    plain = metrics(outputs, targets, "regression")
    absolute = lambda o, t: (o - t).abs().mean(-1)
    own = metrics(outputs, targets, "regression", absolute)
    assert torch.equal(own["loss"], plain["mae"])
    assert all(torch.equal(own[name], plain[name]) for name in ("mae", "rmse", "r2"))


def test_regression_against_sklearn() -> None:
    outputs, targets = torch.randn(4, 50, 1).double(), torch.randn(4, 50, 1).double()
    got = metrics(outputs, targets, "regression")
    for run in range(4):
        pair = targets[run].numpy(), outputs[run].numpy()
        assert float(got["loss"][run]) == pytest.approx(sklearn.metrics.mean_squared_error(*pair))
        assert float(got["mae"][run]) == pytest.approx(sklearn.metrics.mean_absolute_error(*pair))
        rmse = sklearn.metrics.root_mean_squared_error(*pair)
        assert float(got["rmse"][run]) == pytest.approx(rmse)
        assert float(got["r2"][run]) == pytest.approx(sklearn.metrics.r2_score(*pair))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-3, 12345.678, 0.0])
def test_r2_of_equal_targets_is_that_of_sklearn(value: float, dtype: torch.dtype) -> None:
    """scikit-learn gets them as whole numbers, whose mean is exact."""
    targets = torch.full((37, 1), value, dtype=dtype).expand(3, 37, 1).clone()
    outputs = targets.clone()
    outputs[1, 5, 0] += 1
    outputs[2] = 0.5
    got = metrics(outputs, targets, "regression")["r2"]
    for run in range(3):
        off = (outputs[run] - targets[run]).numpy()
        assert float(got[run]) == sklearn.metrics.r2_score(off * 0, off) == (run == 0)


def test_r2_of_several_outputs_weighs_them_by_variance() -> None:
    """One that does not vary counts for nothing; its mean is exact, or sklearn sees it vary."""
    targets = torch.randn(40, 3, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.0]) + 0.125
    outputs = targets + torch.randn(2, 40, 3, dtype=torch.float64)
    both = metrics(outputs, targets.expand(2, 40, 3), "regression")["r2"]
    assert both.tolist() == [
        pytest.approx(sklearn.metrics.r2_score(targets, one, multioutput="variance_weighted"))
        for one in outputs
    ]


def test_hard_and_one_hot_targets_give_the_same_gradients_to_the_bit() -> None:
    targets = torch.randint(10, (8, 128))
    hard = torch.randn(8, 128, 10, requires_grad=True)
    soft = hard.detach().clone().requires_grad_()
    one = cross_entropy(hard, targets)
    other = cross_entropy(soft, F.one_hot(targets, 10).float())
    assert torch.equal(one, other)
    one.mean(-1).sum().backward()
    other.mean(-1).sum().backward()
    assert hard.grad is not None
    assert soft.grad is not None
    assert torch.equal(hard.grad, soft.grad)


def test_losses_against_torch() -> None:
    outputs, targets = torch.randn(2, 9, 4).double(), torch.rand(2, 9, 4).double().softmax(-1)
    for run in range(2):
        expected = F.cross_entropy(outputs[run], targets[run])
        torch.testing.assert_close(cross_entropy(outputs, targets)[run].mean(), expected)
        expected = F.binary_cross_entropy_with_logits(outputs[run], targets[run])
        torch.testing.assert_close(binary_cross_entropy(outputs, targets)[run].mean(), expected)
        expected = F.mse_loss(outputs[run], targets[run])
        torch.testing.assert_close(squared_error(outputs, targets)[run].mean(), expected)
