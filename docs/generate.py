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
    "ensemble": "Ensembles", "calibration": "Calibration", "stopping": "Stopping",
    "schedule": "Schedules", "control": "Controls",
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

TABLE = Setting("table", "classification", "dataset=breast_cancer ")
"""Of `mlp`, for what is for tables alone."""

INTRODUCTION = """# Techniques

All {count} of them, by kind. Each can be combined with each other (`regularizer=[l1,dropout]`),
unless one refuses what the other brings; the page of a technique lists those. What is known under
another name is on [a page of its own](../names.md).

**Hooks** are the places of a run where a technique acts, see {{ref}}`hooks`.

**Models.** A number is the time of a whole training, evaluation included, in units of the time
without the technique (`none`) on that model; 1.00 is no cost. A ✓ says that the technique applies
and was not measured; a word, that it applies with that activation or after that technique; a dash,
that it finds nothing to work on in the model, or is not for its data. What holds for `cnn` holds
for `deep_cnn`, and what holds for `lstm` for `gru`; each page lists all models.

**Oracle**: what the test of the technique holds it against.
"""

MEASUREMENT = """## How the cost is measured

`python -m benchmarks.costs` writes `regexp/search/costs.csv`. For each model and technique a short
job of four seeds, one stack, is trained on one thread of a CPU, in turn with the same job without
the technique, and the ratio of what the two take of the processor is taken, but for the first
epoch, in which the step is recorded; the table has the median over three turns. The data are
`digits` for `mlp`, `cnn` and `resnet_mlp`, and `series` for `lstm`, which is a regression: what is
for classes alone is not measured there. A technique that works on another's layers is measured
against that one alone.

The networks are small, which is the worst case: what costs a fixed time a step weighs most there.
An `mlp` without a technique, or with `dropout`, `batch_norm` or `early_stopping`, trains by a
program of its own without autograd; most of what other techniques cost there is that they leave it.
A technique that ends training early shows less than 1, and so does one that makes fewer steps.
"""


def write(docs: Path, entries: list[Entry]) -> None:
    """Write the pages into `docs`/techniques."""
    folder = docs / "techniques"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for entry in entries:
        (folder / f"{entry.name}.md").write_text(page(entry, entries), encoding="utf-8")
    (folder / "index.md").write_text(overview(entries), encoding="utf-8")


def overview(entries: list[Entry]) -> str:
    """The table of all techniques, a part for each kind."""
    lines = [INTRODUCTION.format(count=len(entries))]
    for kind in KINDS:
        rows = [
            [
                f"[{entry.name}]({entry.name}.md)",
                ", ".join(f"`{hook}`" for hook in entry.hooks),
                *(cost(entry, model) for model in SETTINGS),
                cell(markdown(entry.oracle)),
            ]
            for entry in entries
            if entry.technique.kind == kind
        ]
        if rows:
            lines += [f"## {GROUPS[kind]}", ""]
            head = ["technique", "hooks", *SETTINGS, "oracle of its test"]
            lines += ["```{table}", ":class: techniques", "", *table(head, rows), "```", ""]
    lines += [
        MEASUREMENT,
        "```{toctree}",
        ":hidden:",
        "",
        *(entry.name for entry in entries),
        "```",
        "",
    ]
    return "\n".join(lines)


def cost(entry: Entry, model: str) -> str:
    """What stands in the table for a technique and a model."""
    setting = SETTINGS[model]
    if measured := entry.costs.get(model):
        return measured
    if model not in entry.fits or setting.kind not in entry.technique.data:
        return "–"
    return entry.fits[model] or "✓"


def page(entry: Entry, entries: list[Entry]) -> str:
    """The page of one technique."""
    kind = entry.technique
    prose = partial(markdown, link=partial(linked, entry, {other.name for other in entries}))
    lines = [f"# {entry.name}", "", prose(entry.summary), "", prose(entry.body), ""]
    lines += facts(entry, entries)
    for section, title in (("Helps", "When it helps"), ("Costs", "What it costs")):
        text = entry.sections.get(section, "")
        lines += [f"## {title}", "", prose(text[:1].upper() + text[1:]), ""]
    if measured := [
        f"{cost} on `{model}`" for model in SETTINGS if (cost := entry.costs.get(model))
    ]:
        lines += [f"Measured, in units of the time of `none`: {', '.join(measured)}.", ""]
    lines += ["## Numbers", ""]
    if about := arguments(entry):
        head = ["argument", "default", "to tune in", "what it is"]
        lines += table(
            head,
            [
                [f"`{key}`", value(entry.values[key]), search_range(entry.search.get(key)),
                 cell(prose(text))]
                for key, text in about.items()
            ],
        )  # fmt: skip
    lines += [f"`conf/regularizer/{entry.name}.yaml`, the one place where they stand:", ""]
    lines += ["```yaml", entry.yaml.rstrip(), "```", ""]
    lines += ["## Use", "", "```bash", command(entry), "```", ""]
    lines += ["In [a loop of your own](../own_loop.md):", "", "```python"]
    lines += [f"from {kind.__module__} import {kind.__qualname__}", "", *call(entry), "```", ""]
    lines += ["## Reference", "", markdown(entry.sections.get("Reference", "")), ""]
    proof = f"`tests/regularizer/test_{entry.module}.py`"
    lines += ["## Proved by", "", f"{markdown(entry.oracle)} {proof}", ""]
    return "\n".join(lines)


def call(entry: Entry) -> list[str]:
    """A cocktail of the technique with its defaults, in Python."""
    given = [f"{key}={number!r}" for key, number in entry.values.items()]
    head = f'techniques = {{"{entry.name}": {entry.technique.__qualname__}('
    line = f"{head}{', '.join(given)})}}"
    return [line] if len(line) <= 88 else [head, *(f"    {part}," for part in given), ")}"]


def facts(entry: Entry, entries: list[Entry]) -> list[str]:
    """The table at the head of a page."""
    kind = entry.technique
    needs = {
        "": "",
        "dropout": " after dropout",
        "selu": " with activation selu",
        "two": " after two others",
    }
    models = [f"`{model}`{needs[need]}" for model, need in entry.fits.items()]
    others = [f"[{other.name}]({other.name}.md)" for other in entries if entry.refuses(other)]
    neutral = [f"`{key}` {value(number)}" for key, number in (kind.neutral or {}).items()]
    rows = [
        ["kind", f"[{kind.kind}](index.md#{GROUPS[kind.kind].lower().replace(' ', '-')})"],
        ["hooks", ", ".join(f"`{hook}`" for hook in entry.hooks)],
        ["tasks", ", ".join(kind.tasks)],
        ["data", ", ".join(kind.data)],
        ["models", ", ".join(models)],
        ["changes nothing at", " and ".join(neutral) or "no number: it has no such strength"],
        ["does not go with", ", ".join(others) or "–"],
    ]
    return table(["", ""], rows)


def linked(entry: Entry, names: set[str], code: str) -> str:
    """Code, with a link where it is the name of another technique."""
    own_words = {entry.name, *entry.values}
    return f"[`{code}`]({code}.md)" if code in names - own_words else f"`{code}`"


def command(entry: Entry) -> str:
    """A sweep that compares the technique with none, on data and a model that it applies to."""
    technique = entry.technique(**entry.values)
    for model, setting in [*SETTINGS.items(), ("mlp", TABLE)]:
        need = entry.fits.get(model)
        if need is None or setting.task not in entry.technique.tasks:
            continue
        if applies(entry.name, technique, model, setting.kind, need):
            choices = f"regularizer=none,{entry.name}"
            if need == "dropout":
                choices = f"'regularizer=dropout,[dropout,{entry.name}]'"
            elif need == "two":
                choices = f"'regularizer=none,[input_noise,l2,{entry.name}]'"
            elif need == "selu":
                choices = f"model.activation=selu {choices}"
            return f"regexp -m {setting.command}{choices} seeds=10"
    raise ValueError(f"{entry.name} applies to none of {', '.join(SETTINGS)}, nor to a table")


def words(entries: list[Entry]) -> str:
    """What techniques provide and refuse, a row a word."""
    refused = sorted({word for entry in entries for word in entry.technique.refuses})

    def links(names: list[str]) -> str:
        return ", ".join(f"[{name}](techniques/{name}.md)" for name in names) or "–"

    rows = [
        [
            word,
            links([entry.name for entry in entries if word in entry.technique.provides]),
            links([entry.name for entry in entries if word in entry.technique.refuses]),
        ]
        for word in refused
    ]
    return "\n".join(table(["word", "provided by", "refused by"], rows))
