"""The experiment that a portfolio becomes, and the page that says how it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regexp.config.yaml_text import as_yaml
from regexp.search.recipe import Recipe

HEAD = """\
# @package _global_
# A few recipes that did well on {datasets}, tried first on data of your own:
#   regexp search experiment=portfolio dataset=...
# Made by {command}
"""


def as_experiment(entries: Sequence[dict[str, Any]], datasets: Sequence[str], command: str) -> str:
    """The YAML of an experiment that tries the configuration as it is, then these."""
    search = {"trials": 1 + len(entries), "portfolio": list(entries)}
    head = HEAD.format(datasets=", ".join(datasets), command=command)
    return head + as_yaml({"search": search})


def page(
    datasets: Sequence[str],
    recipes: Sequence[Recipe],
    chosen: Sequence[Sequence[float]],
    scores: Sequence[Sequence[float]],
    command: str,
) -> str:
    """The study's page.

    Args:
        datasets: that candidates were trained on.
        recipes: that were chosen, in their order.
        chosen: [datasets, recipes] balanced accuracy on validation rows.
        scores: [datasets, candidates] likewise, of all; the first is no technique, untuned.
        command: that made it.
    """
    numbers = "\n".join(f"{at}. {recipe}" for at, recipe in enumerate(recipes, 1))
    heads = ["dataset", "plain", *(str(at) for at in range(1, len(recipes) + 1)), "best candidate"]
    rows = [heads, ["---"] * len(heads)]
    for name, ours, every in zip(datasets, chosen, scores, strict=True):
        shown = [every[0], *ours, max(every)]
        rows.append([name, *(f"{100 * score:.1f}" for score in shown)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""\
# portfolio

**Question.** Which few recipes are worth trying first on data of which nothing is known yet?

**Command.**

```bash
{command}
```

On each of {len(datasets)} datasets, none of them one of the study [recipes](../recipes/README.md),
some recipes were tried, with the network of `experiment=recipe_table`. The best of each with
different techniques, and no technique, make {len(scores[0])} candidates, which were trained on all
datasets. One after another was taken that raises the mean over datasets of the best candidate's
balanced accuracy on validation rows the most. No test row had a part in it.

{numbers}

Balanced accuracy on validation rows, in percent; `plain` is no technique, untuned:

{table}

`regexp search experiment=portfolio dataset=...` tries them first, in [this
order](../../conf/experiment/portfolio.yaml), and `search.portfolio` takes a list of your own.
"""
