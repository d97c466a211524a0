"""A recipe as an experiment that any command takes: `experiment=recipe`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from regexp.config.values import as_container, flat, plain
from regexp.config.yaml_text import as_yaml
from regexp.errors import ConfigError
from regexp.search.recipe import SCHEDULER, Recipe
from regexp.search.space import Space
from regexp.sweeps.identity import Node
from regexp.tracking import pasted
from regexp.tracking.store import make_folder

NAME = "recipe"
"""Of the experiment."""

OF_THE_MACHINE = ("threads", "device")
"""Of `trainer`: not of the recipe, nor is `trainer.bars`, which is the search's."""


def as_experiment(space: Space, recipe: Recipe) -> str:
    """The YAML of a recipe: the groups that were chosen, all numbers that it searched, and what
    else its training had that is not the default.

    What the data are is left to the command that uses it, see `command_of`.
    """
    choices = {group: recipe.shared.get(group, space.searched.choices[group])
               for group in ("model", "optimizer", SCHEDULER)}  # fmt: skip
    config = space.configured(recipe, {})
    content: Node = {
        "defaults": [{f"override /{group}": choice} for group, choice in choices.items()],
        "regularizer": space.nodes(recipe),
        "trainer": _training(config, space.searched.plain),
    }
    for group in ("model", "optimizer", SCHEDULER):  # with references to the length of the run
        content[group] = plain(config[group], resolve=False)
    head = f"# @package _global_\n# Found by `regexp search`: {recipe}\n"
    return head + as_yaml(content)


def command_of(space: Space) -> str:
    """The command that trains with the recipe on the data that were searched."""
    searched, config = space.searched, space.config
    usual = dict(flat(searched.plain.dataset, "dataset."))
    ours = {key: as_container(value)
            for key, value in flat(config.dataset, "dataset.")
            if key not in usual or value != usual[key]}  # fmt: skip
    named = any("tracking.experiment=" in one for one in searched.command)
    given = ours | {"tracking.experiment": config.tracking.experiment} if named else ours
    if own := searched.options.config_dir:  # of which a command takes one, that of the recipe
        given = {"hydra.searchpath": [str(Path(own).resolve())], **given}
    return pasted.command(
        "--config-dir", config.search.folder, f"experiment={NAME}",
        f"dataset={searched.choices['dataset']}",
        *(pasted.assignment(key, value) for key, value in given.items()),
        uri=config.tracking.uri, folder=config.paths.mlruns, data=config.paths.data,
    )  # fmt: skip


def _training(config: DictConfig, default: DictConfig) -> Node:
    """The nodes of `trainer` that are the recipe's."""
    ours, usual = (plain(one.trainer, resolve=False) for one in (config, default))
    others = [key for key in ours if key not in ("bars", *OF_THE_MACHINE)]
    searched = ("epochs", "batch_size")
    return {key: ours[key] for key in others if key in searched or ours[key] != usual[key]}


def prepare_folder(folder: str) -> None:
    """Make the folder that a search writes into, before anything is trained.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        make_folder(Path(folder))
    except OSError as error:
        raise ConfigError(
            f"it cannot be written ({error.strerror})",
            key="search.folder",
            got=folder,
            cure="give another folder",
        ) from error


def write(space: Space, recipe: Recipe) -> Path:
    """Write the experiment into `search.folder`; its file.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(space.config.search.folder) / "experiment" / f"{NAME}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_experiment(space, recipe), encoding="utf-8")
    return path
