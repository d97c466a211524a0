"""The pages on techniques, written into docs/techniques when Sphinx starts; git ignores them."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

from catalogue import Entry, applies, arguments
from tables import cell, search_range, table, value
from text import markdown

from regexp.regularizer.base import KINDS

GROUPS = {
    "penalty": "Penalties", "decay": "Weight decay", "constraint": "Constraints",
    "sparsity": "Sparsity", "layer": "Stochastic layers", "normalization": "Normalization",
    "input": "Inputs", "label": "Labels and losses", "adversarial": "Adversarial and consistency",
    "gradient": "Gradients", "flatness": "Flat minima", "averaging": "Averages of weights",
    "ensemble": "Ensembles", "stopping": "Stopping", "schedule": "Schedules",
}  # fmt: skip


class Setting(NamedTuple):
    """What a model is measured and shown on: the data, and how a command asks for both."""

    kind: str
    task: str
    command: str


SETTINGS = {
    "mlp": Setting("images", "classification", ""),
    "cnn": Setting("images", "classification", "model=cnn "),
    "resnet_mlp": Setting("images", "classification", "model=resnet_mlp "),
    "lstm": Setting("series", "regression", "dataset=series model=lstm "),
}
"""The columns of the table, as in benchmarks/costs.py."""

INTRODUCTION = """# Techniques

All {count} of them, by kind. Each can be combined with each other (`regularizer=[l1,dropout]`),
unless one refuses what the other brings; the page of a technique lists those.

**Hooks** are the places of a run where a technique acts, see {{ref}}`hooks`.

**Models.** A number is the time of a whole training, evaluation included, in units of the time
without the technique (`none`) on that model; 1.00 is no cost. A ✓ says that the technique applies
and was not measured; a word, that it applies with that activation or after that technique; a dash,
that it finds nothing to work on in the model, or is not for its data. What holds for `cnn` holds
for `deep_cnn`, and what holds for `lstm` for `gru`; each page lists all models.

**Oracle**: what the test of the technique holds it against.
"""

MEASUREMENT = """## How the cost is measured

`python -m benchmarks.costs` writes `docs/costs.csv`. For each model and technique a short job of
four seeds, one stack, is trained on one thread of a CPU, in turn with the same job without the
technique, and the ratio of the two times is taken; the table has the median over five turns. The
data are `digits` for `mlp`, `cnn` and `resnet_mlp`, and `series` for `lstm`, which is a regression:
what is for classes alone is not measured there. A technique that works on another's layers is
measured against that one alone.

The networks are small, which is the worst case: what costs a fixed time a step weighs most there. A
technique that ends training early shows less than 1, and so does one that makes fewer steps.
"""


def write(docs: Path, found: list[Entry]) -> None:
    """Write the pages into `docs`/techniques."""
    folder = docs / "techniques"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for one in found:
        (folder / f"{one.name}.md").write_text(page(one, found), encoding="utf-8")
    (folder / "index.md").write_text(overview(found), encoding="utf-8")


def overview(found: list[Entry]) -> str:
    """The table of all techniques, a part for each kind."""
    lines = [INTRODUCTION.format(count=len(found))]
    for kind in KINDS:
        rows = [
            [
                f"[{one.name}]({one.name}.md)",
                ", ".join(f"`{hook}`" for hook in one.hooks),
                *(cost(one, model) for model in SETTINGS),
                cell(markdown(one.oracle)),
            ]
            for one in found
            if one.technique.kind == kind
        ]
        if rows:
            lines += [f"## {GROUPS[kind]}", ""]
            head = ["technique", "hooks", *SETTINGS, "oracle of its test"]
            lines += ["```{table}", ":class: techniques", "", *table(head, rows), "```", ""]
    lines += [MEASUREMENT, "```{toctree}", ":hidden:", "", *(one.name for one in found), "```", ""]
    return "\n".join(lines)


def cost(one: Entry, model: str) -> str:
    """What stands in the table for a technique and a model."""
    setting = SETTINGS[model]
    if measured := one.costs.get(model):
        return measured
    if model not in one.fits or setting.kind not in one.technique.data:
        return "–"
    return one.fits[model] or "✓"


def page(one: Entry, found: list[Entry]) -> str:
    """The page of one technique."""
    kind = one.technique
    prose = partial(markdown, link=partial(linked, one, {other.name for other in found}))
    lines = [f"# {one.name}", "", prose(one.summary), "", prose(one.body), ""]
    lines += facts(one, found)
    for section, title in (("Helps", "When it helps"), ("Costs", "What it costs")):
        said = one.sections.get(section, "")
        lines += [f"## {title}", "", prose(said[:1].upper() + said[1:]), ""]
    if measured := [f"{cost} on `{model}`" for model in SETTINGS if (cost := one.costs.get(model))]:
        lines += [f"Measured, in units of the time of `none`: {', '.join(measured)}.", ""]
    lines += ["## Numbers", ""]
    if about := arguments(one):
        head = ["argument", "default", "to tune in", "what it is"]
        lines += table(
            head,
            [
                [f"`{key}`", value(one.values[key]), search_range(one.search.get(key)),
                 cell(prose(text))]
                for key, text in about.items()
            ],
        )  # fmt: skip
    lines += [f"`conf/regularizer/{one.name}.yaml`, the one place where they stand:", ""]
    lines += ["```yaml", one.yaml.rstrip(), "```", ""]
    lines += ["## Use", "", "```bash", command(one), "```", ""]
    lines += ["In [a loop of your own](../own_loop.md):", "", "```python"]
    lines += [f"from {kind.__module__} import {kind.__qualname__}", "", *call(one), "```", ""]
    lines += ["## Reference", "", markdown(one.sections.get("Reference", "")), ""]
    proof = f"`tests/regularizer/test_{one.module}.py`"
    lines += ["## Proved by", "", f"{markdown(one.oracle)} {proof}", ""]
    return "\n".join(lines)


def call(one: Entry) -> list[str]:
    """A cocktail of the technique with its defaults, in Python."""
    given = [f"{key}={number!r}" for key, number in one.values.items()]
    head = f'techniques = {{"{one.name}": {one.technique.__qualname__}('
    line = f"{head}{', '.join(given)})}}"
    return [line] if len(line) <= 88 else [head, *(f"    {part}," for part in given), ")}"]


def facts(one: Entry, found: list[Entry]) -> list[str]:
    """The table at the head of a page."""
    kind = one.technique
    needs = {"": "", "dropout": " after dropout", "selu": " with activation selu"}
    models = [f"`{model}`{needs[need]}" for model, need in one.fits.items()]
    others = [f"[{other.name}]({other.name}.md)" for other in found if one.refuses(other)]
    neutral = [f"`{key}` {value(number)}" for key, number in (kind.neutral or {}).items()]
    rows = [
        ["kind", f"[{kind.kind}](index.md#{GROUPS[kind.kind].lower().replace(' ', '-')})"],
        ["hooks", ", ".join(f"`{hook}`" for hook in one.hooks)],
        ["tasks", ", ".join(kind.tasks)],
        ["data", ", ".join(kind.data)],
        ["models", ", ".join(models)],
        ["changes nothing at", " and ".join(neutral) or "no number: it has no such strength"],
        ["does not go with", ", ".join(others) or "–"],
    ]
    return table(["", ""], rows)


def linked(one: Entry, names: set[str], code: str) -> str:
    """Code, with a link where it is the name of another technique."""
    own = {one.name, *one.values}
    return f"[`{code}`]({code}.md)" if code in names - own else f"`{code}`"


def command(one: Entry) -> str:
    """A sweep that compares the technique with none, on data and a model that it applies to."""
    technique = one.technique(**one.values)
    for model, setting in SETTINGS.items():
        need = one.fits.get(model)
        if need is None or setting.task not in one.technique.tasks:
            continue
        if applies(one.name, technique, model, setting.kind, need):
            chosen = f"regularizer=none,{one.name}"
            if need == "dropout":
                chosen = f"'regularizer=dropout,[dropout,{one.name}]'"
            elif need == "selu":
                chosen = f"model.activation=selu {chosen}"
            return f"regexp -m {setting.command}{chosen} seeds=10"
    raise ValueError(f"{one.name} applies to none of {', '.join(SETTINGS)}")


def words(found: list[Entry]) -> str:
    """What techniques provide and refuse, a row a word."""
    said = sorted({word for one in found for word in one.technique.refuses})

    def links(names: list[str]) -> str:
        return ", ".join(f"[{name}](techniques/{name}.md)" for name in names) or "–"

    rows = [
        [
            word,
            links([one.name for one in found if word in one.technique.provides]),
            links([one.name for one in found if word in one.technique.refuses]),
        ]
        for word in said
    ]
    return "\n".join(table(["word", "provided by", "refused by"], rows))
