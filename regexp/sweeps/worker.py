"""What workers have imported before their first job: run by the process they are forked from.

They ignore Ctrl-C, which a terminal sends to all processes: who started them tells those that
train, and others would end by it and, under joblib, take all with them.
"""

import signal
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

signal.signal(signal.SIGINT, signal.SIG_IGN)
spare_imports()
postpone()
prepare_environment()
for _name in MODULES:
    import_module(_name)
keep_imports()
