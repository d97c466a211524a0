"""The names of metrics, which way is better, and the stages of runs: literals nowhere else."""

TUNING_STAGE = "tuning"
"""The tag `stage` of trials, which nothing compares with other techniques' runs."""

FINAL_STAGE = "final"
"""The tag `stage` of the runs that trials have chosen the numbers of."""

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
ENSEMBLE = "ensemble/"
"""Before the names of metrics of the mean prediction of a stack's runs."""

ENSEMBLES = (f"{ENSEMBLE}accuracy", f"{ENSEMBLE}rmse")

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

METRIC, PARAMETER = "metrics.", "params."
"""Before the names of columns of metrics and parameters in a frame of runs, see `Tracker.runs`."""

_LOW = {"loss", "rmse", "mse", "mae", "error", "brier", "ece", "epochs", "seconds"}
"""Words in the names of metrics whose small values are good ones: `val_loss`, `rmse_unscaled`."""


def column(metric: str) -> str:
    """The column of a metric in a frame of runs."""
    return f"{METRIC}{metric}"


def parameter(key: str) -> str:
    """The column of a parameter in a frame of runs."""
    return f"{PARAMETER}{key}"


def lower_is_better(metric: str) -> bool:
    """Whether small values of a metric are good ones, by its name."""
    name = metric.rpartition("/")[2]
    return bool(set(name.split("_")) & _LOW) and "accuracy" not in name


DIAGNOSTICS = "diagnostics.json"
"""Artifact of a finished run: its reliability, and the sizes of its weights."""
