"""The study's page: README.md and results.csv of what tables came to."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from omegaconf import OmegaConf

from experiments.recipes.stored import SCORES, store
from experiments.recipes.worth import (
    ARMS,
    BOOSTED_TUNED,
    INGREDIENTS,
    OF_UNEQUAL_CLASSES,
    RECIPE,
    SINGLE,
    TUNED,
    UNEQUAL,
    UNTUNED,
    Worth,
)
from regexp.config.schema import conf_folder
from regexp.config.targets import import_target
from regexp.errors import count

KADRA = {
    "vehicle": (83.77, 84.39, 82.58, 74.97),
    "car": (97.44, 100.0, 99.59, 92.38),
    "credit_g": (69.40, 70.83, 74.64, 68.93),
    "segment": (94.81, 94.59, 93.72, 93.72),
    "kr_vs_kp": (99.70, 100.0, 99.85, 99.85),
    "phoneme": (87.51, 88.39, 86.62, 87.97),
}
"""Kadra et al. 2021, table 11: balanced accuracy in percent of plain, best single technique,
cocktail and XGBoost, of one split and one seed."""

QUESTION = """\
**Question.** What is the cocktail that `regexp search` finds worth on tables, against the
plain network, the best single technique and gradient boosting, each tuned for as long? After Kadra
et al., "Well-tuned simple nets excel on tabular datasets" (NeurIPS 2021), who have six of them:
[their files](../../data/README.md)."""

METHOD = """\
Balanced accuracy in percent, means of {seeds} seeds that nothing was chosen with, on test rows that
nothing was chosen by. `plain` is the network of `experiment=recipe_table` without a technique;
`plain, tuned` has the learning rate, batch size, schedule, layers and embedding of numbers
(`model=mlp` or `mlp_ple`) that the search found for it with as many trials as for recipes;
`best single` is the same search with `search.most=1`. Recipes are mixed from the techniques of
Kadra et al. that a network without branches takes: {ingredients}; and from {of_classes} where the
largest class has more than twice the rows of the smallest ({unequal}).
`boosting` is scikit-learn's HistGradientBoostingClassifier at its defaults and tuned, on those
tables with `class_weight=balanced` or without: the same sampler, seeds and rows, as many seconds,
which it has for itself. Each search has {budgets} of
training, with `plain, tuned`, finalists and verdict. Gains of the recipe are in points with 95%
intervals on this table, and the verdict there
([how](../../docs/comparing.md#how-verdicts-come-about))."""


def write(folder: Path, found: Sequence[Worth], commands: Sequence[str]) -> None:
    """Write README.md and what it is made of.

    Args:
        folder: of the study.
        found: what tables came to.
        commands: that make all of it again.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = len(found[0].arms[RECIPE].scores)
    parts = [
        "# recipes", QUESTION, f"**Command{'s' * (len(commands) > 1)}.**",
        "\n".join(["```bash", *commands, "```"]),
        wrapped(METHOD.format(
            seeds=seeds, budgets=budgets(found), ingredients=", ".join(INGREDIENTS),
            unequal=", ".join(UNEQUAL), of_classes=OF_UNEQUAL_CLASSES,
        )),
        "## Answer", answer(found), scores(found),
        "## What was found", recipes(found), *kadra(found),
        "## Opperman, Bosman and Malan 2026", opperman(found),
        f"All numbers: [{SCORES}]({SCORES}).",
    ]  # fmt: skip
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    store(folder, found)


def tables_by_budget(found: Sequence[Worth]) -> dict[str, list[str]]:
    """Budget -> the tables that were searched with it."""
    known: dict[str, list[str]] = {}
    for one in found:
        known.setdefault(one.budget, []).append(one.table)
    return known


def budgets(found: Sequence[Worth]) -> str:
    """How much each search had, of which tables if not all had as much."""
    known = tables_by_budget(found)
    if len(known) == 1:
        return found[0].budget
    return ", ".join(f"{budget} ({', '.join(tables)})" for budget, tables in known.items())


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 100 characters, words and links in one piece."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def answer(found: Sequence[Worth]) -> str:
    """On how many tables the recipe is ahead of each other arm, and by how much."""
    lines = []
    for other in ARMS:
        if other == RECIPE:
            continue
        gains = [100 * (one.arms[RECIPE].mean - one.arms[other].mean) for one in found]
        ahead = sum(gain > 0 for gain in gains)
        line = (f"- against {other}: ahead on {ahead} of {len(found)}, "
                f"median {median(gains):+.2f} points")  # fmt: skip
        if other in (UNTUNED, TUNED):
            sure = [one.gains[other] for one in found]
            above, below = sum(one.low > 0 for one in sure), sum(one.high < 0 for one in sure)
            line += f"; the interval is above 0 on {above} and below on {below}"
        lines.append(line)
    return "\n".join(["The recipe is", "", *lines])


def scores(found: Sequence[Worth]) -> str:
    """The table of scores."""
    rows = [["table", *ARMS, f"gain over {UNTUNED}", "", f"gain over {TUNED}", ""]]
    for one in found:
        best = max(arm.mean for arm in one.arms.values())
        shown = [_bold(f"{100 * arm.mean:.2f}", arm.mean == best) for arm in one.arms.values()]
        gains = [cell for base in (UNTUNED, TUNED) for cell in _gain(one, base)]
        rows.append([one.table, *shown, *gains])
    return _table(rows)


def recipes(found: Sequence[Worth]) -> str:
    """What was chosen, in words, and of how many trials."""
    rows = [["table", "arm", "trials", "chosen"]]
    for one in found:
        for name in (RECIPE, SINGLE, TUNED, BOOSTED_TUNED):
            arm = one.arms[name]
            rows.append([one.table, name, str(arm.trials), arm.words])
    return _table(rows)


def kadra(found: Sequence[Worth]) -> list[str]:
    """Their numbers beside ours, of the tables that they have."""
    rows = [["table", "plain: theirs", "ours, tuned", "best single: theirs", "ours",
             "cocktail: theirs", "ours", "XGBoost: theirs", "boosting, tuned: ours"]]  # fmt: skip
    for one in found:
        if one.table in KADRA:
            ours = [100 * one.arms[name].mean for name in (TUNED, SINGLE, RECIPE, BOOSTED_TUNED)]
            both = zip(KADRA[one.table], ours, strict=True)
            rows.append([one.table, *(f"{value:.2f}" for pair in both for value in pair)])
    if len(rows) == 1:
        return []
    said = "Theirs are of one split and one seed, after up to 4 days on 20 cores."
    return ["## Kadra et al. 2021", said, _table(rows)]


def opperman(found: Sequence[Worth]) -> str:
    """What they say of such tables, and how often it is so here."""
    singles = [names_of(one.arms[SINGLE].words) for one in found]
    names = sorted({name for one in singles for name in one})
    chosen = sum(map(bool, singles))
    kinds = [{_kind(name) for name in names_of(one.arms[RECIPE].words)} for one in found]
    terms, normalized = (sum(kind in one for one in kinds) for kind in ("penalty", "normalization"))
    return f"""\
They compare techniques at MLPs and CNNs on ten datasets ([arXiv](https://arxiv.org/abs/2601.23131)):
what helps depends on the dataset, terms of the loss helped on tables of numbers alone, and batch
normalization on images alone. Here a single technique was chosen on {chosen or "none"} of
{count(len(found), "table")}{f" ({', '.join(names)})" * bool(names)}.
{_have(terms, len(found), "a term of the loss").capitalize()}, and
{_have(normalized, len(found), "a normalization")}."""


def _have(number: int, recipes: int, what: str) -> str:
    has = "have" if number > 1 else "has"
    return f"{number or 'none'} of {count(recipes, 'recipe')} {has} {what}"


def names_of(words: str) -> list[str]:
    """The techniques of a recipe in words."""
    names = [part.split(" (")[0] for part in words.partition("; ")[0].split(" + ")]
    return [name for name in names if name not in ("", "none")]


def _kind(name: str) -> str:
    node: Any = OmegaConf.load(conf_folder() / "regularizer" / f"{name}.yaml")
    return str(import_target("regularizer", node["_target_"]).kind)


def _gain(one: Worth, base: str) -> list[str]:
    gain = one.gains[base]
    return [f"{gain.points:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})", gain.outcome]


def _bold(text: str, is_best: bool) -> str:
    return f"**{text}**" if is_best else text


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "| " + " | ".join(["---"] * len(rows[0])) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])
