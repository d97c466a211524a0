"""What there is to say of each technique: read from its class, its YAML, its test, and measured.

`regexp/search/costs.csv` is written by `python -m benchmarks.costs`. What a technique applies to is
found out by adding it to every model of `conf/model`.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from regexp.config.targets import import_target
from regexp.errors import NotApplicable
from regexp.regularizer.base import HOOKS, KINDS, Regularizer, overrides
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import check_data
from regexp.search.costs import measured
from regexp.stack.member import add_layers

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
SECTION = re.compile(r"^(Helps|Costs|Args|Raises|Reference):\s*(.*)$")

SHAPES = {"table": (8,), "images": (1, 16, 16), "series": (12, 2)}
"""Rows of each kind, small."""

NEEDS = ("", "dropout", "selu", "two")
"""What a technique may need beside itself: one or two others before it, or an activation."""


@dataclass(frozen=True)
class Entry:
    """One technique.

    Attributes:
        name: of its YAML.
        technique: its class.
        summary: first line of the docstring.
        body: the rest of it, up to the first section.
        sections: the others by their headings.
        yaml: its file.
        values: its default hyper-parameters.
        search: the ranges to tune them in, in Hydra's grammar.
        oracle: first line of its test's docstring.
        costs: time of a step relative to none, by model; empty where it was not measured.
        fits: the models that it applies to, with what it needs there, of `NEEDS`.
    """

    name: str
    technique: type[Regularizer]
    summary: str
    body: str
    sections: dict[str, str]
    yaml: str
    values: dict[str, Any]
    search: dict[str, Any]
    oracle: str
    costs: dict[str, str]
    fits: dict[str, str]

    @property
    def hooks(self) -> list[str]:
        """The hooks it has of its own."""
        technique = object.__new__(self.technique)
        return [hook for hook in HOOKS if overrides(technique, hook)]

    @property
    def module(self) -> str:
        """The last part of the name of its module, and of its test's."""
        return self.technique.__module__.rpartition(".")[2]

    def refuses(self, other: Entry) -> bool:
        """Whether the two cannot stand in one cocktail."""
        a, b = self.technique, other.technique
        conflicts = set(a.refuses) & set(b.provides) | set(b.refuses) & set(a.provides)
        return self.name != other.name and bool(conflicts)


def entries() -> list[Entry]:
    """Every technique, by kind and name."""
    costs = measured()
    listed = [
        entry(path, costs.get(path.stem, {}))
        for path in sorted((CONF / "regularizer").glob("*.yaml"))
        if path.stem != "none"
    ]
    return sorted(listed, key=lambda each: (KINDS.index(each.technique.kind), each.name))


def entry(path: Path, costs: dict[str, str]) -> Entry:
    """The technique whose YAML is at `path`.

    Raises:
        FileNotFoundError: for a technique without a test.
    """
    values = read(path)
    search = values.pop("search", {})
    fits = where(path.stem, instantiate(values))
    technique = import_target(f"regularizer.{path.stem}", values.pop("_target_"))
    summary, body, sections = parsed(inspect.getdoc(technique) or "")
    module = technique.__module__.rpartition(".")[2]
    test = (ROOT / "tests" / "regularizer" / f"test_{module}.py").read_text()
    oracle = (ast.get_docstring(ast.parse(test)) or "").partition("\n\n")[0]
    return Entry(
        path.stem, technique, summary, body, sections, path.read_text(), values, search,
        " ".join(oracle.split()), costs, fits,
    )  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """A YAML as builtin types."""
    return OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[return-value]


def parsed(docstring: str) -> tuple[str, str, dict[str, str]]:
    """(first line, body, sections by heading) of a technique's docstring."""
    sections: dict[str, list[str]] = {"": []}
    first: dict[str, str] = {}  # what stands in the line of a heading
    current = ""
    for line in docstring.splitlines():
        if heading := SECTION.match(line):
            current, first[current] = heading.groups()
            sections[current] = []
        else:
            sections[current].append(line)
    text = {key: inspect.cleandoc("\n" + "\n".join(lines)) for key, lines in sections.items()}
    summary, _, body = text.pop("").partition("\n\n")
    text = {key: f"{first[key]}\n{value}".strip() for key, value in text.items()}
    return " ".join(summary.split()), body, text


def arguments(entry: Entry) -> dict[str, str]:
    """What the docstring says of each argument."""
    texts: dict[str, str] = {}
    name = ""
    for line in entry.sections.get("Args", "").splitlines():
        if line and not line.startswith(" "):
            name, _, text = line.partition(": ")
            texts[name] = text
        elif name:
            texts[name] = f"{texts[name]} {line.strip()}".strip()
    return texts


def where(name: str, technique: Regularizer) -> dict[str, str]:
    """The models that a technique applies to, for any data, with what it needs there."""
    models = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
    fits = {
        model: [need for need in NEEDS if any(
            applies(name, technique, model, kind, need) for kind in technique.data)]
        for model in models
    }  # fmt: skip
    return {model: needs[0] for model, needs in fits.items() if needs}


def applies(name: str, technique: Regularizer, model: str, kind: str, need: str) -> bool:
    """Whether a technique has something to work on in a model for rows of a kind."""
    network = untrained(model, kind, need == "selu")
    if network is None:
        return False
    techniques = {name: technique}
    needed = {"dropout": ("dropout",), "two": ("input_noise", "l2")}.get(need, ())
    techniques = {other: default(other) for other in needed if other != name} | techniques
    try:
        cocktail = Cocktail(techniques)
        check_data(techniques, model, technique.tasks[0], SHAPES[kind])
        looks = ("build", "check_model", "alternatives")
        if any(overrides(each, hook) for each in techniques.values() for hook in looks):
            add_layers(copy.deepcopy(network), cocktail, seed=0)
    except NotApplicable:
        return False
    return True


@cache
def default(name: str) -> Regularizer:
    """A technique as its YAML says."""
    node = read(CONF / "regularizer" / f"{name}.yaml")
    node.pop("search", None)
    return instantiate(node)


@cache
def untrained(model: str, kind: str, selu: bool) -> nn.Module | None:
    """A model for rows of a kind; None if it does not take them."""
    node = read(CONF / "model" / f"{model}.yaml")
    if selu:
        node["activation"] = "selu"
    shape = SHAPES[kind]
    given: dict[str, Any] = {"input_shape": shape, "outputs": 3}
    if "training_inputs" in inspect.signature(import_target("model", node["_target_"])).parameters:
        given["training_inputs"] = (
            torch.linspace(0, 1, 50).view(-1, *(1 for _ in shape)).expand(-1, *shape)
        )
    try:
        return instantiate(node, **given).to("meta")  # of cheap copies: nothing is computed
    except InstantiationException:  # Hydra's, around the model's own ValueError
        return None
