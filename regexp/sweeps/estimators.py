"""The learners that are yardsticks: fitted on training rows, they give what a network gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regexp.dataset.base import CLASSIFICATION, REGRESSION, Data, Split

Array = NDArray[Any]
Settings = dict[str, Any]
Weights = NDArray[np.float64] | None
"""How much each training row counts, with the weight of its class; None if all count alike."""

LEAST = float(np.finfo(np.float32).eps)
"""Probabilities are kept so far from 0 and 1, as in scikit-learn's `log_loss`."""


def names_for(data: Data) -> list[str]:
    """The yardsticks of a task."""
    if data.task == REGRESSION:
        return ["mean", "ridge", "hist_gradient_boosting"]
    return ["majority", "logistic_regression", "hist_gradient_boosting"]


SETTINGS: dict[str, Settings] = {"logistic_regression": {"max_iter": 1000}}
"""Of estimators, which are not scikit-learn's defaults."""


Predict = Callable[[Split], Tensor]
"""Rows -> outputs as a network gives them, [rows, outputs]."""


def flat(split: Split) -> Array:
    """Inputs, float32 [rows, inputs], of images too."""
    return split.inputs[:].flatten(1).numpy()


def _majority(data: Data, settings: Settings, weights: Weights, state: int) -> Predict:
    """The shares of the classes, or of each label, in the training rows.

    Weights of classes do not count: the larger class is the larger one however much it counts.
    """
    targets = data.train.targets
    if data.task == CLASSIFICATION:
        targets = torch.nn.functional.one_hot(targets, len(data.classes))
    rows = None if data.train.weights is None else data.train.weights.numpy()
    shares = np.average(targets.double().numpy(), axis=0, weights=rows)
    return lambda split: _logits(np.tile(shares, (len(split), 1)), data.task)


def _mean(data: Data, settings: Settings, weights: Weights, state: int) -> Predict:
    """The mean of the training rows."""
    mean = np.average(data.train.targets.double().numpy(), axis=0, weights=weights)
    return lambda split: torch.tensor(np.tile(mean, (len(split), 1)), dtype=torch.float32)


def _logistic(data: Data, settings: Settings, weights: Weights, state: int) -> Predict:
    from sklearn.linear_model import LogisticRegression

    return _classified(data, weights, lambda: LogisticRegression(**settings))


def _ridge(data: Data, settings: Settings, weights: Weights, state: int) -> Predict:
    from sklearn.linear_model import Ridge

    model = Ridge(**settings).fit(
        flat(data.train), data.train.targets.numpy(), sample_weight=weights
    )
    return lambda split: torch.tensor(
        model.predict(flat(split)).reshape(len(split), -1), dtype=torch.float32
    )


def _boosting(data: Data, settings: Settings, weights: Weights, state: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if data.task != REGRESSION:
        return _classified(
            data, weights, lambda: HistGradientBoostingClassifier(**settings, random_state=state)
        )
    inputs = flat(data.train)
    models = [
        HistGradientBoostingRegressor(**settings, random_state=state).fit(
            inputs, target, sample_weight=weights
        )
        for target in data.train.targets.numpy().T
    ]

    def predict(split: Split) -> Tensor:
        rows = flat(split)
        found = np.stack([model.predict(rows) for model in models], -1)
        return torch.tensor(found, dtype=torch.float32)

    return predict


def _classified(data: Data, weights: Weights, make: Callable[[], Any]) -> Predict:
    """A classifier; of several labels one for each."""
    inputs = flat(data.train)
    if data.task == CLASSIFICATION:
        fitted = _probabilities(make, inputs, data.train.targets.numpy(), weights,
                                len(data.classes))  # fmt: skip
        return lambda split: _logits(fitted(flat(split)), data.task)
    each = [
        _probabilities(make, inputs, (labels > 0.5).astype(np.int64), weights, 2)
        for labels in data.train.targets.numpy().T
    ]

    def predict(split: Split) -> Tensor:
        rows = flat(split)
        return _logits(np.stack([one(rows)[:, 1] for one in each], -1), data.task)

    return predict


def _probabilities(
    make: Callable[[], Any], inputs: Array, targets: Array, weights: Weights, classes: int
) -> Callable[[Array], Array]:
    """The probabilities of all classes, [rows, classes]; 0 of those that no training row has."""
    there = np.unique(targets)
    if len(there) == 1:  # which scikit-learn's refuse
        return lambda rows: np.eye(classes)[np.full(len(rows), there[0])]
    model = make()
    if np.unique(targets, return_counts=True)[1].min() < 2 and hasattr(model, "early_stopping"):
        model.set_params(early_stopping=False)  # of many rows, which it would split by class
    model.fit(inputs, targets, sample_weight=weights)

    def probabilities(rows: Array) -> Array:
        found = np.zeros((len(rows), classes))
        found[:, model.classes_] = model.predict_proba(rows)
        return found

    return probabilities


def _logits(probabilities: Array, task: str) -> Tensor:
    """Probabilities of classes, or of each label, as a network's outputs."""
    kept = np.clip(probabilities, LEAST, 1 - LEAST)
    logits = np.log(kept) if task == CLASSIFICATION else np.log(kept) - np.log1p(-kept)
    return torch.tensor(logits, dtype=torch.float32)


FITS: dict[str, Callable[[Data, Settings, Weights, int], Predict]] = {
    "majority": _majority,
    "mean": _mean,
    "logistic_regression": _logistic,
    "ridge": _ridge,
    "hist_gradient_boosting": _boosting,
}
"""By name: data, settings of the estimator, weights of rows, `random_state` -> what predicts."""
