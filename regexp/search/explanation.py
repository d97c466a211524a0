"""What `regexp explain` explains, and the runs that it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, open_dict, read_write

from regexp.compare.baseline import TECHNIQUE, label
from regexp.compare.question import Question
from regexp.config.values import copied, plain
from regexp.config.yaml_text import LOADER, as_yaml
from regexp.errors import ConfigError, count
from regexp.search.cocktail_runs import Cocktail, check_alone, names_of, planned
from regexp.search.explained import WITHOUT
from regexp.search.recipe import SCHEDULER
from regexp.search.smaller import Subset, most_cocktails
from regexp.search.written import RECIPE, SMALL_RECIPE
from regexp.sweeps.identity import Node
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.question import check_metric

WHOLE, SMALLER = "whole", "smaller"
"""The variants of the cocktail's own runs, and of those of the smallest that is not worse."""


@dataclass(frozen=True)
class Explanation:
    """What is explained, and how.

    Attributes:
        config: of the command: store, data and pictures.
        sweep_id: of the sweep.
        title: its name.
        cocktail: its runs.
        question: what the sweep was asked.
        recipe: the content of the search's experiment; empty where there is none.
        folder: gets `experiment/recipe_small.yaml`.
        experiment: that the sweep's command named, which says what its runs have alike; or empty.
        data: the overrides of the data of a search's recipe.
    """

    config: DictConfig
    sweep_id: str
    title: str
    cocktail: Cocktail
    question: Question
    recipe: Node
    folder: Path
    experiment: str = ""
    data: tuple[str, ...] = ()

    @cached_property
    def here(self) -> dict[str, Any]:
        """What of a configuration is the command's."""
        config = self.config
        return {"paths": plain(config.paths), "tracking": plain(config.tracking),
                "debug": config.debug}  # fmt: skip

    @cached_property
    def whole(self) -> list[PlannedRun]:
        """The cocktail's own runs."""
        return planned(self.cocktail.configs, self.here, WHOLE)

    @cached_property
    def declared(self) -> Cocktail:
        """The cocktail, its configurations as this version types them."""
        return replace(self.cocktail, configs=[run.config for run in self.whole])

    @cached_property
    def looks_for_smaller(self) -> bool:
        """Whether the validation split has the metric, by which a smaller cocktail is chosen."""
        metric = self.question.metric
        try:
            if metric is not None:
                check_metric(metric, [self.whole], searched=True)
        except ConfigError:
            return False
        return True

    def runs(self, kept: Subset, variant: str, stage: str = "") -> list[PlannedRun]:
        """The runs of some ingredients at the seeds of the whole.

        Raises:
            ConfigError: they are no cocktail by themselves.
        """
        configs = self.declared.subset(kept)
        check_alone(self.declared.configs[0], configs[0])
        return planned(configs, self.here, variant, stage)

    def asked(self) -> DictConfig:
        """The configuration of the sweeps, for a comparison with the whole."""
        config = copied(self.config)
        with read_write(config), open_dict(config):
            for key in ("epochs", "threads", "device"):
                config.trainer[key] = self.whole[0].config["trainer"][key]
            config.compare.metric = self.question.metric
            config.compare.matters = self.question.matters
            config.compare.factor = TECHNIQUE
            config.compare.baseline = label(names_of(self.cocktail.ingredients), WHOLE)
            config.seeds = self.cocktail.seeds
        return config


def leave_one_out(
    explanation: Explanation,
) -> tuple[dict[str, list[PlannedRun]], dict[str, str]]:
    """(ingredient -> the runs without it, ingredient -> why there are none)."""
    names = explanation.declared.ingredients  # what is wrong with the whole is no reason of one
    apart: dict[str, list[PlannedRun]] = {}
    reasons: dict[str, str] = {}
    for out in names:
        try:
            kept = tuple(name for name in names if name != out)
            apart[out] = explanation.runs(kept, f"{WITHOUT}{out}")
        except ConfigError as error:
            reasons[out] = str(error)
    return apart, reasons


def lines_of(explanation: Explanation, reasons: dict[str, str]) -> list[str]:
    """What is to be trained, in a few lines."""
    cocktail = explanation.cocktail
    names, seeds = cocktail.ingredients, len(cocktail.seeds)
    apart = len(names) - len(reasons)
    smaller = (
        f"then at most {(most_cocktails(len(names)) - apart) * seeds} of smaller cocktails, and "
        f"{2 * seeds} with fresh seeds"
        if explanation.looks_for_smaller
        else f"no smaller cocktail is looked for, as the validation split, which would choose it, "
        f"has no {explanation.question.metric}"
    )
    return [
        f"{'+'.join(names)} of {explanation.title}: {count(seeds, 'run')}.",
        f"Without each of {count(apart, 'ingredient')}: {apart * seeds} runs at the same seeds; "
        f"{smaller}. What exists is not trained again.",
        *(f"{name} cannot be left out: {reason}" for name, reason in reasons.items()),
        "",
    ]


def as_experiment(recipe: Node, cocktail: Cocktail, kept: Subset, experiment: str = "") -> str:
    """The YAML of a recipe with some of its ingredients; of them alone where there is no recipe.

    Args:
        recipe: the content of the search's experiment; may be empty.
        cocktail: the whole.
        kept: the ingredients.
        experiment: another that is a part of this one, as a command takes one alone; or empty.
    """
    nodes = (recipe or cocktail.configs[0]).get("regularizer", {})
    own = {name: nodes[name] for name in kept if name in nodes}
    content = recipe | {"regularizer": own}
    if chosen := [one[_CHOICE] for one in recipe.get("defaults", []) if _CHOICE in one]:
        listed = chosen[0] if isinstance(chosen[0], list) else [chosen[0]]
        left = [name for name in kept if name in listed] or "none"
        others = [one for one in recipe["defaults"] if _CHOICE not in one]
        content["defaults"] = [*others, {_CHOICE: left}]
    if experiment:
        content["defaults"] = [experiment, "_self_", {_CHOICE: "none"}]
    if SCHEDULER in cocktail.ingredients and SCHEDULER not in kept:
        defaults = [one for one in content.get("defaults", []) if _SCHEDULE not in one]
        content |= {"defaults": [*defaults, {_SCHEDULE: "constant"}]}
        content.pop(SCHEDULER, None)
    head = f"# @package _global_\n{SMALL_RECIPE.by}{' + '.join(kept) or 'none'}\n"
    return head + as_yaml(content)


_SCHEDULE, _CHOICE = f"override /{SCHEDULER}", "override /regularizer"
"""The defaults that choose a schedule, and techniques."""


def check_folder(explanation: Explanation) -> None:
    """Check that the experiment can be written without a loss, and beside no other's recipe.

    Raises:
        ConfigError: it cannot.
        OSError: the folder cannot be read.
    """
    folder = explanation.folder
    others = "the smaller recipe of another sweep"
    problem = SMALL_RECIPE.refusal(SMALL_RECIPE.text(folder), explanation.sweep_id, others)
    whole = RECIPE.text(folder)
    if RECIPE.by in whole and not _says(whole, explanation.recipe):
        problem = "it has the recipe of a search that is not explained here"
    if problem:
        cure = "give another by --folder, or delete what is there"
        raise ConfigError(problem, key=f"--folder {folder}", cure=cure)


def _says(text: str, recipe: Node) -> bool:
    """Whether an experiment's text has this content."""
    try:
        return bool(yaml.load(text, Loader=LOADER) == recipe)
    except yaml.YAMLError:
        return False


def write(explanation: Explanation, kept: Subset) -> Path:
    """Write the experiment; its file.

    Raises:
        ConfigError: see `check_folder`; another command may have ended meanwhile.
        OSError: the folder cannot be written.
    """
    check_folder(explanation)
    path = SMALL_RECIPE.path(explanation.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = as_experiment(explanation.recipe, explanation.cocktail, kept, explanation.experiment)
    head, _, rest = text.partition("\n")
    whose = f"{SMALL_RECIPE.of}{explanation.sweep_id}"
    path.write_text(f"{head}\n{whose}\n{rest}", encoding="utf-8")
    return path
