"""A comparison as one HTML file that needs nothing else: no network, no other file."""

import base64
import hashlib
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.compare.document import Document
from regexp.errors import in_a_file

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("report.html.j2")
MARKS = {
    "helps": "▲",
    "hurts": "▼",
    "probably helps": "△",
    "probably hurts": "▽",
    "practically equal": "=",
    "did nothing": "–",
    "noise floor": "~",
    "no evidence": "○",
    "no verdict": "·",
    "baseline": "",
    "yardstick": "",
}
"""Of the outcomes, which are not told apart by colour alone."""

_HEAD = 2000  # characters in which a page tells of which sweeps it is
_WIDE = 120  # of an interval's picture, in pixels


def page(document: Document, template: Path = TEMPLATE, **parts: object) -> str:
    """The page. Names come from the store of runs, which anybody may write to: all are escaped.

    Args:
        document: what a comparison says.
        template: the page's, or one that extends it.
        parts: what such a template takes beside.
    """
    from markupsafe import Markup

    rendered = _template(template).render(
        document=document, marks=MARKS, script=Markup(SCRIPT), digest=_digest(SCRIPT), **parts
    )
    return in_a_file(rendered)


@cache
def _template(path: Path) -> "Template":
    """To be compiled once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([path.parent, TEMPLATE.parent]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    # Drawn by ourselves: matplotlib escapes the names in it.
    environment.filters["svg"] = lambda picture: Markup(picture.svg)
    environment.filters["breakable"] = _breakable
    environment.filters["sortable"] = lambda value: "" if math.isnan(value) else repr(value)
    environment.filters["drawn"] = drawn
    return environment.get_template(path.name)


def sweeps_of(page: Path) -> set[str]:
    """The ids of the sweeps that a page compares; none if it does not tell."""
    head = page.read_text(encoding="utf-8", errors="replace")[:_HEAD]
    found = re.search(r'<meta name="sweeps" content="([\w -]*)">', head)
    return set(found[1].split()) if found else set()


def _breakable(name: str) -> "Markup":
    """A name that may be broken where its parts end."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[+_=,./])(?=.)", name))


@dataclass(frozen=True)
class Interval:
    """Where an interval stands on a line around zero, in pixels, and whether it leaves it."""

    low: float
    middle: float
    high: float
    out: bool


def drawn(
    intervals: Sequence[tuple[float, float, float]], outcomes: Sequence[str] = ()
) -> list[Interval | None]:
    """For each (low, difference, high) its place; an empty list where none is known.

    Args:
        intervals: one a row.
        outcomes: of the rows: yardsticks have no say in the scale.
    """
    judged = [
        interval for interval, outcome in zip_longest(intervals, outcomes) if outcome != "yardstick"
    ]
    reach = [max(abs(low), abs(high)) for low, _, high in judged]
    reach = [end for end in reach if math.isfinite(end) and end > 0]
    if not reach:
        return []
    # A technique that breaks the network must not flatten the others: it leaves the picture.
    limit = min(max(reach), 4 * statistics.median(reach))

    def place(value: float) -> float:
        return round(_WIDE / 2 * (1 + 0.94 * max(-1.0, min(1.0, value / limit))), 1)

    places = [
        Interval(place(low), place(middle), place(high), out=abs(middle) > limit)
        if math.isfinite(low + middle + high)
        else None
        for low, middle, high in intervals
    ]
    return places if any(places) else []


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
