"""What workers that train have imported before their first job; see `regexp.sweeps.workers`."""

from regexp.sweeps.preloading import preload

MODULES = (
    "regexp.sweeps.job",
    "regexp.sweeps.plan",
    "sklearn.datasets",
    "sklearn.model_selection",
    "mlflow.store.tracking.sqlalchemy_store",
)

preload(MODULES)
