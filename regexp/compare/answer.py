"""The answer of a comparison in a few plain sentences, never stronger than its verdicts."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from regexp.compare import written
from regexp.compare.comparison import Comparison
from regexp.compare.ranking import Across
from regexp.compare.statistics import ALPHA, POWER
from regexp.compare.table import BASELINE, FAMILY
from regexp.compare.verdict import Unit, unit_of

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""Techniques that a sentence names."""

EACH = 3
"""Datasets and settings that are answered one after another; more are summed up before."""

ONE_BY_ONE = 2
"""So many techniques are told with their whole verdicts."""


def families(comparison: Comparison) -> "Iterator[tuple[tuple[str, str], pd.DataFrame]]":
    """((dataset, setting), its rows of the table), in the table's order."""
    for key, rows in comparison.table.groupby(FAMILY, sort=False):
        rows.attrs = comparison.table.attrs
        yield cast("tuple[str, str]", key), rows


def name_of(key: tuple[str, str]) -> str:
    """A dataset and setting, for people."""
    return ", ".join(filter(None, key)) or "no dataset"


def answers(comparison: Comparison) -> list[tuple[str, str]]:
    """(of what, its answer): across datasets, all in short where they are many, then each.

    What an answer is of is empty where there is only one.
    """
    each = [(name_of(key), _of_family(rows)) for key, rows in families(comparison)]
    if len(each) == 1:
        return [("", each[0][1])]
    first = []
    if comparison.across is not None:
        first.append((f"across {len(comparison.across.scores)} datasets", _of(comparison.across)))
    if len(each) > EACH:
        first.append((f"on each of {len(each)} datasets and settings", _in_short(comparison.table)))
    return first + each


def leading(comparison: Comparison) -> int:
    """How many of the answers come first; the others are details of them."""
    count = len(comparison.notes)
    return len(answers(comparison)) - (count if count > EACH else 0)


def _in_short(table: "pd.DataFrame") -> str:
    """On how many datasets and settings each technique helps or hurts."""
    compared = table[table["outcome"] != "baseline"]
    said = []
    one_split = compared["verdict"].str.contains("s on this split: ").any()
    where = " (on the one split, where seeds share one)" if one_split else ""
    for outcome in ("helps", "hurts"):
        found = compared["outcome"].eq(outcome).groupby(compared["label"], sort=False)
        counts, total = found.sum().sort_values(ascending=False, kind="stable"), found.size()
        names = [f"{label} on {n} of {total[str(label)]}" for label, n in counts.items() if n]
        if names:
            said.append(f"{outcome.capitalize()}{where}: {listed(_few(names))}.")
    claimed = compared["outcome"].isin(["helps", "hurts"]).groupby(compared["label"]).any()
    if not claimed.any():
        return f"None of the {len(claimed)} techniques is shown to help or to hurt on any."
    if rest := int((~claimed).sum()):
        said.append(f"Shown to do neither on any: {rest} of {len(claimed)}.")
    said.append(f"False claims are held to {ALPHA:.0%} on each by itself, not over all.")
    return " ".join(said)


def _of_family(rows: "pd.DataFrame") -> str:
    """The answer of one dataset and setting."""
    unit = unit_of(str(rows.attrs["metric"]))
    compared = rows[rows["outcome"] != "baseline"]
    if compared.empty:
        return f"Nothing is compared with {BASELINE} yet."
    if len(compared) <= ONE_BY_ONE:
        return " ".join(f"{row['label']}: {row['verdict']}." for _, row in compared.iterrows())
    count = len(compared)
    kind = "techniques" if (compared["variant"] == "").all() else "configurations"
    by = {str(outcome): part for outcome, part in compared.groupby("outcome", sort=False)}
    said = []
    if "helps" in by:
        some = _some(by["helps"], f"of {count} {kind} ", count, "help")
        said.append(f"{some}: {_named(by['helps'], unit)}.")
    else:
        or_hurt = "" if "hurts" in by else " or to hurt"
        said.append(f"None of the {count} {kind} is shown to help{or_hurt}.")
    if "hurts" in by:
        said.append(f"{_some(by['hurts'], '', count, 'hurt')}: {_named(by['hurts'], unit)}.")
    if "no evidence" in by:
        part = by["no evidence"]
        whom = "" if len(part) == count else f" on {len(part)}"
        said.append(f"There is no evidence either way{whom}{_seen(part, unit)}.")
    if "no verdict" in by:
        part = by["no verdict"]
        said.append(f"There is no verdict on {len(part)}; the table tells why.")
    return " ".join([*said, *_against_naive(rows)])


def _against_naive(rows: "pd.DataFrame") -> list[str]:
    """How many forecast a series better than its last value does."""
    skills = rows.set_index("label")["skill"].dropna()
    if skills.empty:
        return []
    named = [f"{BASELINE} {_below(skills[BASELINE])}"] if BASELINE in skills else []
    best = str(skills.idxmax())
    if best != BASELINE:
        named.append(f"{best}, the lowest, {_below(skills[best])}")
    better = int((skills > 0).sum())
    return [
        f"{better} of {len(skills)} have a mean error below the naive forecast's: {listed(named)}."
    ]


def _below(skill: float) -> str:
    return f"{abs(skill):.0%} {'below' if skill >= 0 else 'above'}"


def _some(part: "pd.DataFrame", kind: str, count: int, does: str) -> str:
    """`2 of 15 techniques help`, with the verdicts' own restriction."""
    some = len(part)
    split = " on this split" if part["verdict"].str.contains("s on this split: ").all() else ""
    if some == count:
        return f"All {count} {does}{split}"
    return f"{some} {kind}{does}{'s' if some == 1 else ''}{split}"


def _named(part: "pd.DataFrame", unit: Unit) -> str:
    """The largest differences first: `dropout (+2.6 points), l1 (+1.1 points)`."""
    ordered = part.loc[part["difference"].abs().sort_values(ascending=False, kind="stable").index]
    first = ordered.head(NAMED)
    told = [
        f"{label} ({size}{f' {unit.name}' if unit.name else ''})"
        for label, (size, _) in zip(first["label"], written.differences(first, unit), strict=True)
    ]
    if len(ordered) > NAMED:
        return f"{', '.join(told)} and {len(ordered) - NAMED} more"
    return listed(told)


def _seen(part: "pd.DataFrame", unit: Unit) -> str:
    """The differences that would have been seen, and on how many techniques none."""
    detectable = part["detectable"].dropna()
    blind = int((detectable > unit.most).sum())
    seen = detectable[(detectable <= unit.most) & (detectable > 0)]
    if seen.empty:
        return "; no difference could have been seen" if blind else ""
    ends = dict.fromkeys(written.upwards(value, unit) for value in (seen.min(), seen.max()))
    size = f"{' to '.join(ends)} {unit.name}".rstrip()
    what = f"a difference of {size}" if len(ends) == 1 else f"differences of {size}, by technique,"
    on = f", on {blind} of them none" if blind else ""
    return f"; {what} would have been seen (power {POWER:.0%}){on}"


def _of(across: Across) -> str:
    """The answer across datasets."""
    tested = across.wilcoxon
    found = tested[tested["p_holm"] < ALPHA]
    average = across.ranks.mean()
    best = str(average.idxmin())
    said = []
    for better, does in ((True, "better"), (False, "worse")):
        names = [str(name) for name, row in found.iterrows() if bool(row["better"]) == better]
        if names:
            verb = "is" if len(names) == 1 else "are"
            said.append(f"{listed(_few(names))} {verb} {does} than {BASELINE}.")
    if not said:
        least = tested["p_holm"].min()
        p = "" if math.isnan(least) else f"; smallest corrected p: {written.p_value(least)}"
        said.append(f"No technique is shown to be better or worse than {BASELINE}{p}.")
    rank = f"The best average rank, {average.min():.1f} of {len(average)}, is "
    if best == BASELINE:
        said.append(f"{rank}its own.")
    elif BASELINE in average:
        said.append(f"{rank}that of {best}; {BASELINE}'s is {average[BASELINE]:.1f}.")
    else:
        said.append(f"{rank}that of {best}.")
    return " ".join(said)


def _few(names: Sequence[str]) -> list[str]:
    more = len(names) - NAMED
    return [*names[:NAMED], f"{more} more"] if more > 0 else list(names)


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
