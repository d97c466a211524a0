"""A recipe as an experiment that any command takes: `experiment=recipe`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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


class Written(NamedTuple):
    """An experiment that a command writes into a folder, and the lines by which it is known again.

    Attributes:
        name: of the experiment.
        by: begins the line of the command.
        of: begins the line of what it was written for.
    """

    name: str
    by: str
    of: str

    def path(self, folder: str | Path) -> Path:
        """Its file."""
        return Path(folder) / "experiment" / f"{self.name}.yaml"

    def text(self, folder: str | Path) -> str:
        """What the file has; empty where there is none.

        Raises:
            OSError: it cannot be read.
        """
        path = self.path(folder)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def refusal(self, text: str, key: str, anothers: str) -> str:
        """Why a file with this text is not written over for `key`; empty if it may be.

        Args:
            anothers: what the file is where it was written for another key.
        """
        if not text.strip() or f"{self.of}{key}\n" in text:
            return ""
        if self.by not in text:
            return f"it has an experiment/{self.name}.yaml by other hands"
        return f"it has {anothers}" if self.of in text else ""  # an earlier version wrote no key


RECIPE = Written("recipe", "# Found by `regexp search`: ", "# Of the search ")
SMALL_RECIPE = Written("recipe_small", "# Found by `regexp explain`: ", "# Of the sweep ")

OF_THE_MACHINE = ("threads", "device")
"""Of `trainer`: not of the recipe, nor is `trainer.bars`, which is the search's."""


def as_experiment(space: Space, recipe: Recipe) -> str:
    """The YAML of a recipe: what was chosen of each group, the numbers that were searched, and what
    else is not the default.

    So the command line may choose other techniques, such as `regularizer=none` to hold it against.
    What the data are is left to the command that uses it, see `command_of`.
    """
    choices = {group: recipe.shared.get(group, space.searched.choices[group])
               for group in ("model", "optimizer", SCHEDULER)}  # fmt: skip
    config, nodes = space.configured(recipe, {}), space.nodes(recipe)
    usual = space.searched.with_choices(choices, nodes)
    techniques = plain(usual.regularizer, resolve=False)
    if all(name in techniques for name in nodes):  # the command line may have made others itself
        choices["regularizer"] = list(nodes) or NONE
        nodes = {name: _own(node, techniques[name], recipe.techniques[name])
                 for name, node in nodes.items()}  # fmt: skip
    content: Node = {
        "defaults": [{f"override /{group}": choice} for group, choice in choices.items()],
        "regularizer": {name: own for name, own in nodes.items() if own},
        "trainer": _training(config, usual),
        "compare": _own(plain(config.compare), plain(usual.compare)),
    }
    for group in ("model", "optimizer", SCHEDULER):  # with references to the length of the run
        ours = plain(config[group], resolve=False)
        default = plain(usual[group], resolve=False) if usual.get(group) else {}
        searched = [key.partition(".")[2] for key in recipe.shared if key.startswith(f"{group}.")]
        content[group] = _own(ours, default, searched)
    content = {key: part for key, part in content.items() if part}
    head = f"# @package _global_\n{RECIPE.by}{recipe}\n"
    return head + as_yaml(content)


def are_choices(space: Space, recipe: Recipe) -> bool:
    """Whether all techniques of a recipe are choices of their group."""
    known = space.searched.with_choices({}, recipe.techniques).regularizer
    return all(name in known for name in recipe.techniques)


def _own(node: Node, usual: Node, searched: Iterable[str] = ()) -> Node:
    """What a node has that was searched, by dotted keys, or is not the default."""
    kept = {key.partition(".")[0] for key in searched}
    return {key: value for key, value in node.items()
            if key in kept or key not in usual or value != usual[key]}  # fmt: skip


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
    if searched.folders:
        given = {"hydra.searchpath": searched.folders, **given}
    return pasted.command(
        "--config-dir", config.search.folder, f"experiment={RECIPE.name}",
        f"dataset={searched.choices['dataset']}",
        *(pasted.assignment(key, value) for key, value in given.items()), *more,
        uri=config.tracking.uri, folder=config.paths.mlruns, data=config.paths.data,
    )  # fmt: skip


def _training(config: DictConfig, default: DictConfig) -> Node:
    """The nodes of `trainer` that are the recipe's."""
    ours, usual = (plain(one.trainer, resolve=False) for one in (config, default))
    own = _own(ours, usual, ("epochs", "batch_size"))
    return {key: value for key, value in own.items() if key not in ("bars", *OF_THE_MACHINE)}


def prepare_folder(folder: str, key: str) -> None:
    """Make the folder that a search writes into.

    Args:
        folder: `search.folder`.
        key: of the search.

    Raises:
        ConfigError: it cannot be written, or has the recipe of another search or of a person.
    """
    try:
        make_folder(Path(folder))
    except OSError as error:
        raise _unusable(folder, error) from error
    check_folder(folder, key)


def check_folder(folder: str, key: str) -> None:
    """Raise ConfigError where a search would write over what is not its; see `prepare_folder`."""
    try:
        before = RECIPE.text(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    others = "the recipe of another search, or of other code"
    if problem := RECIPE.refusal(before, key, others):
        cure = "give another folder, or delete this one"
        raise ConfigError(problem, key="search.folder", got=folder, cure=cure)


def _unusable(folder: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"it cannot be written ({error.strerror})",
        key="search.folder",
        got=folder,
        cure="give another folder",
    )


def write(space: Space, text: str, key: str) -> Path:
    """Write the experiment of a search with this key into `search.folder`; its file.

    The smaller cocktail of another recipe, which the search had before it went on, goes.

    Raises:
        ConfigError: see `prepare_folder`; another search may have ended meanwhile.
        OSError: the folder cannot be written.
    """
    folder = space.config.search.folder
    prepare_folder(folder, key)
    path = RECIPE.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = text.replace("\ndefaults:", f"\n{RECIPE.of}{key}\ndefaults:", 1)
    if RECIPE.text(folder) not in ("", text) and SMALL_RECIPE.by in SMALL_RECIPE.text(folder):
        SMALL_RECIPE.path(folder).unlink()
    path.write_text(text, encoding="utf-8")
    return path
