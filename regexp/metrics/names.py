"""The names of metrics, which way is better, and the stages of runs: literals nowhere else."""

TUNING_STAGE = "tuning"
"""The tag `stage` of trials, which nothing compares with other techniques' runs."""

FINAL_STAGE = "final"
"""The tag `stage` of the runs that trials have chosen the numbers of."""

CHOSEN_BY = (("final/val_accuracy", False), ("final/val_rmse", True))
"""(the metric by which a search chooses, whether lower is better): the first that runs have."""

VALIDATION_LOSS = "final/val_loss"
"""Of the final weights, the plain loss on the validation split."""

_LOW = {"loss", "rmse", "mse", "mae", "error", "brier", "ece", "epochs", "seconds"}
"""Words in the names of metrics whose small values are good ones: `val_loss`, `rmse_unscaled`."""


def lower_is_better(metric: str) -> bool:
    """Whether small values of a metric are good ones, by its name."""
    name = metric.rpartition("/")[2]
    return bool(set(name.split("_")) & _LOW) and "accuracy" not in name
