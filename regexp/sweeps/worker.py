"""What workers have imported before their first job: run by the process they are forked from."""

from importlib import import_module

from regexp.config.collector import keep_imports, spare_imports
from regexp.config.postponed import postpone
from regexp.tracking.store import prepare_environment

MODULES = (
    "regexp.sweeps.job",
    "regexp.sweeps.plan",
    "sklearn.datasets",
    "sklearn.model_selection",
    "mlflow.store.tracking.sqlalchemy_store",
)

spare_imports()
postpone()
prepare_environment()
for _name in MODULES:
    import_module(_name)
keep_imports()
