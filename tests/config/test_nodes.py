"""Nodes that are built without Hydra are built as Hydra builds them."""

from __future__ import annotations

import inspect
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from regexp.config.nodes import build_node, check_node, hints
from regexp.config.schema import conf_folder
from regexp.config.targets import find_target
from regexp.errors import ConfigError

GROUPS = ("regularizer", "optimizer", "scheduler")
FILES = [path for group in GROUPS for path in sorted((conf_folder() / group).glob("*.yaml"))]


def test_all_groups_have_files() -> None:
    assert {path.parent.name for path in FILES} == set(GROUPS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_is_what_hydra_builds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # ranges, units of time and references to other keys are no arguments of the class
    node = {
        key: value
        for key, value in _written(path).items()
        if key not in ("search", "interval", "defaults") and "$" not in str(value)
    }
    if "_target_" not in node:
        pytest.skip("it names no class")
    expected = instantiate(node)
    nested = any(isinstance(value, dict | list) for value in node.values())
    if node["_target_"].startswith(("regexp.", "torch.optim.")) and not nested:
        monkeypatch.setattr("hydra.utils.instantiate", _refuse)
    assert _content(build_node("it", node)) == _content(expected)


@pytest.mark.parametrize(
    "path", sorted((conf_folder() / "dataset").glob("*.yaml")) + FILES,
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)  # fmt: skip
def test_every_class_tells_the_types_of_its_arguments(path: Path) -> None:
    """Of each that its file gives: what has none is not checked."""
    node = _written(path)
    if not str(node.get("_target_")).startswith("regexp."):
        pytest.skip("it names no class of ours")
    arguments = inspect.signature(find_target("it", node)).parameters
    expected = {name for name in node if name in arguments}
    assert expected <= hints(find_target("it", node)).keys()


def test_a_number_where_a_name_is_expected_is_told_how_it_is_written() -> None:
    node = _written(conf_folder() / "dataset/image_folder.yaml") | {"path": 2024}
    quoted = re.escape("""; if it is a name, write it in quotes: 'dataset.path="2024"'""")
    with pytest.raises(ConfigError, match=rf"^dataset\.path=2024: expected text.*{quoted}$"):
        check_node("dataset", node)
    with pytest.raises(ConfigError, match=r"^dataset\.group={'c': 1}: expected"):
        check_node("dataset", _written(conf_folder() / "dataset/iris.yaml") | {"group": {"c": 1}})


def test_lists_that_are_no_nodes_need_no_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    node = _written(conf_folder() / "optimizer/adam.yaml")
    expected = instantiate(node)
    monkeypatch.setattr("hydra.utils.instantiate", _refuse)
    assert _content(build_node("optimizer", node)) == _content(expected)


def _written(path: Path) -> dict[str, Any]:
    node = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("Hydra was asked")


def _content(built: Any) -> Any:
    if isinstance(built, partial):
        return built.func, built.args, {k: (type(v), v) for k, v in built.keywords.items()}
    return type(built), {key: (type(value), value) for key, value in vars(built).items()}


@pytest.mark.parametrize(
    "more",
    [
        {"betas": [0.9, 0.99]},  # a list of Hydra's own
        {"foreach": {"_target_": "builtins.bool"}},
        {"_args_": [[torch.nn.Parameter(torch.zeros(1))]], "_partial_": False},
    ],
)
def test_what_is_nested_is_hydras(more: dict[str, Any]) -> None:
    node = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1} | more
    assert _content(build_node("optimizer", node)) == _content(instantiate(node))


def test_what_the_program_gives_goes_before_what_is_written() -> None:
    node = {"_target_": "regexp.regularizer.dropout.Dropout", "hidden": 0.1, "inputs": 0.0}
    built = build_node("regularizer.dropout", node, hidden=0.5)
    assert _content(built) == _content(instantiate(node, hidden=0.5))


def test_what_hydra_refuses_is_reached_through_no_module_of_ours() -> None:
    node = {"_target_": "regexp.tracking.environment.os.remove", "path": "nowhere"}
    with pytest.raises(ConfigError, match=r"os\.remove.* is blocklisted"):
        build_node("model", node)


def test_what_a_class_refuses_names_the_key() -> None:
    node = {"_target_": "regexp.regularizer.dropout.Dropout", "hidden": 2.0, "inputs": 0.0}
    with pytest.raises(ConfigError, match=r"^regularizer\.dropout\.hidden: expected a number"):
        build_node("regularizer.dropout", node)


def test_what_the_run_gives_is_no_number_of_the_configuration() -> None:
    """A network's outputs are those of the data, whatever its file says."""
    node, given = {"_target_": "torch.nn.Linear", "in_features": 3}, ("out_features",)
    with pytest.raises(ConfigError, match=r"^model\.out_features=10: the run gives it; leave it"):
        check_node("model", node | {"out_features": 10}, given=given)
