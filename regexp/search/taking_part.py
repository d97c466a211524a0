"""Which techniques take part in a search: those that apply to its data and network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from regexp.config.nodes import check_node, without_search
from regexp.config.search_space import Dimension
from regexp.config.search_space import space as dimensions_of
from regexp.config.searched import Searched
from regexp.config.strays import override_key
from regexp.config.targets import find_target
from regexp.config.validation import check_range, with_lengths
from regexp.config.values import copied, flat, plain
from regexp.errors import ConfigError, NotApplicable, nearest
from regexp.metrics.names import VALIDATION, chosen_by
from regexp.regularizer.base import KINDS
from regexp.search.portfolio import check_portfolio
from regexp.search.recipe import MODEL
from regexp.search.space import STRUCTURES, Space, Technique, configured, neutralized
from regexp.search.unseen import with_unseen
from regexp.sweeps.identity import Node
from regexp.sweeps.ingredients import build_regularizer, training_rows
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.question import check_metric, no_metric_of_validation

OF_ALL_MODELS = ("hidden",)
"""Of `search.space.model` in `conf/config.yaml`: left out where a model has no such number."""

APART = ("normalization", "ensemble", "calibration", "stopping", "schedule", "control")
"""Kinds of which no technique is a switch, if none are named: they are structure, end a run, change
its epochs or its prediction, or stand in for another technique."""


def read_space(searched: Searched) -> Space:
    """The space of a search: what applies to its data and network.

    Raises:
        ConfigError: a range that cannot be read; a technique that was asked for and does not apply;
            a metric that no run on these data has of its validation rows; an entry of
            `search.portfolio`.
    """
    searched = with_unseen(searched)  # what is wrong without a technique is told first
    base = plan(copied(searched.config))[0]
    searched = _with_metric(searched, base)
    if (metric := searched.config.compare.metric) is not None:
        check_metric(metric, [[base]], searched=True)
        if not chosen_by(metric).startswith(VALIDATION):
            raise no_metric_of_validation(metric)
    shared, _ = dimensions_of(_known(searched.config), "search.space")
    shared = [one for wide in shared for one in _possible(wide, base)]
    for one in shared:
        check_range(with_lengths(searched.config), one)
    for group in searched.nodes:
        _check_others(searched, group, shared)
    for group, nodes in searched.nodes.items():
        if len(nodes) > 1:
            shared.append(Dimension(group, f"search.{group}s", "", tuple(nodes)))
    asked = searched.config.search.techniques is not None
    found: dict[str, Technique] = {}
    left_out: dict[str, str] = {}
    alone = without_shared_ranges(searched.config)
    for name, node in searched.techniques.items():
        try:
            technique = technique_of(alone, name, node)
            if not asked and (reason := _reason(technique)):
                left_out[name] = reason
                continue
            configs = [configured(searched, {MODEL: model}, {name: technique.node})
                       for model in searched.nodes[MODEL]]  # fmt: skip
            ranged = with_lengths(configs[0])
            for dimension in technique.dimensions:
                check_range(ranged, dimension)
            for config in configs:
                plan(config)
            found[name] = technique
        except ConfigError as error:
            if asked or not isinstance(error, NotApplicable):
                if error.key == "regularizer":
                    error.key = f"regularizer.{name}"
                raise
            left_out[name] = error.problem
    order = list(found) if asked else sorted(found, key=lambda name: _place(found[name]))
    space = Space(searched, tuple(shared), {name: found[name] for name in order}, left_out)
    check_portfolio(space)  # a mistake in it is told before anything is trained
    return space


def _with_metric(searched: Searched, base: PlannedRun) -> Searched:
    """A search without the metric of an experiment where runs on its data have none such.

    As of classes, where the experiment is for tables of all kinds. One that is typed is checked.
    """
    metric = searched.config.compare.metric
    if metric is None or "compare.metric" in map(override_key, searched.command):
        return searched
    try:
        check_metric(metric, [[base]])
    except ConfigError:
        config = copied(searched.config)
        with read_write(config):
            config.compare.metric = None
        return replace(searched, config=config)
    return searched


def _known(config: DictConfig) -> DictConfig:
    """A configuration whose `search.space` has only those numbers of the model that there are.

    Left out are those that `conf/config.yaml` has for all models. A list of no layers is none: a
    logistic regression stays one.

    Raises:
        ConfigError: there is no such number, in the model or in the default.
    """
    config = copied(config)
    there = [key for key, value in flat(config) if value != []]
    with read_write(config), open_dict(config):
        for key in [*(config.search.space.get("model") or {})]:
            if not any(f"{one}.".startswith(f"model.{key}.") for one in there):
                if key not in OF_ALL_MODELS:
                    numbers = [key for key, _ in flat(config) if key.startswith("model.")]
                    raise ConfigError(
                        f"the model has no {key} to search" + nearest(f"model.{key}", numbers),
                        key=f"search.space.model.{key}",
                    )
                del config.search.space.model[key]
    return config


def _check_others(searched: Searched, group: str, shared: Sequence[Dimension]) -> None:
    """Check that each other choice of a group goes with the data and what else is chosen, and has
    the numbers of the group that are searched.

    Raises:
        ConfigError: one does not.
    """
    ours = [one for one in shared if one.key.startswith(f"{group}.")]
    for name, node in list(searched.nodes[group].items())[1:]:
        for one in ours:
            own = one.key.partition(".")[2]
            if OmegaConf.select(node, own) in (None, []):
                raise ConfigError(
                    f"{name} has no {own}, which {one.source} searches; leave the {group} out, or "
                    f"the range by {one.source}=null", key=f"search.{group}s",
                )  # fmt: skip
        config = configured(searched, {group: name}, {})
        ranged = with_lengths(config)
        for one in ours:
            check_range(ranged, one)
        plan(config)


def _possible(one: Dimension, run: PlannedRun) -> list[Dimension]:
    """A range without batches larger than the training split; none if nothing is left to choose."""
    if one.key != "trainer.batch_size":
        return [one]
    rows = training_rows(run.config["dataset"], run.config["paths"]["data"], run.seed)
    if not one.choices:
        return [replace(one, high=min(one.high, rows))] if one.low < rows else []
    choices = tuple(size for size in one.choices if size <= rows)
    return [replace(one, choices=choices)] if len(choices) > 1 else []


def without_shared_ranges(config: DictConfig) -> DictConfig:
    """A copy in which techniques may be put, one after another; copies take long."""
    config = with_lengths(config)
    with read_write(config), open_dict(config):
        config.search.space = {}
    return config


def technique_of(config: DictConfig, name: str, node: DictConfig) -> Technique:
    """A technique as its node says.

    Args:
        config: of the search, with its lengths filled in; gets the technique.
        name: its own.
        node: with its ranges.
    """
    key = f"regularizer.{name}"
    with read_write(config), open_dict(config):
        config.regularizer = {name: node}
    _, dimensions = dimensions_of(config, "search.space")
    bare = without_search({name: plain(config.regularizer[name], resolve=False)})[name]
    check_node(key, bare)
    kind = find_target(key, bare)
    return Technique(name, kind.kind, bare, tuple(dimensions), _neutral(name, bare, kind.neutral))


def _neutral(name: str, node: Node, neutral: Mapping[str, Any] | None) -> dict[str, float] | None:
    """The neutral numbers of a technique that can be absent from some runs of a stack."""
    if neutral is None:
        return None
    absent = neutralized(node, neutral)
    try:
        present, without = (build_regularizer({name: one}).structure() for one in (node, absent))
    except ConfigError:
        return None
    return dict(neutral) if present == without else None


def _reason(one: Technique) -> str:
    """Why a technique takes no part where none are named; empty if it does."""
    if one.neutral is None:
        if one.kind not in STRUCTURES:
            return "has no neutral setting within a stack"
    elif one.kind in APART:
        return f"is of the kind {one.kind}"
    elif not one.dimensions:
        return "has no range to search"
    return ""


def _place(one: Technique) -> tuple[bool, int, str]:
    """What cocktails are sorted by: what changes gradients comes after what makes others."""
    return one.kind == "gradient", KINDS.index(one.kind), one.name
