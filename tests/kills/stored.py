"""All that a store has of its runs, to be compared with another's to the bit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.tracking.registry import PREFIX
from regexp.tracking.shared import FOLDER, NAMES
from regexp.tracking.stored import Reader
from regexp.training import checkpoint

Key = tuple[str, ...]
Stored = dict[Key, list[str]]

TIMES = ("seconds",)
"""Metrics that are times, not results."""

PLACES = {"command", "paths.mlruns", "search.folder"}
"""Parameters that tell where the folder is."""

TAGS = ("fingerprint", "technique", "seed", "dataset", "data.checksum", "weights.sha256")


def stored(mlruns: Path, server: str = "", experiment: str = "") -> Stored:
    """Everything, as texts that are equal only if the bits are.

    Args:
        mlruns: the folder.
        server: the address of the server that has its runs; "" where the folder has.
        experiment: that they are in; "" for all.

    Returns:
        (kind, name of the run, ...) -> all that stands there; more than one text where a run, or
        a step of a metric, was recorded twice. The kinds are `status` (of a run), `sweep`, `param`,
        `tag`, `input`, `artifact`, `metric`, and of checkpoints `tensor` and `number`.
    """
    found: Stored = defaultdict(list)
    client, runs = _open(mlruns, server, experiment)
    reader = Reader(server or f"sqlite:///{mlruns / 'mlflow.db'}", mlruns)
    called = defaultdict(set)
    for run in runs:
        called[run.info.run_name].add(run.data.tags.get("fingerprint"))
    for run in runs:
        run_id, tags = run.info.run_id, run.data.tags
        is_sweep = "fingerprint" not in tags  # its name tells where its folder is
        name = f"the sweep {tags['sweep.key']}" if is_sweep else str(run.info.run_name)
        if len(called[name]) > 1:  # of both arms of a search
            name += f" {tags['fingerprint']}"
        found["sweep" if is_sweep else "status", name].append(run.info.status)
        for param in run.data.params.keys() - PLACES:
            found["param", name, param].append(run.data.params[param])
        artifacts = [one for one in _artifacts(client, run_id) if not one.startswith(f"{FOLDER}/")]
        artifacts += [one for one in _of_stack(reader, run_id) if one not in artifacts]
        for path in artifacts:
            found["artifact", name, path].append(path)
        for used in run.inputs.dataset_inputs:
            found["input", name, used.dataset.name].append(used.dataset.digest)
        if is_sweep:
            continue
        for tag in TAGS:
            found["tag", name, tag].append(tags.get(tag, "none"))
        for metric in run.data.metrics:
            if metric not in TIMES:
                for point in client.get_metric_history(run_id, metric):
                    found["metric", name, metric, str(point.step)].append(point.value.hex())
        # a working checkpoint that is left is a difference by its name
        kept = (path for path in artifacts if path.startswith("checkpoints/"))
        for file in (path for path in kept if path.endswith(".pt")):
            with reader.file(run_id, file) as read:
                assert read is not None
                content = checkpoint.load(read)
            for kind, place, value in _leaves(content):
                found[kind, name, file, place].append(value)
    return found


def folder_of(run: Any) -> Path:
    """Where MLflow's run has its artifacts."""
    return Path(unquote(urlsplit(run.info.artifact_uri).path))


def left_over(mlruns: Path, server: str = "", experiment: str = "") -> list[str]:
    """What an ended sweep must not leave: runs that seem to train, files that wait, and leases."""
    client, runs = _open(mlruns, server, experiment)
    found = [f"{run.info.run_name} is {run.info.status}" for run in runs
             if run.info.status in ("RUNNING", "SCHEDULED")]  # fmt: skip
    names = [model.name for model in client.search_registered_models()]
    found += [name for name in names if name.startswith(PREFIX)]
    for pattern in ("**/*.partial", "checkpoints/**/*", "undelivered/**/*"):
        found += [str(path) for path in mlruns.glob(pattern) if path.name != ".lock"]
    return found


def _open(mlruns: Path, server: str, experiment: str) -> tuple[Any, list[Any]]:
    """MLflow's client of the store, and its runs."""
    from mlflow import MlflowClient

    address = server or f"sqlite:///{mlruns / 'mlflow.db'}"
    client = MlflowClient(address, registry_uri=address)  # not that which this process had before
    found = client.search_experiments()
    experiments = [one.experiment_id for one in found if experiment in ("", one.name)]
    return client, list(client.search_runs(experiments, max_results=50_000))


def _artifacts(client: Any, run_id: str, folder: str = "") -> Iterator[str]:
    for entry in client.list_artifacts(run_id, folder or None):
        if entry.is_dir:
            yield from _artifacts(client, run_id, entry.path)
        else:
            yield entry.path


def _of_stack(reader: Reader, run_id: str) -> Iterator[str]:
    """What a run has of what its stack may keep for all, wherever it is."""
    for name in NAMES:
        with reader.file(run_id, name) as path:
            if path is not None:
                yield name


def _leaves(content: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, place, bits) of every tensor and number in a checkpoint."""
    for path, value in pytree.tree_flatten_with_path(content)[0]:
        place = pytree.keystr(path)
        if isinstance(value, Tensor):
            data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            digest = hashlib.sha256(data.tobytes()).hexdigest()
            yield "tensor", place, f"{value.dtype} {list(value.shape)} {digest}"
        else:
            yield "number", place, repr(value)
