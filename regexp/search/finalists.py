"""The finalists of a search as a table: what they scored, and which was chosen and why."""

from __future__ import annotations

import math
from statistics import stdev

from regexp.compare import formats
from regexp.compare.metric import Metric
from regexp.compare.statistics import paired
from regexp.compare.tables import Column
from regexp.errors import count
from regexp.search.records import Finalist, SearchRecord
from regexp.sweeps.tuning import mean_score

MOST_ROWS = 24
"""Of the table."""


def columns(record: SearchRecord) -> list[Column]:
    """The columns, of so many finalists at most; none of no finalists.

    The recipe is first, then the best mean. Those with fewer seeds, which were halved away, come
    after the others, and what has no score of some seed last.
    """
    rows = _ordered(record)[:MOST_ROWS]
    if not rows:
        return []
    metric, best = Metric(record.metric, record.lower_is_better), rows[0]
    means = [_mean(one) for one in rows]
    # seed by seed: one that was halved away has the first of them
    others = [paired(ours, theirs) for ours, theirs in (_shared(one, best) for one in rows)]
    apart = [other.mean if row.finished and best.finished and row is not best else math.nan
             for row, other in zip(rows, others, strict=True)]  # fmt: skip
    errors = [one.sd / math.sqrt(one.pairs) if one.pairs else math.nan for one in others]
    places = range(1, len(rows) + 1)
    return [
        Column("place", [*map(str, places)], [*map(float, places)]),
        Column(metric.title, formats.scores(means, [*map(_error, rows)], metric.unit), means,
               "The mean over its seeds ± the standard error."),
        Column("seeds", [str(len(one.scores)) for one in rows],
               [float(len(one.scores)) for one in rows],
               "Those with fewer were not in the better half by these."),
        Column(f"vs the best{metric.unit.suffix}", formats.scores(apart, errors, metric.unit),
               apart, "The mean difference seed by seed ± its standard error."),
        Column("chosen as", [_chosen(record, row) for row in rows], words=True),
        Column("finalist", [str(row.recipe) for row in rows], words=True),
    ]  # fmt: skip


def reason(record: SearchRecord) -> str:
    """Why the recipe is what it is, in a sentence; empty of no finalists."""
    rows = _ordered(record)
    if not rows:
        return ""
    if not rows[0].finished:
        return (
            f"None of the last round has {record.metric} at every seed, as a run failed or its "
            "validation rows leave it undefined: the recipe is the one with the lowest validation "
            "loss, and where none finished the best trial."
        )
    more = len(rows) - MOST_ROWS
    return (
        "The recipe is the one with the best mean: the lower validation loss among equal ones, and "
        "then the simpler. What it is worth the verdict tells, by fresh seeds and test rows."
        + f" The table has not {count(more, 'finalist')} that were halved away."
        * (more > 0)
    )


def _ordered(record: SearchRecord) -> list[Finalist]:
    """The finalists of both arms, each once."""
    every = [one for arm in record.finalists.values() for one in arm]
    every.sort(key=lambda one: len(one.scores))
    sign = 1 if record.lower_is_better else -1
    return sorted(
        {str(one.recipe): one for one in every}.values(),
        key=lambda one: (
            one.recipe != record.recipe.recipe, not one.finished, -len(one.scores),
            sign * _mean(one) if one.finished else 0.0, not _chosen(record, one),
        ),
    )  # fmt: skip


def _shared(one: Finalist, other: Finalist) -> tuple[list[float], list[float]]:
    """Their scores at the seeds that both have."""
    seeds = min(len(one.scores), len(other.scores))
    return one.numbers[:seeds], other.numbers[:seeds]


def _mean(one: Finalist) -> float:
    return mean_score(one.numbers) if one.finished else math.nan


def _error(one: Finalist) -> float:
    """The standard error of its mean; NaN with one seed."""
    if not one.finished or len(one.numbers) < 2:
        return math.nan
    return stdev(one.numbers) / math.sqrt(len(one.numbers))


def _chosen(record: SearchRecord, one: Finalist) -> str:
    both = {"recipe": record.recipe, "none, tuned": record.tuned}
    return " and ".join(name for name, chosen in both.items() if chosen.recipe == one.recipe)
