"""The model of a run as `mlflow.pyfunc` loads it: `mlflow.pyfunc.load_model("runs:/RUN_ID/model")`.

MLflow imports whatever module the file `MLmodel` names: who loads a model with it trusts who
recorded the model. So here as well, a network of a user's own needs no allowance.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.prediction.model import Model
from regexp.prediction.record import read_folder

if TYPE_CHECKING:
    import pandas as pd


class Served:
    """What MLflow calls.

    Args:
        model: of a run.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predictions and probabilities, see `Model.table`.

        Args:
            model_input: a data frame, or an array [rows, ...].
            params: of MLflow; none are taken.
        """
        return self._model.table(model_input)


def _load_pyfunc(path: str) -> Served:
    """The model in a folder that MLflow has downloaded."""
    return Served(Model(read_folder(Path(path))))
