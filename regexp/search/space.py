"""The space of a search: a switch and numbers for each technique, and what every recipe has.

Techniques with a neutral setting are switches of one recipe among others of its stack. What has
none is structure, which a whole batch of recipes has alike: at most one technique of each kind, as
in "one normalization or none".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from regexp.config.search_space import Dimension
from regexp.config.searched import Searched
from regexp.config.values import as_container, copied, flat
from regexp.errors import ConfigError
from regexp.random import Rng
from regexp.search.recipe import SCHEDULER, Recipe, with_numbers
from regexp.sweeps.identity import Node
from regexp.sweeps.plan import plan

STRUCTURES = ("normalization", "layer", "averaging")
"""Kinds of which a batch may have one technique without a neutral setting."""

Draw = dict[str, Any]
"""Key of a parameter -> value, of one recipe; parameters that do not apply are not in it."""


@dataclass(frozen=True)
class Parameter:
    """One thing that is drawn.

    Attributes:
        dimension: its range; of a switch, the choices are false and true.
        when: (key, value) of another parameter that it depends on; None for one that always is.
        structural: whether all recipes of a batch have it alike.
        switches: of a switch, the techniques that it may turn on.
    """

    dimension: Dimension
    when: tuple[str, Any] | None = None
    structural: bool = False
    switches: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Dotted, as of its dimension."""
        return self.dimension.key


@dataclass(frozen=True)
class Technique:
    """A technique that takes part.

    Attributes:
        name: its own.
        kind: one of `KINDS`.
        node: plain, without `search`.
        dimensions: the ranges of its numbers, by keys of the configuration.
        neutral: the numbers at which it changes nothing; None where it is structure.
    """

    name: str
    kind: str
    node: Node
    dimensions: tuple[Dimension, ...]
    neutral: Mapping[str, float] | None

    def default(self) -> Node:
        """The numbers of its YAML, of those that are searched, by dotted key within it."""
        return {self.own(one.key): self.leaves[self.own(one.key)] for one in self.dimensions}

    @cached_property
    def leaves(self) -> Node:
        """All that its YAML says, by dotted key within it."""
        return dict(flat(OmegaConf.create(self.node)))

    def own(self, key: str) -> str:
        """A key of the configuration as one within the technique."""
        return key.removeprefix(f"regularizer.{self.name}.")


@dataclass(frozen=True)
class Space:
    """What a search looks through.

    Attributes:
        searched: what it starts from.
        shared: what every recipe has, `none` too.
        techniques: those that take part, in the order that every cocktail has them in.
        left_out: why others do not, by name.
        known: sets of techniques -> whether they go together, which a search asks again and again.
    """

    searched: Searched
    shared: tuple[Dimension, ...]
    techniques: Mapping[str, Technique]
    left_out: Mapping[str, str] = field(default_factory=dict)
    known: dict[frozenset[str], bool] = field(default_factory=dict, repr=False, compare=False)

    @property
    def config(self) -> DictConfig:
        """Of a run without a technique, not resolved."""
        return self.searched.config

    @property
    def switches(self) -> list[str]:
        """The techniques that recipes of one batch may have or not."""
        return [name for name, one in self.techniques.items() if one.neutral is not None]

    @property
    def structures(self) -> list[str]:
        """The kinds of which a batch has one technique or none, also where it was named."""
        named = {one.kind for one in self.techniques.values() if one.neutral is None}
        return [*STRUCTURES, *sorted(named - {*STRUCTURES})]

    @property
    def default(self) -> Recipe:
        """The configuration's own numbers, and no technique."""
        chosen = {group: next(iter(nodes)) for group, nodes in self.searched.nodes.items()}
        present = dict(flat(self.config)) | chosen
        return Recipe({one.key: as_container(present[one.key]) for one in self.shared}, {})

    def without_techniques(self) -> Space:
        """The space of `none`."""
        return replace(self, techniques={})

    def parameters(self, names: Collection[str]) -> list[Parameter]:
        """What is drawn for a batch whose recipes have some of these techniques.

        Args:
            names: of switches.
        """
        found = [Parameter(one, structural=is_structural(one)) for one in self.shared]
        for kind in self.structures:
            there = [one for one in self.techniques.values()
                     if one.neutral is None and one.kind == kind]  # fmt: skip
            if not there:
                continue
            which = f"structure.{kind}"
            switch = Dimension(which, which, "", (False, True))
            names_of_kind = tuple(one.name for one in there)
            choice = Dimension(f"{which}.name", which, "", names_of_kind)
            found.append(Parameter(switch, None, True, names_of_kind))
            found.append(Parameter(choice, (switch.key, True), structural=True))
            for one in there:
                found += [Parameter(d, (choice.key, one.name), True) for d in one.dimensions]
        for name in names:
            switch = Dimension(f"regularizer.{name}", name, "", (False, True))
            found.append(Parameter(switch, switches=(name,)))
            found += [
                Parameter(d, (switch.key, True), is_structural(d))
                for d in self.techniques[name].dimensions
            ]
        return found

    def recipe(self, draw: Draw) -> Recipe:
        """The recipe of a draw."""
        on = {draw[f"structure.{kind}.name"] for kind in self.structures
              if draw.get(f"structure.{kind}")}  # fmt: skip
        techniques = {
            name: one.default()
            | {one.own(d.key): draw[d.key] for d in one.dimensions if d.key in draw}
            for name, one in self.techniques.items()
            if name in on or draw.get(f"regularizer.{name}")
        }
        return Recipe({one.key: draw[one.key] for one in self.shared}, techniques)

    def draw(self, recipe: Recipe, names: Collection[str]) -> Draw:
        """The draw of a recipe whose techniques are among some switches."""
        draw: Draw = dict(recipe.shared)
        for parameter in self.parameters(names):
            if parameter.switches:
                on = [name for name in parameter.switches if name in recipe.techniques]
                draw[parameter.key] = bool(on)
                if on and parameter.structural:
                    draw[f"{parameter.key}.name"] = on[0]
        for name, numbers in recipe.techniques.items():
            draw |= {f"regularizer.{name}.{key}": value for key, value in numbers.items()}
        return draw

    def limited(self, draw: Draw, seed: int, number: int) -> Draw:
        """A draw with `search.most` techniques at most; which of them it keeps is drawn.

        Structure is kept first, and alike in a batch.

        Args:
            draw: of a recipe.
            seed: of its batch.
            number: of the draw within it.
        """
        kinds = [f"structure.{kind}" for kind in self.structures if draw.get(f"structure.{kind}")]
        names = [name for name in self.switches if draw.get(f"regularizer.{name}")]
        on = [kinds[at] for at in Rng(seed, "most").permutation(len(kinds)).tolist()]
        on += [f"regularizer.{names[at]}"
               for at in Rng(seed, "most", number).permutation(len(names)).tolist()]  # fmt: skip
        return self._switched_off(draw, on[self.config.search.most :])

    def without(self, draw: Draw, names: Collection[str]) -> Draw:
        """A draw without some techniques."""
        kinds = (f"structure.{kind}" for kind in self.structures)
        off = [kind for kind in kinds if draw.get(kind) and draw[f"{kind}.name"] in names]
        return self._switched_off(draw, [*off, *(f"regularizer.{name}" for name in names)])

    def _switched_off(self, draw: Draw, switches: Collection[str]) -> Draw:
        """A draw with some of its switches off, without what hangs on them."""
        off = [key for key in switches if key in draw]
        belongs = [*off, *(f"regularizer.{draw[f'{one}.name']}" for one in off
                           if one.startswith("structure."))]  # fmt: skip
        left = {key: value for key, value in draw.items()
                if not key.startswith(tuple(f"{one}." for one in belongs))}  # fmt: skip
        return left | dict.fromkeys(off, False)

    def nodes(self, recipe: Recipe) -> dict[str, Node]:
        """The recipe's techniques as a configuration has them, by name."""
        return {
            name: with_numbers(self.techniques[name].node, numbers)
            for name, numbers in recipe.techniques.items()
        }

    def configured(self, recipe: Recipe, nodes: Mapping[str, Node]) -> DictConfig:
        """The configuration of a recipe.

        Args:
            recipe: says all but the techniques.
            nodes: of the techniques, by name.
        """
        return configured(self.searched, recipe.shared, nodes)


def configured(
    searched: Searched, shared: Mapping[str, Any], nodes: Mapping[str, Node]
) -> DictConfig:
    """A configuration with other numbers, and with techniques."""
    config = copied(searched.config)
    with read_write(config), open_dict(config):
        config.regularizer = dict(nodes)
        for group, known in searched.nodes.items():
            if group in shared:
                config[group] = known[shared[group]]
        for key, value in shared.items():
            if key not in searched.nodes:
                OmegaConf.update(config, key, value)
    return config


def neutralized(node: Node, neutral: Mapping[str, Any]) -> Node:
    """A technique's node at its neutral numbers; what is null stays so, for it is structure."""
    return node | {key: value for key, value in neutral.items() if node.get(key, value) is not None}


def together(space: Space, names: Collection[str]) -> bool:
    """Whether some techniques go together, and apply together."""
    asked = frozenset(names)
    if asked not in space.known:
        ordered = [name for name in space.techniques if name in asked]
        try:
            plan(configured(space.searched, {}, {n: space.techniques[n].node for n in ordered}))
        except ConfigError:
            space.known[asked] = False
        else:
            space.known[asked] = True
    return space.known[asked]


def is_structural(one: Dimension) -> bool:
    """Whether runs of one stack must have a number alike: it is no float, or sizes the run."""
    if one.key.partition(".")[0] in ("model", "trainer", SCHEDULER) or one.integer:
        return True
    return any(not isinstance(value, float) for value in one.choices)
