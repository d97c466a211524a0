"""What of a run predicts: the artifact `model`, a model in MLflow's own sense.

It holds all that new rows need, the preparation fitted on the training rows among it, so that it
can be copied to where there are neither data nor checkpoints. Nothing in it is pickled. The weights
are here a second time, beside `checkpoints/last.pt`, which training goes on from: MLflow serves the
one folder and downloads no other.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from regexp import __version__
from regexp.dataset import fitted, stored
from regexp.dataset.base import CLASSIFICATION, MULTILABEL
from regexp.dataset.preparation import axes_of
from regexp.dataset.written import no_numbers
from regexp.errors import kind_and_reason
from regexp.stack.member import Member
from regexp.sweeps.identity import DECIDES, Node
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking import flavor
from regexp.training import checkpoint
from regexp.training.state import Result

MODEL = "model"
"""The artifact."""

DESCRIPTION, PIPELINE, WEIGHTS = "regexp.json", "preparation.skops", "weights.pt"
"""Its files: what the network and its inputs are; a fitted transformer of the user's own; its
weights, and what techniques predict from."""

LOADER = "regexp.prediction.pyfunc"
"""The module that MLflow calls to load it."""

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "skops", "mlflow")
"""What a process that serves it needs, beside what these need."""

FORMAT = 2


def model_files(
    run: PlannedRun, position: int, stack: Node, member: Member, result: Result
) -> dict[str, bytes]:
    """Name -> content of the model's files that say nothing of MLflow.

    Args:
        run: as planned.
        position: of the run among those that trained at once with it.
        stack: the `stack_of` these.
        member: the run's ingredients.
        result: of its training.
    """
    config, data = run.config, member.data
    description: dict[str, Any] = {
        "format": FORMAT,
        "regexp": __version__,
        "fingerprint": run.fingerprint,
        "config": {key: config[key] for key in ("seed", *DECIDES)},
        "stack": {
            "position": position,
            "members": stack["members"],
            "together": [one - result.run + position for one in result.together],
        },
        "data": {"name": data.name, "checksum": data.checksum},
        "input_shape": list(data.train.inputs.shape[1:]),
        "outputs": data.outputs,
        "preparation": None,
    }
    weights: dict[str, Any] = {"weights": result.last["weights"]}
    if member.regularizer.uses("predict"):
        weights["memory"] = result.last["memory"]
    files = {WEIGHTS: _saved(weights)}
    if data.preparation is not None:
        description["preparation"] = stored.described(data.preparation)
        try:
            if content := stored.dumped(data.preparation.pipeline):
                files[PIPELINE] = content
        except Exception as error:  # a user's own transformer, which skops cannot write
            reason = kind_and_reason(error)
            description["not_stored"] = reason
    files[DESCRIPTION] = json.dumps(description, ensure_ascii=False).encode()
    return files


def write_model(files: dict[str, bytes], run_id: str, folder: Path) -> Path:
    """Write a model's files into a new folder, with what MLflow wants to know; the folder."""
    folder.mkdir()
    description = json.loads(files[DESCRIPTION])
    inputs, outputs = _signature(description)
    texts = {
        "MLmodel": flavor.mlmodel(run_id, LOADER, inputs, outputs),
        "requirements.txt": "\n".join(requirements()) + "\n",
        flavor.PYTHON_ENV: flavor.python_env(),
    }
    for name, content in (files | {name: text.encode() for name, text in texts.items()}).items():
        (folder / name).write_bytes(content)
    return folder


def output_columns(
    task: str, classes: Sequence[str], outputs: int, targets: Sequence[str] = ()
) -> dict[str, str]:
    """The columns of a table of predictions, and of which of MLflow's types they are.

    Args:
        targets: names of a regression's targets, if they are known.
    """
    if task == CLASSIFICATION:
        return {"prediction": "string"} | {f"probability_{name}": "double" for name in classes}
    if task == MULTILABEL:
        labels = {f"prediction_{name}": "long" for name in classes}
        return labels | {f"probability_{name}": "double" for name in classes}
    if outputs == 1:
        return {"prediction": "double"}
    names = targets if len(targets) == outputs else [str(number + 1) for number in range(outputs)]
    return {f"prediction_{name}": "double" for name in names}


def target_names(config: dict[str, Any]) -> list[str]:
    """The names of the targets in a run's configuration, where it has any."""
    named = config["dataset"].get("target")
    every = named if isinstance(named, list) else [named]
    return [str(name) for name in every if name not in (None, "")]  # the number 0 is one


@lru_cache(maxsize=1)
def requirements() -> list[str]:
    """What a model needs, as pip takes it."""
    pinned = [f"regexp=={__version__}"]
    for name in PACKAGES:
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # such as mlflow, of which there is mlflow-skinny
            pinned.append(name)
    return pinned


def _signature(description: dict[str, Any]) -> tuple[flavor.Inputs, dict[str, str]]:
    """What MLflow is told of a row that goes in, and of what comes out."""
    preparation = description["preparation"]
    if preparation is None:
        return flavor.Array(tuple(description["input_shape"])), {}
    columns = output_columns(
        preparation["task"],
        preparation["classes"],
        description["outputs"],
        target_names(description["config"]),
    )
    if (preparation["pipeline"] or {}).get("class") == fitted.IMAGES:  # of either order of axes
        return flavor.Array((-1, -1, -1), "uint8"), columns
    levels, axes = preparation["levels"], axes_of(preparation["shape"], preparation["read_shape"])
    if len(axes) > 1 and not levels:
        return flavor.Array(axes), columns
    return {name: _kind_of(levels.get(name, ())) for name in preparation["columns"]}, columns


def _kind_of(levels: Sequence[str]) -> str:
    """What MLflow is to take a column for: what it reads, but for codes such as 01.

    Of these it would make numbers, so that 01 and 1 were one, or 3.1 and 3.10. As numbers it would
    refuse those that are whole in a file, and words that spell them.
    """
    return "string" if no_numbers(levels) else flavor.ANY


def _saved(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    checkpoint.write(content, buffer)
    return buffer.getvalue()
