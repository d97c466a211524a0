"""MLflow's own variables of the environment, for what a configuration leaves open."""

import os

from omegaconf import DictConfig, read_write

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"

LAST_RESORT = "regexp"
"""The experiment that nobody names."""


def fill_tracking(config: DictConfig) -> None:
    """Put what the environment says into `tracking.uri` and `tracking.experiment` that are null.

    Done while a command is composed, so that its jobs have it wherever they run, and what MLflow
    writes into the variables later changes nothing. An address may have credentials, which are to
    be withheld; see `regexp.config.withheld`.
    """
    tracking = config.tracking
    with read_write(tracking):
        # not `not`: an empty text is told by the checks, and a value that is missing stays so
        if tracking.get("uri", "") is None and os.environ.get(URI):
            tracking.uri = _as_text(os.environ[URI])
        if tracking.get("experiment", "") is None:
            tracking.experiment = _as_text(os.environ.get(EXPERIMENT) or LAST_RESORT)


def _as_text(value: str) -> str:
    """A value in which OmegaConf finds nothing to fill in."""
    return value.replace("${", "\\${")
