"""A recipe as an experiment that any command takes: `experiment=recipe`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from regexp.config.values import as_container, flat, plain
from regexp.config.yaml_text import as_yaml
from regexp.errors import ConfigError
from regexp.search.recipe import SCHEDULER, Recipe
from regexp.search.records import NONE
from regexp.search.space import Space
from regexp.sweeps.identity import Node
from regexp.tracking import pasted
from regexp.tracking.store import make_folder

NAME = "recipe"
"""Of the experiment."""

_OF = "# Of the search "
"""Begins the line of a written recipe by which a folder is known as that of a search."""

OF_THE_MACHINE = ("threads", "device")
"""Of `trainer`: not of the recipe, nor is `trainer.bars`, which is the search's."""


def as_experiment(space: Space, recipe: Recipe) -> str:
    """The YAML of a recipe: what was chosen of each group, and what it has that is not the default.

    So the command line may choose others, such as `regularizer=none` to hold it against. What the
    data are is left to the command that uses it, see `command_of`.
    """
    choices = {group: recipe.shared.get(group, space.searched.choices[group])
               for group in ("model", "optimizer", SCHEDULER)}  # fmt: skip
    config, nodes = space.configured(recipe, {}), space.nodes(recipe)
    usual = space.searched.with_choices(choices, nodes)
    techniques = plain(usual.regularizer, resolve=False)
    known = [name for name in nodes if name in techniques]
    content: Node = {
        "defaults": [{f"override /{group}": choice}
                     for group, choice in (choices | {"regularizer": known or NONE}).items()],
        "regularizer": {name: own for name, node in nodes.items()
                        if (own := _own(node, techniques.get(name, {})))},
        "trainer": _training(config, usual),
        "compare": _own(plain(config.compare), plain(usual.compare)),
    }  # fmt: skip
    for group in choices:  # with references to the length of the run
        ours, default = (plain(one[group], resolve=False) for one in (config, usual))
        content[group] = _own(ours, default)
    content = {key: part for key, part in content.items() if part}
    head = f"# @package _global_\n# Found by `regexp search`: {recipe}\n"
    return head + as_yaml(content)


def _own(node: Node, usual: Node) -> Node:
    """What a node has that is not the default."""
    return {key: value for key, value in node.items() if key not in usual or value != usual[key]}


def command_of(space: Space, *more: str) -> str:
    """The command that trains with the recipe on the data that were searched.

    Args:
        space: of the search.
        more: overrides beside the experiment.
    """
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
        *(pasted.assignment(key, value) for key, value in given.items()), *more,
        uri=config.tracking.uri, folder=config.paths.mlruns, data=config.paths.data,
    )  # fmt: skip


def _training(config: DictConfig, default: DictConfig) -> Node:
    """The nodes of `trainer` that are the recipe's."""
    ours, usual = (plain(one.trainer, resolve=False) for one in (config, default))
    searched = {key: ours[key] for key in ("epochs", "batch_size")}
    own = {key: value for key, value in _own(ours, usual).items()
           if key not in ("bars", *OF_THE_MACHINE)}  # fmt: skip
    return searched | own


def prepare_folder(folder: str, key: str) -> None:
    """Make the folder that a search writes into, before anything is trained.

    Args:
        folder: `search.folder`.
        key: of the search.

    Raises:
        ConfigError: it cannot be written, or has the recipe of another search.
    """
    path = _file(folder)
    try:
        make_folder(Path(folder))
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except OSError as error:
        raise ConfigError(
            f"it cannot be written ({error.strerror})",
            key="search.folder",
            got=folder,
            cure="give another folder",
        ) from error
    if _OF in before and f"{_OF}{key}\n" not in before:
        raise ConfigError(
            "it has the recipe of another search",
            key="search.folder",
            got=folder,
            cure="give another folder, or delete this one",
        )


def write(space: Space, text: str, key: str) -> Path:
    """Write the experiment of a search with this key into `search.folder`; its file.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _file(space.config.search.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("\ndefaults:", f"\n{_OF}{key}\ndefaults:", 1), encoding="utf-8")
    return path


def _file(folder: str) -> Path:
    return Path(folder) / "experiment" / f"{NAME}.yaml"
