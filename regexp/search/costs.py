"""What techniques cost: the time of a step relative to one of none, as it was measured once.

`python -m benchmarks.costs` writes the table. A search that reads it draws the same on any machine,
where times of its own would differ from one run to the next.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from statistics import fmean, median

TABLE = Path(__file__).with_name("costs.csv")

LEAST = 0.1
"""About how far two measurements of the same lie apart."""


def measured() -> dict[str, dict[str, str]]:
    """The ratios by technique and network; empty of those that do not go together."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row.pop("technique"): row for row in csv.DictReader(file)}


def extra_cost(technique: str) -> float:
    """What a step takes for a technique, beside what it takes without one, which is 1.

    The mean over networks, at least `LEAST`; of one that was not measured, the median of all.
    """
    extra = _extra()
    return extra.get(technique, median(extra.values()))


@cache
def _extra() -> dict[str, float]:
    known = {name: [float(it) for it in row.values() if it] for name, row in measured().items()}
    return {name: max(fmean(ratios) - 1, LEAST) for name, ratios in known.items() if ratios}
