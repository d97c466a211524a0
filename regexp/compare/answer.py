"""The answer of a comparison in a few plain sentences, never stronger than its verdicts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.baseline import Baseline
from regexp.compare.comparison import Comparison, Family
from regexp.compare.formats import listed
from regexp.compare.metric import Metric, Unit
from regexp.compare.ranking import Across
from regexp.compare.statistics import ALPHA, POWER
from regexp.compare.table import CLAIMS

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""Techniques that a sentence names."""

EACH = 3
"""Datasets and settings that are answered one after another; more are summed up before."""

ONE_BY_ONE = 2
"""So many techniques are told with their whole verdicts."""


def answers(comparison: Comparison) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(of what, its answer): across datasets, all in short where they are many, then each.

    What an answer is of is empty where there is only one.

    Returns:
        (what is said first, details of it)
    """
    families = comparison.families
    each = [
        (family.name, _of_family(family, comparison.metric, comparison.against))
        for family in families
    ]
    if len(each) == 1:
        return [("", each[0][1])], []
    first = []
    if comparison.across is not None:
        across = _of_datasets(comparison.across)
        first.append((f"across {len(comparison.across.scores)} datasets", across))
    if len(each) <= EACH:
        return first + each, []
    first.append((f"on each of {len(each)} datasets and settings", _in_short(comparison)))
    return first, each


def _in_short(comparison: Comparison) -> str:
    """On how many datasets and settings each technique helps or hurts."""
    table = comparison.table
    compared = table[table["outcome"] != "baseline"]
    one_split = any(
        family.one_split and family.rows["outcome"].isin(CLAIMS).any()
        for family in comparison.families
    )
    where = " (on the one split, where seeds share one)" if one_split else ""
    sentences = []
    for outcome in CLAIMS:
        claimed = compared["outcome"].eq(outcome).groupby(compared["label"], sort=False)
        counts, total = claimed.sum().sort_values(ascending=False, kind="stable"), claimed.size()
        names = [f"{label} on {n} of {total[str(label)]}" for label, n in counts.items() if n]
        if names:
            sentences.append(f"{outcome.capitalize()}{where}: {listed(_few(names))}.")
    claims = compared["outcome"].isin(CLAIMS).groupby(compared["label"]).any()
    if not claims.any():
        kinds = comparison.against.kinds
        return f"None of the {len(claims)} {kinds} is shown to help or to hurt on any."
    if rest := int((~claims).sum()):
        sentences.append(f"Shown to do neither on any: {rest} of {len(claims)}.")
    sentences.append(f"False claims are held to {ALPHA:.0%} on each by itself, not over all.")
    return " ".join(sentences)


def _of_family(family: Family, metric: Metric, against: Baseline) -> str:
    """The answer of one dataset and setting."""
    compared = family.rows[family.rows["outcome"] != "baseline"]
    if compared.empty:
        return f"Nothing is compared with {against} yet."
    if len(compared) <= ONE_BY_ONE:
        return " ".join(f"{row['label']}: {row['verdict']}." for _, row in compared.iterrows())
    count = len(compared)
    kind = against.kinds if (compared["variant"] == "").all() else "configurations"
    by_outcome = dict(iter(compared.groupby("outcome", sort=False)))
    split = " on this split" if family.one_split else ""
    sentences = []
    for outcome, plural, among in (("helps", "help", f" of {count} {kind}"), ("hurts", "hurt", "")):
        if (rows := by_outcome.get(outcome)) is not None:
            some = f"{len(rows)}{among} {outcome if len(rows) == 1 else plural}"
            if len(rows) == count:
                some = f"All {count} {plural}"
            sentences.append(f"{some}{split}: {_named(rows, metric.unit)}.")
        elif outcome == "helps":
            or_hurt = "" if "hurts" in by_outcome else " or to hurt"
            sentences.append(f"None of the {count} {kind} is shown to help{or_hurt}.")
    if (rows := by_outcome.get("no evidence")) is not None:
        whom = "" if len(rows) == count else f" on {len(rows)}"
        seen = _seen(rows, metric.unit)
        sentences.append(f"There is no evidence either way{whom}{seen}.")
    if (rows := by_outcome.get("no verdict")) is not None:
        sentences.append(f"There is no verdict on {len(rows)}; the table tells why.")
    return " ".join([*sentences, *_against_naive(family.rows, str(against))])


def _against_naive(rows: "pd.DataFrame", baseline: str) -> list[str]:
    """How many forecast a series better than its last value does."""
    skills = rows.set_index("label")["skill"].dropna()
    if skills.empty:
        return []
    named = [f"{baseline} {_below(skills[baseline])}"] if baseline in skills else []
    best = str(skills.idxmax())
    if best != baseline:
        named.append(f"{best}, the lowest, {_below(skills[best])}")
    better = int((skills > 0).sum())
    return [
        f"{better} of {len(skills)} have a mean error below the naive forecast's: {listed(named)}."
    ]


def _below(skill: float) -> str:
    return f"{abs(skill):.0%} {'below' if skill >= 0 else 'above'}"


def _named(rows: "pd.DataFrame", unit: Unit) -> str:
    """The largest differences first: `dropout (+2.6 points), l1 (+1.1 points)`."""
    ordered = rows.loc[rows["difference"].abs().sort_values(ascending=False, kind="stable").index]
    first = ordered.head(NAMED)
    sizes = (f"{difference} {unit.name}".rstrip() for difference, _ in
             formats.differences(first, unit))  # fmt: skip
    names = [f"{label} ({size})" for label, size in zip(first["label"], sizes, strict=True)]
    if len(ordered) > NAMED:
        return f"{', '.join(names)} and {len(ordered) - NAMED} more"
    return listed(names)


def _seen(rows: "pd.DataFrame", unit: Unit) -> str:
    """The differences that would have been seen, and on how many techniques none."""
    detectable = rows["detectable"].dropna()
    blind = int((detectable > unit.most).sum())
    seen = detectable[(detectable <= unit.most) & (detectable > 0)]
    if seen.empty:
        return "; no difference could have been seen" if blind else ""
    ends = dict.fromkeys(formats.upwards(value, unit) for value in (seen.min(), seen.max()))
    size = f"{' to '.join(ends)} {unit.name}".rstrip()
    what = f"a difference of {size}" if len(ends) == 1 else f"differences of {size}, by technique,"
    on = f", on {blind} of them none" if blind else ""
    return f"; {what} would have been seen (power {POWER:.0%}){on}"


def _of_datasets(across: Across) -> str:
    """The answer across datasets."""
    tested, baseline = across.wilcoxon, str(across.against)
    differing = tested[tested["p_holm"] < ALPHA]
    average = across.ranks.mean()
    best = str(average.idxmin())
    sentences = []
    for better, does in ((True, "better"), (False, "worse")):
        names = list(map(str, differing.index[differing["better"].astype(bool) == better]))
        if names:
            verb = "is" if len(names) == 1 else "are"
            sentences.append(f"{listed(_few(names))} {verb} {does} than {baseline}.")
    if not sentences:
        least = tested["p_holm"].min()
        p = "" if math.isnan(least) else f"; smallest corrected p: {formats.p_text(least)}"
        sentences.append(
            f"No {across.against.kind} is shown to be better or worse than {baseline}{p}."
        )
    rank = f"The best average rank, {average.min():.1f} of {len(average)}, is "
    if best == baseline:
        sentences.append(f"{rank}its own.")
    elif baseline in average:
        sentences.append(f"{rank}that of {best}; {baseline}'s is {average[baseline]:.1f}.")
    else:
        sentences.append(f"{rank}that of {best}.")
    return " ".join(sentences)


def _few(names: Sequence[str]) -> list[str]:
    more = len(names) - NAMED
    return [*names[:NAMED], f"{more} more"] if more > 0 else list(names)
