"""What MLflow wants to know of a model: the files that make one of a folder of artifacts.

`mlflow.pyfunc.log_model` would take half a second a run, and more with inferred requirements.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass

PYTHON_ENV = "python_env.yaml"


@dataclass(frozen=True)
class Array:
    """Rows that are an array.

    Attributes:
        shape: of one row; -1 for any length.
        dtype: of NumPy.
    """

    shape: tuple[int, ...]
    dtype: str = "float64"


Inputs = Mapping[str, str] | Array
"""Name -> type of columns (`string`, `ANY`), or an array."""

ANY = "any"
"""A column of whatever a file is read as."""


def mlmodel(run_id: str, loader: str, inputs: Inputs, outputs: Mapping[str, str]) -> str:
    """The text of the file `MLmodel`.

    Args:
        run_id: of the run that the model is of.
        loader: the module that has `_load_pyfunc`.
        inputs: what the model takes.
        outputs: name -> type of the columns that it gives; empty if they are not known.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    def columns(named: Mapping[str, str]) -> Schema:
        kinds = {name: AnyType() if kind == ANY else DataType[kind] for name, kind in named.items()}
        return Schema([ColSpec(kind, name) for name, kind in kinds.items()])

    if isinstance(inputs, Mapping):
        taken = columns(inputs)
    else:
        import numpy as np

        taken = Schema([TensorSpec(np.dtype(inputs.dtype), (-1, *inputs.shape))])
    model = Model(artifact_path="model", run_id=run_id)
    model.signature = ModelSignature(inputs=taken, outputs=columns(outputs) if outputs else None)
    # what `mlflow.pyfunc.add_to_model` does, whose import takes a second, and warns
    model.add_flavor(
        "python_function",
        loader_module=loader,
        data=".",
        python_version=platform.python_version(),
        env={"virtualenv": PYTHON_ENV},
    )
    return str(model.to_yaml())


def python_env() -> str:
    """The text of the file `python_env.yaml`, beside `requirements.txt`."""
    return f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
