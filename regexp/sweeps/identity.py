"""What a run is: the same bits, the same fingerprint, however its configuration was written."""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from regexp.config.nodes import hints
from regexp.config.targets import find_target, import_target, named_by
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
    # dicts are sorted above, but the order of a cocktail's techniques counts, and to a user's own
    # code any may: a network may be built layer by layer from one
    rest += "".join(config["regularizer"])
    if orders := [*_orders(decisive)]:
        rest += json.dumps(orders)
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
    for key in DECIDES:
        for node in _nodes(config[key]):
            import_target("_target_", node["_target_"])
    targets = {target for key in DECIDES for target in _targets(config[key])}
    return {"regexp": code_version(), **code_of(targets)}


def shared_code(config: Node) -> str:
    """Hash of the modules of a user's own that runs call whatever their technique, as a network is.

    Empty where all is the project's, and torch's.
    """
    trainer = {key: node for key, node in config["trainer"].items() if key != "metrics"}
    own = own_code(trainer, *(config[key] for key in _COMPARED))
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest() if own else ""


_PROJECTS = ("regexp.", "torch.")


def _orders(node: Any, *, own: bool = False) -> Iterator[list[str]]:
    """The keys of each mapping that a user's own code is given, where they are not sorted."""
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if isinstance(target, str):  # its arguments are named
            own = not target.startswith(_PROJECTS)
        elif own and (keys := [*map(str, node)]) != sorted(keys):
            yield keys
        for key in sorted(node, key=str):
            yield from _orders(node[key], own=own)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _orders(inner, own=own)


def own_code(*parts: Node) -> dict[str, str]:
    """The version of each module of a user's own that parts of a configuration call."""
    return code_of({target for part in parts for target in _targets(part)})


def _targets(part: Any) -> Iterator[str]:
    return (str(target) for node in _nodes(part) for target in named_by(node))


def _nodes(part: Any) -> Iterator[Mapping[str, Any]]:
    """The mappings that say what is called."""
    if isinstance(part, Mapping):
        if isinstance(part.get("_target_"), str):
            yield part
        for inner in part.values():
            yield from _nodes(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _nodes(inner)


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
