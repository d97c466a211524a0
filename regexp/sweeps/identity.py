"""What a run is: the same bits, the same fingerprint, however its configuration was written."""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from regexp.config.nodes import hints
from regexp.config.targets import find_target, import_target
from regexp.dataset.checks import Name, Names, as_names
from regexp.tracking.environment import code_version
from regexp.tracking.modules import code_of
from regexp.training.device import device_of

Node = dict[str, Any]

DECIDES = ("dataset", "model", "regularizer", "optimizer", "scheduler", "trainer", "stack")
"""The parts of a configuration that a run's bits depend on, beside its seed."""

_COMPARED = ("dataset", "model", "optimizer", "scheduler")
"""Those whose classes runs have alike that are held against each other."""


def fingerprint(config: Node, called: Mapping[str, str], dataset: str, checksum: str) -> str:
    """Hash of a resolved configuration, of its data and of the code that it calls.

    Args:
        config: of one run, as `as_declared` gives it.
        called: its `code`.
        dataset: the name of its data.
        checksum: theirs.
    """
    return fingerprint_of_seeds(config, called, dataset, checksum)(config["seed"])


def fingerprint_of_seeds(
    config: Node, called: Mapping[str, str], dataset: str, checksum: str
) -> Callable[[int], str]:
    """The `fingerprint` of a configuration with each seed; what all seeds share is written once."""
    decisive = {key: config[key] for key in DECIDES}
    decisive["dataset"] = _dataset(config["dataset"]) | {"name": dataset}
    decisive["trainer"] = config["trainer"] | {"device": device_of(config["trainer"]["device"])}
    rest = json.dumps([decisive, checksum, called], sort_keys=True).removeprefix("[")
    # dicts are sorted above, but the order of a cocktail's techniques counts
    rest += "".join(config["regularizer"])
    return lambda seed: hashlib.sha256(f"[{seed}, {rest}".encode()).hexdigest()[:32]


def basis(config: Node, checksum: str) -> str:
    """Hash of what runs of different techniques, seeds and numbers have alike.

    By it a store is asked for all runs among which those of a sweep may be: MLflow knows no search
    for one of many fingerprints.
    """
    classes = [config[key].get("_target_") for key in _COMPARED]
    text = json.dumps([classes, checksum, code_version()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code(config: Node) -> dict[str, str]:
    """The version of this package, and of each module of a user's own that a run calls.

    Raises:
        ConfigError: a target that cannot be imported.
    """
    targets = {target for key in DECIDES for target in _targets(config[key])}
    for target in targets:
        import_target("_target_", target)
    return {"regexp": code_version(), **code_of(targets)}


def shared_code(config: Node) -> str:
    """Hash of the modules of a user's own that runs call whatever their technique, as a network is.

    Empty where all is the project's, and torch's.
    """
    trainer = {key: node for key, node in config["trainer"].items() if key != "metrics"}
    parts = [trainer, *(config[key] for key in _COMPARED)]
    own = code_of({target for part in parts for target in _targets(part)})
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest() if own else ""


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for inner in node.values():
            yield from _targets(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _targets(inner)


def _dataset(node: Node) -> Node:
    """The settings of a dataset, without where its rows lie: what they are is in the checksum."""
    target = find_target("dataset", node)
    expected = hints(target)
    places = getattr(target, "PLACES", ())
    return {
        key: _names(value, expected.get(key)) for key, value in node.items() if key not in places
    }


def _names(value: Any, expected: Any) -> Any:
    """Names of columns as a list of texts, where that is what a setting takes."""
    branches = {*typing.get_args(expected)} - {type(None)}
    if value is not None and branches == {*typing.get_args(Names)}:
        return list(as_names(value))
    if value is not None and branches == {*typing.get_args(Name)}:
        return str(value)
    return value
