"""The model of a finished run, from the store of runs to predictions on new rows."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from regexp.config.composition import CONFIG_NAME
from regexp.config.homes import expand_homes
from regexp.config.jobs import compose_config
from regexp.dataset.base import CLASSIFICATION, MULTILABEL, REGRESSION
from regexp.errors import ConfigError
from regexp.prediction.network import Network
from regexp.prediction.record import ModelRecord, read_run_model
from regexp.tracking.stored import Reader

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

Frame = Any
"""Rows: a data frame, an array [rows, ...] as the dataset reads them, or the path of a file."""


def load(
    run_id: str,
    mlruns: str | os.PathLike[str] | None = None,
    *,
    uri: str | None = None,
    data: str | os.PathLike[str] | None = None,
    allow: Sequence[str] = (),
    exact: bool = True,
    device: str | None = None,
) -> Model:
    """The model of a finished run.

        model = regexp.load("0123456789abcdef0123456789abcdef")
        model.predict(pandas.read_csv("new.csv"))

    Args:
        run_id: of one run, not of a sweep.
        mlruns: the folder with the store; None for `mlruns` in the working directory.
        uri: of the store, if it is elsewhere; None for MLFLOW_TRACKING_URI or the folder.
        data: `paths.data`, which only runs need that were recorded without their preparation.
        allow: classes and functions of your own that the run's configuration may call, such as
            "my_package.MyModel"; with a dot at the end, all that begins so.
        exact: outputs to the bit as training had them. False computes the run without those that
            it was trained with, equal to rounding and faster by their number.
        device: "cpu", "cuda" and so on; None for that of the run, or the CPU.

    Raises:
        ConfigError: the run failed, is a trial, or calls what is not allowed.
        TrackingError: there is no such run, or the store cannot be used.
    """
    from omegaconf import OmegaConf

    options = argparse.Namespace(
        config_name=CONFIG_NAME, config_path=None, config_dir=None, overrides=[]
    )
    config = compose_config(options)
    given = {"paths.mlruns": mlruns, "paths.data": data, "tracking.uri": uri}
    for key, value in given.items():
        if value is not None:
            OmegaConf.update(config, key, os.fspath(value).replace("${", "\\${"))
    expand_homes(config)
    return load_model(config, run_id, allow, exact=exact, device=device)


def load_model(
    config: DictConfig,
    run_id: str,
    allow: Sequence[str] = (),
    *,
    exact: bool = True,
    device: str | None = None,
) -> Model:
    """As `load`, from the store that `config` says."""
    reader = Reader(config.tracking.uri, config.paths.mlruns)
    record = read_run_model(reader, run_id, config.paths.data, allow)
    return Model(record, exact=exact, device=device)


class Model:
    """The model of a run.

    Where a method takes `rows`, these are a data frame, an array [rows, ...] in the units of the
    dataset, or the path of a file that is written as the run's own. Targets need not be there;
    other columns are left alone.

    Attributes:
        record: what was stored of the run.
        task: "classification", "multilabel" or "regression".
        classes: the names of the classes or of the labels; empty in regression.
        columns: those that rows must have; empty for images.

    Raises:
        DataError: of every method: a column is missing, a word stands where a number should, a
            category has a level that the run does not know.
    """

    def __init__(
        self, record: ModelRecord, *, exact: bool = True, device: str | None = None
    ) -> None:
        self.record = record
        self.task = record.preparation.task
        self.classes = record.preparation.classes
        self.columns = record.preparation.columns
        self._network = Network(record, exact=exact, device=device)

    def outputs(self, rows: Frame) -> NDArray[Any]:
        """What the network gives: logits, or scaled values of a regression, [rows, outputs]."""
        if isinstance(rows, str | os.PathLike):
            rows = Path(rows)
            if not rows.exists():
                raise ConfigError(f"no file {str(rows)!r}")
        preparation = self.record.preparation
        values = self.record.dataset.read_inputs(rows, preparation)
        if not len(values):
            return self._network.no_outputs().numpy()
        inputs = preparation.inputs(values, np.arange(len(values)))
        return self._network.outputs(inputs).numpy()

    def predict(self, rows: Frame) -> NDArray[Any]:
        """The predictions.

        Returns:
            Names of classes, [rows]; of labels 0 and 1, [rows, labels]; or values in the target's
            own unit, [rows], or [rows, outputs] where there are several.
        """
        return self._predictions(self.outputs(rows))

    def predict_proba(self, rows: Frame) -> NDArray[np.float64]:
        """The probability of each class, or of each label by itself, [rows, classes].

        Raises:
            ConfigError: the run is a regression.
        """
        return self._probabilities(self.outputs(rows))

    def table(self, rows: Frame) -> pd.DataFrame:
        """Predictions and probabilities, one row a row; see docs/predicting.md."""
        import pandas as pd

        outputs = self.outputs(rows)
        parts: list[Any] = [self._predictions(outputs)]
        if self.task != REGRESSION:
            parts.append(self._probabilities(outputs))
        values = [column for part in parts for column in np.atleast_2d(part.T)]
        return pd.DataFrame(dict(zip(self.record.columns, values, strict=True)))

    def _predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        if self.task == CLASSIFICATION:
            names = np.array(self.classes, dtype=object)
            return np.asarray(names[outputs.argmax(axis=1)])
        if self.task == MULTILABEL:
            return (outputs > 0).astype(np.int64)
        values = outputs.astype(np.float64)
        if (scale := self.record.preparation.target_scale) is not None:
            values = values * np.array(scale.scale) + np.array(scale.mean)
        return values[:, 0] if values.shape[1] == 1 else values

    def _probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        logits = torch.from_numpy(outputs).double()
        if self.task == CLASSIFICATION:
            return logits.softmax(1).numpy()
        if self.task == MULTILABEL:
            return logits.sigmoid().numpy()
        raise ConfigError(
            "the run is a regression, which has no probabilities", cure="call predict"
        )
