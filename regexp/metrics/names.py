"""The names of metrics, which way is better, and the stages of runs: literals nowhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence

TUNING_STAGE = "tuning"
"""The tag `stage` of trials, which nothing compares with other techniques' runs."""

YARDSTICK_STAGE = "yardstick"
"""The tag `stage` of scikit-learn's estimators on the rows of the runs, which are no techniques."""

FINAL_STAGE = "final"
"""The tag `stage` of the runs that trials have chosen the numbers of."""

NOISE_FLOOR = "none_again"
"""The technique that differs from `none` by its initial weights alone, so by noise."""

NONE_AGAIN = "regexp.regularizer.none_again.NoneAgain"
"""Its class, which may have other names as well."""

CLASSIFICATION, REGRESSION, MULTILABEL = TASKS = ("classification", "regression", "multilabel")
"""The kinds of targets: one class a row, numbers, or several labels that are there or not."""

TRAINING, VALIDATION, TEST = "final/train_", "final/val_", "test/"
"""Before the names of metrics of the final weights, by split: `final/val_loss`."""

ACCURACY, RMSE, LOSS = f"{TEST}accuracy", f"{TEST}rmse", f"{TEST}loss"
"""What techniques are compared by: classes, numbers, and both together."""

HEADLINES = (ACCURACY, RMSE, LOSS)
"""The metrics that sum up a run: the first that it has."""

MAE, RMSE_UNSCALED, RMSE_NAIVE = f"{TEST}mae", f"{RMSE}_unscaled", f"{RMSE}_naive"
SKILL = f"{TEST}skill"
"""1 - RMSE / that of the naive forecast, which says the last value again."""

BRIER, CALIBRATION_ERROR = f"{TEST}brier", f"{TEST}ece"

BALANCED_ACCURACY, MACRO_F1, MICRO_F1 = "balanced_accuracy", "macro_f1", "micro_f1"
ROC_AUC, LOG_LOSS, EXACT_MATCH = "roc_auc", "log_loss", "exact_match"
RECALL = "recall/"
"""Scores of the final weights, after `final/val_` and `test/`; of `recall/` the class follows."""

OF_TARGET = "rmse/"
"""After `test/`, of a regression with several targets: the name of the target follows."""

OF_A_SPLIT = (
    *("loss", "accuracy", "mae", "rmse", "r2", "brier", "ece", "skill", "recall"),
    *("rmse_unscaled", "mae_unscaled", "rmse_naive"),
    *(BALANCED_ACCURACY, MACRO_F1, MICRO_F1, ROC_AUC, LOG_LOSS, EXACT_MATCH),
)
"""All names of metrics of a split, which no metric of a user's may have."""

NOTED_AT_BARS = ("loss", "accuracy", "rmse")
"""What a run notes of its validation rows at each of its `trainer.bars`, as far as it has them."""

AT_BARS = (
    *("accuracy", "mae", "rmse", "r2"),
    *(BALANCED_ACCURACY, MACRO_F1, MICRO_F1, ROC_AUC, LOG_LOSS, EXACT_MATCH),
)
"""What may decide there before the loss."""

OF_DECISIONS = ("accuracy", BALANCED_ACCURACY, MACRO_F1, MICRO_F1, EXACT_MATCH)
"""Those of which a row is right or wrong, however sure of its class a network is."""

MOST_RECALLS = 20
"""Classes whose recalls are recorded, at most, or targets: MLflow draws a chart for each."""
ENSEMBLE = "ensemble/"
"""Before the names of metrics of the mean prediction of a stack's runs."""

ENSEMBLES = (f"{ENSEMBLE}accuracy", f"{ENSEMBLE}rmse")

SHARPNESS = "sharpness/"
"""Before the names of how sharp the final weights are (`regexp.metrics.sharpness`)."""

SHARPNESSES = tuple(f"{SHARPNESS}{name}" for name in ("eigenvalue", "residual", "sam_gap"))

MEMBERS = f"{ENSEMBLE}members"
"""How many runs such a mean is of."""

VALIDATION_ACCURACY, VALIDATION_RMSE = f"{VALIDATION}accuracy", f"{VALIDATION}rmse"

CHOSEN_BY = ((VALIDATION_ACCURACY, False), (VALIDATION_RMSE, True))
"""(the metric by which a search chooses, whether lower is better): the first that runs have."""

VALIDATION_LOSS = f"{VALIDATION}loss"
"""Of the final weights, the plain loss on the validation split."""

EPOCH_VALIDATION = "val/"
"""Before the names of metrics of every epoch on the validation split."""

EPOCH_TRAINING_LOSS, EPOCH_VALIDATION_LOSS = "train/loss", f"{EPOCH_VALIDATION}loss"
EPOCH_VALIDATION_ACCURACY = f"{EPOCH_VALIDATION}accuracy"
EPOCH_VALIDATION_RMSE = f"{EPOCH_VALIDATION}rmse"
LEARNING_RATE = "lr"
"""Metrics of every epoch."""

EPOCHS, SECONDS, BEST_EPOCH = "epochs", "seconds", "best_epoch"
"""What a run took, and the epoch of its least validation loss."""


def at_bar(metric: str, epoch: int) -> str:
    """A metric of the validation rows after an epoch that has a bar, see `trainer.bars`."""
    return f"rung/val_{metric}_{epoch}"


METRIC, PARAMETER = "metrics.", "params."
"""Before the names of columns of metrics and parameters in a frame of runs, see `Tracker.runs`."""

_LOW = {
    *("loss", "logloss", "nll", "rmse", "mse", "mae", "error", "err", "brier", "ece"),
    *("mape", "smape", "wape", "wmape", "mase", "msle", "rmsle", "nrmse", "medae", "deviance"),
    *("pinball", "crps", "hinge", "hamming", "perplexity", "misclassification", "risk", "cost"),
    *("regret", "fp", "fn", "fpr", "fnr", "fdr", "epochs", "seconds"),
}
"""Words in the names of metrics whose small values are good ones: `val_loss`, `RMSE_unscaled`."""

_HIGH = {
    *("accuracy", "acc", "auc", "roc", "auroc", "auprc", "ap", "map", "f1", "fbeta", "precision"),
    *("recall", "sensitivity", "specificity", "tp", "tn", "tpr", "tnr", "ppv", "npv"),
    *("r2", "score", "match"),
    *("kappa", "mcc", "matthews", "pearson", "spearman", "kendall", "correlation", "likelihood"),
    *("iou", "jaccard", "dice", "ndcg", "mrr", "bleu", "gain", "profit", "revenue", "utility"),
}
"""The same of large ones."""

_NEGATED = {"neg", "negative"}
"""Words that turn a likelihood around; others may be of the rows of a class: `negative_recall`."""

_TURNED = {
    *("minus", "negated", "inverse", "inverted", "complement"),
    *("gap", "difference", "disparity", "drop", "std", "variance", "spread"),
}
"""Words beside which no other tells which way is better: `one_minus_auc`, `accuracy_gap`."""

_OUTCOME = re.compile(r"(?:(true|false)[\W_]*)?(positive|negative)s?(?:[\W_]+(predictive))?")
"""What is counted of two classes: `true_negative_rate`, `negative_predictive_value`."""

_SKILLS = {"d2", "skill"}
"""Words of what is the share of an error that is saved: large values are good, whatever error."""

_SAVED = {"saved", "savings", "reduction", "benefit"}
"""Words beside which those of errors tell nothing."""


def column(metric: str) -> str:
    """The column of a metric in a frame of runs."""
    return f"{METRIC}{metric}"


def parameter(key: str) -> str:
    """The column of a parameter in a frame of runs."""
    return f"{PARAMETER}{key}"


def lower_is_better(metric: str, said: bool | None = None) -> bool:
    """Whether small values of a metric are good ones, by its name.

    Args:
        metric: as recorded.
        said: what one of the user's own says itself, see `direction_of`; it goes before the name.
    """
    if said is not None:
        return said
    if metric in SHARPNESSES:
        return True
    if RECALL in metric:  # whatever the class is called
        return False
    if metric.startswith(TEST + OF_TARGET):
        return True
    return bool(told_by_name(metric.rpartition("/")[2]))


def told_by_name(name: str) -> bool | None:
    """Whether small values are good ones by the words of a metric's name; None if none or both."""
    name = _OUTCOME.sub(_abbreviated, name.casefold())
    first, *others = re.split(r"[\W_]+", name)
    words = {first, *others}
    if words & _TURNED or re.match(r"1\s*-", name):  # 1-auc
        return None
    if words & _SKILLS:
        return False
    low, high = words & _LOW, words & _HIGH
    if "accuracy" in words:  # error_free_accuracy
        low = set()
    if words & _NEGATED:
        if low and first == "neg":  # as in scikit-learn's neg_mean_squared_error
            return False
        return True if not low and "likelihood" in high else None
    if not low | high or (low and (high - {"score"} or words & _SAVED)):  # brier_score is an error
        return None
    return bool(low)


def _abbreviated(found: re.Match[str]) -> str:
    """`tn` of true negatives, `npv` of a negative predictive value; else what was found."""
    right, kind, predictive = found.groups()
    if predictive:
        return f"{kind[0]}pv"
    return f"{right[0]}{kind[0]}" if right else found[0]


def direction_of(metric: str) -> str:
    """The key that says which way is better of a metric of the user's own; of any other, of none.

    It is `trainer.metrics.cost.lower_is_better` for `test/cost`.
    """
    name = metric.removeprefix(VALIDATION).removeprefix(TEST)
    return f"trainer.metrics.{name}.lower_is_better"


def chosen_by(metric: str) -> str:
    """The metric of the validation split by which a search chooses for one of the test split."""
    return VALIDATION + metric.removeprefix(TEST) if metric.startswith(TEST) else metric


def is_share(metric: str) -> bool:
    """Whether a metric is a share, from 0 to 1, of which differences are told in points."""
    part = metric.rpartition("/")[2]
    return RECALL in metric or part.endswith("accuracy") or part.endswith(_SHARES)


_SHARES = (MACRO_F1, MICRO_F1, ROC_AUC, EXACT_MATCH)


def apart(labels: Sequence[str]) -> list[str]:
    """Names of classes as parts of names of metrics, which MLflow takes as they are.

    What it refuses becomes `_`, and a slash too, which would begin another part. Where two labels
    are then one, all have their numbers in front.
    """
    safe = [re.sub(r"[^\w\-. ]", "_", label).strip()[:_LENGTH] for label in labels]
    safe = [label if label.strip(".") else f"{label}_" for label in safe]
    if len(set(safe)) == len(safe):
        return safe
    return [f"{number}_{label}" for number, label in enumerate(safe)]


_LENGTH = 100

DIAGNOSTICS = "diagnostics.json"
"""Artifact of a finished run: its reliability, and the sizes of its weights."""

SEARCH = "search.json"
"""Artifact of a search's own run: what it tried and found."""

OF_SEARCH = "search"
"""Tag of the sweep that is the verdict of a search: the id of the search's."""

TEST_OUTPUTS = "test_outputs.npz"
"""Artifact of a finished run: what it gives for each test row, see `regexp.metrics.outputs`."""

FAILED_METRICS = "metrics.failed"
"""Tag of a finished run: metrics of the user's own that could not be taken, and why."""
