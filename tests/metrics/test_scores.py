"""Scores of a split against scikit-learn, also of classes and labels that are missing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from regexp.metrics.names import MOST_RECALLS, apart, lower_is_better, told_by_name
from regexp.metrics.scores import roc_auc, scores

NAMES = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def undefined() -> Iterator[None]:
    """scikit-learn warns of what is undefined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        yield


def drawn(classes: int, *, rows: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(rows, classes, generator=generator)
    return outputs, torch.randint(classes, (rows,), generator=generator)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_scores_of_classes_are_scikit_learns(classes: int) -> None:
    outputs, targets = drawn(classes)
    got = scores(outputs, targets, "classification", NAMES[:classes])
    predicted, shares = outputs.argmax(1), outputs.double().softmax(1).numpy()
    area = (
        sk.roc_auc_score(targets, shares[:, 1])
        if classes == 2
        else sk.roc_auc_score(targets, shares, multi_class="ovr", average="macro")
    )
    recalls = sk.recall_score(targets, predicted, average=None)
    assert got == pytest.approx(
        {
            "balanced_accuracy": sk.balanced_accuracy_score(targets, predicted),
            "macro_f1": sk.f1_score(targets, predicted, average="macro"),
            "roc_auc": area,
            "log_loss": sk.log_loss(targets, shares),
            **{f"recall/{name}": value for name, value in zip(NAMES, recalls, strict=False)},
        },
        rel=1e-12,
    )


def test_a_class_that_no_row_has_is_left_out_as_scikit_learn_does() -> None:
    outputs, targets = drawn(4)
    targets[targets == 3] = 0
    outputs[:, 2] -= 100  # a class of rows, which is never said
    assert (outputs.argmax(1) == 3).any()
    got = scores(outputs, targets, "classification", NAMES)
    predicted, shares = outputs.argmax(1).numpy(), outputs.double().softmax(1).numpy()
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(targets, predicted))
    assert got["macro_f1"] == pytest.approx(sk.f1_score(targets, predicted, average="macro"))
    each = [sk.roc_auc_score(targets.numpy() == c, shares[:, c]) for c in range(3)]
    assert got["roc_auc"] == pytest.approx(np.mean(each))
    assert "recall/d" not in got
    assert got["recall/c"] == 0


def test_what_is_undefined_is_not_given() -> None:
    outputs, targets = drawn(2)
    got = scores(outputs, targets * 0, "classification", ("a", "b"))
    assert "roc_auc" not in got
    assert all(math.isfinite(value) for value in got.values())
    assert scores(torch.randn(5, 1), torch.randn(5, 1), "regression", ()) == {}


def test_by_hand() -> None:
    """Six rows: class a 3 of 4 right, class b 1 of 2."""
    outputs = torch.tensor([[2.0, 0], [1, 0], [3, 0], [0, 1], [0, 2], [1, 0.5]])
    targets = torch.tensor([0, 0, 0, 0, 1, 1])
    got = scores(outputs, targets, "classification", ("a", "b"))
    assert got["balanced_accuracy"] == (3 / 4 + 1 / 2) / 2
    assert got["macro_f1"] == pytest.approx((6 / 8 + 2 / 4) / 2)
    # of 8 pairs (a, b) the row of b scores higher in 4 + 3: -2 -1 -3 1 against 2 and -.5
    assert got["roc_auc"] == pytest.approx(7 / 8)
    assert (got["recall/a"], got["recall/b"]) == (0.75, 0.5)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_area_of_a_very_sure_network_is_not_rounded_away(classes: int) -> None:
    """The oracle has 400 digits: in float64 most of these probabilities are 0 or 1."""
    outputs, targets = drawn(classes, rows=80, seed=3)
    outputs = 60 * outputs + 80 * torch.nn.functional.one_hot(targets, classes)
    with localcontext(prec=400):
        shares = [[Decimal(x).exp() for x in row] for row in outputs.double().tolist()]
        shares = [[share / sum(row) for share in row] for row in shares]
        order = [sorted({row[c] for row in shares}) for c in range(classes)]
        places = [[order[c].index(row[c]) for c in range(classes)] for row in shares]
    true = np.eye(classes)[targets.numpy()]
    each = [sk.roc_auc_score(true[:, c], np.array(places)[:, c]) for c in range(classes)]
    got = scores(outputs, targets, "classification", list(map(str, range(classes))))["roc_auc"]
    assert got == pytest.approx(each[1] if classes == 2 else np.mean(each), rel=1e-12)


def test_the_area_of_very_sure_labels_is_not_rounded_away() -> None:
    outputs = torch.tensor([[40.0], [50.0], [45.0], [60.0]])
    targets = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    assert scores(outputs, targets, "multilabel", ("a",))["roc_auc"] == 1


def test_equal_scores_count_one_half() -> None:
    values = np.array([0.1, 0.4, 0.4, 0.8, 0.4])
    positive = np.array([False, True, False, True, False])
    ours = roc_auc(values[:, None], positive[:, None])
    assert ours[0] == pytest.approx(sk.roc_auc_score(positive, values)) == 5 / 6


def test_a_score_that_is_no_number_leaves_the_area_of_its_column_alone_undefined() -> None:
    values = np.array([[0.1, 0.1], [0.4, 0.4], [np.nan, 0.2]])
    positive = np.array([[False, False], [True, True], [False, False]])
    assert np.array_equal(roc_auc(values, positive), [np.nan, 1.0], equal_nan=True)


def test_scores_of_labels_are_scikit_learns() -> None:
    outputs = torch.randn(80, 4, generator=torch.Generator().manual_seed(1))
    targets = (torch.rand(80, 4, generator=torch.Generator().manual_seed(2)) < 0.3).float()
    targets[:, 3] = 0  # a label that no row has, and nobody says
    outputs[:, 3] = -5
    got = scores(outputs, targets, "multilabel", NAMES)
    predicted, true = (outputs > 0).numpy(), targets.numpy().astype(int)
    recalls = sk.recall_score(true, predicted, average=None)
    areas = [sk.roc_auc_score(true[:, k], outputs[:, k]) for k in range(3)]
    assert got == pytest.approx(
        {
            "macro_f1": sk.f1_score(true, predicted, average="macro", zero_division=0),
            "micro_f1": sk.f1_score(true, predicted, average="micro"),
            "roc_auc": np.mean(areas),
            "exact_match": sk.accuracy_score(true, predicted),
            "log_loss": np.mean(
                [
                    sk.log_loss(true[:, k], outputs[:, k].double().sigmoid(), labels=[0, 1])
                    for k in range(4)
                ]
            ),
            **{f"recall/{NAMES[k]}": recalls[k] for k in range(3)},
        }
    )


def test_the_log_loss_is_scikit_learns() -> None:
    outputs, targets = drawn(3)
    got = scores(outputs, targets, "classification", NAMES[:3])["log_loss"]
    shares = outputs.double().softmax(1).numpy()
    assert got == pytest.approx(sk.log_loss(targets, shares, labels=[0, 1, 2]))


def test_many_classes_have_no_recalls_of_their_own() -> None:
    for classes, there in ((MOST_RECALLS, True), (MOST_RECALLS + 1, False)):
        outputs, targets = drawn(classes, rows=300)
        got = scores(outputs, targets, "classification", [str(c) for c in range(classes)])
        assert any(name.startswith("recall/") for name in got) is there


def test_names_of_classes_are_names_that_mlflow_takes() -> None:
    from mlflow.utils.validation import _validate_metric_name

    labels = ["Elliptical", "a/b", "<5 %", "", "..", " x ", "é", "y" * 400]
    for name in apart(labels):
        _validate_metric_name(f"test/recall/{name}")
    assert apart(["yes", "no way"]) == ["yes", "no way"]
    assert apart(["<5", ">5"]) == ["0__5", "1__5"]
    long = apart(["z" * 300 + "1", "z" * 300 + "2"])
    assert len(set(long)) == 2


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("test/loss", True), ("test/log_loss", True), ("final/val_log_loss", True),
        ("test/balanced_accuracy", False), ("test/macro_f1", False), ("final/val_macro_f1", False),
        ("test/roc_auc", False), ("test/exact_match", False), ("test/recall/loss", False),
        ("final/val_recall/error", False), ("test/rmse_unscaled", True), ("test/r2", False),
        ("test/mape", True), ("test/MAE", True), ("final/val_RMSLE", True), ("test/logloss", True),
        ("test/cost-of-errors", True), ("test/neg_mean_squared_error", False),
        ("test/log_likelihood", False), ("test/negative_log_likelihood", True),
        ("test/error_free_accuracy", False), ("test/brier_score", True),
        ("test/d2_absolute_error_score", False), ("test/brier_skill_score", False),
        ("test/tpr_at_fpr", False), ("test/cost_savings", False), ("test/recall_negative", False),
        ("test/negative_recall", False), ("test/negative_predictive_value", False),
        ("test/class_negative_predictive_value", False), ("test/true_negative_rate", False),
        ("test/false_negative_rate", True), ("test/false-positives", True),
        ("test/neg_brier_score", False), ("test/mean_negative_log_likelihood", True),
    ],
)  # fmt: skip
def test_which_way_is_better(name: str, lower: bool) -> None:
    assert lower_is_better(name) is lower


@pytest.mark.parametrize(
    "name",
    [
        "tpr_at_fpr", "fpr_at_recall", "cost_savings", "words",
        # of the rows of a class, or turned around
        "negative_recall", "neg_f1", "negative_loss", "recall_of_negatives_minus_fpr",
        # turned around, or how much it differs
        "1-auc", "one_minus_accuracy", "accuracy_gap", "recall_std",
    ],
)  # fmt: skip
def test_words_that_differ_tell_nothing(name: str) -> None:
    assert told_by_name(name) is None


@pytest.mark.parametrize(
    "name", ["negative_predictive_value", "true_negative_rate", "true_positives", "neg_log_loss"]
)
def test_words_that_tell_that_large_values_are_good(name: str) -> None:
    assert told_by_name(name) is False
