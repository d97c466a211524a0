"""What a command imports and makes first: for the process that `tests.processes` forks others from.

Imported there alone. A command in a fork takes half of the time without it.
"""

import importlib

from regexp.config.collector import keep_imports, spare_imports

spare_imports()
for _name in (
    "alembic.config", "hydra._internal.hydra", "jinja2", "matplotlib.pyplot",
    "mlflow.store.artifact.local_artifact_repo", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store", "pandas.io.formats.csvs",
    "pyarrow.pandas_compat", "pytest", "regexp.__main__", "regexp.commands.terminal",
    "regexp.compare.figures", "regexp.compare.report", "regexp.sweeps.execute",
    "regexp.sweeps.job", "regexp.sweeps.question", "regexp.sweeps.yardsticks",
    "sklearn.datasets", "sklearn.model_selection", "sqlalchemy.dialects.sqlite", "torch._dynamo",
):  # fmt: skip
    importlib.import_module(_name)

from sqlalchemy.orm import configure_mappers  # noqa: E402

from regexp.commands.arguments import parse  # noqa: E402
from regexp.config.jobs import compose  # noqa: E402
from regexp.sweeps.plan import plan_all  # noqa: E402

configure_mappers()  # MLflow's tables
plan_all(compose(parse(["dataset=iris", "yardsticks=false"])[0]).jobs)
keep_imports()
