"""A comparison as one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.compare import markdown
from regexp.compare.answer import answers, families, leading, name_of
from regexp.compare.columns import Column, measures, ranks, results
from regexp.compare.comparison import Comparison

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from regexp.compare.figures import Picture

TEMPLATE = Path(__file__).with_name("report.html.j2")
MARKS = {"helps": "▲", "hurts": "▼", "no evidence": "○", "no verdict": "·", "baseline": ""}
"""Of the outcomes, which are not told apart by colour alone."""

_WIDE = 120  # of an interval's picture, in pixels


def render(comparison: Comparison, pictures: "Sequence[Picture]" = ()) -> str:
    """The page. Names come from the store of runs, which anybody may write to: all are escaped.

    Args:
        comparison: from `compare.compare`.
        pictures: to be shown in it.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from regexp.compare.figures import svg

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = _breakable
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    first = leading(comparison)
    several = len(comparison.notes) > 1
    across = comparison.across
    shown = [
        # Drawn by ourselves: matplotlib escapes the names in it.
        {"title": one.title, "caption": one.caption, "svg": Markup(svg(one))}
        for one in pictures
    ]
    return template.render(
        title=markdown.title_of(comparison),
        what=markdown.what(comparison),
        answers=answers(comparison)[:first],
        details=answers(comparison)[first:],
        families=[_family(comparison, key, rows, several) for key, rows in families(comparison)],
        across=None if across is None else _across(comparison),
        pictures=shown,
        notes=markdown.notes_of(comparison),
        commands=markdown.commands(comparison),
        script=Markup(SCRIPT),
        digest=_digest(SCRIPT),
    )


def _family(
    comparison: Comparison, key: tuple[str, str], rows: "pd.DataFrame", several: bool
) -> dict[str, Any]:
    """What the template needs of a dataset and setting."""
    drawn = _intervals(rows)
    return {
        "name": name_of(key) if several else "",
        "labels": list(rows["label"]),
        "outcomes": list(rows["outcome"]),
        "marks": [MARKS.get(outcome, "") for outcome in rows["outcome"]],
        "verdicts": list(rows["verdict"]),
        "drawn": drawn if any(drawn) else None,
        "sides": "better ⇠ ⇢ worse" if comparison.lower_is_better else "worse ⇠ ⇢ better",
        "results": _columns(results(rows)),
        "measures": _columns(measures(rows, regression=comparison.regression)),
    }


def _across(comparison: Comparison) -> dict[str, Any]:
    across = comparison.across
    assert across is not None
    return {
        "labels": [str(name) for name in across.ranks.mean().sort_values(kind="stable").index],
        "columns": _columns(ranks(across, comparison.metric)),
        "friedman": markdown.friedman_of(across),
    }


def _breakable(name: str) -> "Markup":
    """A name that may be broken where its parts end."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[+_=,./])(?=.)", name))


def _columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Columns whose cells are pairs of text and of what they are sorted by."""
    return [
        {
            "title": one.title,
            "hint": one.hint,
            "cells": list(zip(one.cells, map(_sorted_by, one.values), strict=True)),
        }
        for one in columns
    ]


def _sorted_by(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _intervals(rows: "pd.DataFrame") -> list[dict[str, Any] | None]:
    """For each row, where its 95% interval stands on a line around zero, in pixels."""
    reach = rows[["low", "high"]].abs().max(axis=1)
    reach = reach[reach.notna() & (reach < math.inf) & (reach > 0)]
    if reach.empty:
        return [None] * len(rows)
    # A technique that breaks the network must not flatten the others: it leaves the picture.
    limit = min(float(reach.max()), 4 * float(reach.median()))

    def place(value: float) -> float:
        if math.isnan(value):
            return value
        return round(_WIDE / 2 * (1 + 0.94 * max(-1.0, min(1.0, value / limit))), 1)

    drawn: list[dict[str, Any] | None] = []
    for low, middle, high in zip(rows["low"], rows["difference"], rows["high"], strict=True):
        ends = {"low": place(low), "middle": place(middle), "high": place(high)}
        known = math.isfinite(low + middle + high)
        drawn.append({**ends, "out": abs(middle) > limit} if known else None)
    return drawn


SCRIPT = """
document.querySelectorAll("table.sorted").forEach(table => {
  const body = table.tBodies[0];
  const value = (row, at) => {
    const cell = row.cells[at];
    return "value" in cell.dataset
      ? (cell.dataset.value === "" ? NaN : Number(cell.dataset.value)) : cell.textContent.trim();
  };
  table.querySelectorAll("thead th button").forEach(button => {
    const at = button.closest("th").cellIndex;
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const compare = (a, b) => {
        const x = value(a, at), y = value(b, at);
        if (typeof x === "string") return up ? x.localeCompare(y) : y.localeCompare(x);
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return up ? x - y : y - x;
      };
      [...body.rows].sort(compare).forEach(row => body.append(row));
    });
  });
});
"""


def _digest(script: str) -> str:
    """What the page's policy knows its one script by; no other is run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
