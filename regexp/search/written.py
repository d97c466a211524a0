"""A recipe as an experiment that any command takes: `experiment=recipe`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from regexp.config.yaml_text import as_yaml
from regexp.search.recipe import SCHEDULER, Recipe
from regexp.search.space import Space
from regexp.sweeps.identity import Node

NAME = "recipe"
"""Of the experiment."""


def as_experiment(space: Space, recipe: Recipe) -> str:
    """The YAML of a recipe: the groups that were chosen, and all numbers that it searched.

    What the data are is left to the command that uses it.
    """
    choices = {group: recipe.shared.get(group, space.searched.choices[group])
               for group in ("model", "optimizer", SCHEDULER)}  # fmt: skip
    config = space.configured(recipe, {})
    content: Node = {
        "defaults": [{f"override /{group}": choice} for group, choice in choices.items()],
        "regularizer": space.nodes(recipe),
        "trainer": {key: config.trainer[key] for key in ("epochs", "batch_size")},
    }
    for group in ("model", "optimizer"):
        content[group] = OmegaConf.to_container(config[group])
    content[SCHEDULER] = _numbers(config.scheduler)
    head = f"# @package _global_\n# Found by `regexp search`: {recipe}\n"
    return head + as_yaml(content)


def _numbers(node: DictConfig) -> Node:
    """A node as it is written, with its references to the length of the run."""
    container = OmegaConf.to_container(node)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def write(space: Space, recipe: Recipe) -> Path:
    """Write the experiment into `search.folder`; its file.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(space.config.search.folder) / "experiment" / f"{NAME}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_experiment(space, recipe), encoding="utf-8")
    return path
