"""The answer of a comparison in a few plain sentences, never stronger than its verdicts.

The first sentence says what to do.
"""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.baseline import Baseline
from regexp.compare.comparison import Comparison, Family
from regexp.compare.family import ROWS
from regexp.compare.formats import error_text, listed, percent
from regexp.compare.metric import Metric, Unit
from regexp.compare.ranking import Across
from regexp.compare.statistics import ALPHA, POWER
from regexp.compare.table import CLAIMS
from regexp.compare.verdict import Judge, deciding, likely

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""Techniques that a sentence names."""

EACH = 3
"""Datasets and settings that are answered one after another; more are summed up before."""

ONE_BY_ONE = 2
"""So many techniques are told with their whole verdicts."""

PROBABLY = ("probably helps", "probably hurts")
CONTROL = "noise floor"


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


def headlines(comparison: Comparison) -> list[str]:
    """The first sentence of each answer, for a terminal: what to use."""
    first, _ = answers(comparison)
    lines = []
    for subject, text in first:
        sentence = re.split(r"(?<=\.) (?=[A-Z0-9])", text, maxsplit=1)[0]
        lines.append(f"{subject}: {sentence}" if subject else sentence)
    return lines


def _in_short(comparison: Comparison) -> str:
    """On how many datasets and settings each technique helps or hurts."""
    table = comparison.table
    compared = table[~table["outcome"].isin(["baseline", CONTROL])]
    one_split = any(
        family.judge.one_split and family.rows["outcome"].isin(CLAIMS).any()
        for family in comparison.families
    )
    where = " (on the one split, where seeds share one)" if one_split else " on this table"
    sentences = []
    for outcome in CLAIMS:
        claimed = compared["outcome"].eq(outcome).groupby(compared["label"], sort=False)
        counts, total = claimed.sum().sort_values(ascending=False, kind="stable"), claimed.size()
        names = [f"{label} on {n} of {total[str(label)]}" for label, n in counts.items() if n]
        if names:
            sentences.append(f"{outcome.capitalize()}{where}: {_few(names)}.")
    claims = compared["outcome"].isin(CLAIMS).groupby(compared["label"]).any()
    if not claims.any():
        kinds = comparison.against.kinds
        return f"None of the {len(claims)} {kinds} is shown to help or to hurt on any."
    if rest := int((~claims).sum()):
        sentences.append(f"Shown to do neither on any: {rest} of {len(claims)}.")
    held = error_text(comparison.spending.level)
    sentences.append(f"False claims are held to {held} on each by itself, not over all.")
    return " ".join(sentences)


def _of_family(family: Family, metric: Metric, against: Baseline) -> str:
    """The answer of one dataset and setting."""
    rows = family.rows
    compared = rows[~rows["outcome"].isin(["baseline", CONTROL])]
    floor = _floor(rows[rows["outcome"] == CONTROL], metric.unit, against)
    if compared.empty:
        return " ".join([f"{against} stands alone: nothing is compared with it.", *floor])
    sentences = [_action(compared, rows[rows["outcome"] == "baseline"], family.judge, against)]
    if len(compared) <= ONE_BY_ONE:
        sentences += [f"{row['label']}: {row['verdict']}." for _, row in compared.iterrows()]
        return " ".join([*sentences, *floor, *_against_naive(rows, str(against))])
    sentences += _summed_up(compared, family.judge, against)
    return " ".join([*sentences, *floor, *_against_naive(rows, str(against))])


def _action(
    compared: "pd.DataFrame", baselines: "pd.DataFrame", judge: Judge, against: Baseline
) -> str:
    """What to use, what it gains, and what it costs.

    Where each is held against the baseline of its own numbers, the best is not that which gains
    most, but that which comes to the best score.
    """
    lower = judge.metric.lower_is_better
    by = "adjusted_mean" if len(baselines) > 1 else "difference"
    ordered = compared.sort_values(by, ascending=lower, kind="stable")
    plain = baselines.sort_values("mean", ascending=lower, kind="stable")
    several, sign = len(plain) > 1, -1 if lower else 1
    keep = f"Take {plain.iloc[0]['label']}" if several else _keep(against)

    def behind(row: "pd.Series") -> bool:
        """Whether a technique does not come to the best of several baselines."""
        return several and bool(sign * plain.iloc[0]["mean"] > sign * row["adjusted_mean"])

    unit = judge.metric.unit
    helping = ordered[ordered["outcome"] == "helps"]
    if len(helping):
        row = helping.iloc[0]
        if behind(row):
            return (
                f"{keep}: what helps {against} at other numbers does not come to its mean, not "
                f"even {row['label']}, the best of them."
            )
        both = row[f"{ROWS}outcome"] == "helps"
        where = f"{judge.here} and {judge.there}" if both else judge.here
        [(size, ends)] = formats.differences(helping.head(1), unit)
        gain = f"{size} {unit.name}".rstrip()
        best = row["p_best"]
        sure = "" if len(compared) == 1 or math.isnan(best) else f", best of all: {percent(best)}"
        flattered = "; the largest of several gains flatters itself" if len(helping) > 1 else ""
        return (
            f"Use {row['label']}: it helps {where}, {gain} against {against} (95% interval "
            f"{ends}{sure}{flattered}){_cost(row)}."
        )
    outcomes = set(compared["outcome"])
    kinds = against.kinds if (compared["variant"] == "").all() else "configurations"
    nothing = f"not one of the {len(compared)} {kinds} is shown to help"
    if len(compared) == 1:
        nothing = f"{compared.iloc[0]['label']} is not shown to help"
    if outcomes <= {"no verdict"}:
        return f"Nothing can be said yet: {nothing}."
    probable = ordered[ordered["outcome"] == "probably helps"]
    if len(probable):
        row = probable.iloc[0]
        [(size, _)] = formats.differences(probable.head(1), unit)
        gain = f"{size} {unit.name}".rstrip()
        if behind(row):
            return (
                f"{keep}: {nothing}, and what probably does, {row['label']} the best of them, does "
                "not come to its mean."
            )
        but = "but" if len(compared) == 1 else f"and {row['label']}"
        return (
            f"{keep} or try {row['label']}: {nothing}, {but} probably "
            f"does ({percent(row['p_helps'])}, {gain}){_cost(row)}; {deciding(row)}."
        )
    return f"{keep}: {nothing}."


def _keep(against: Baseline) -> str:
    """What to do where nothing is shown to help: numbers may be others than one has now."""
    return f"{'Take' if against.variant else 'Stay with'} {against}"


def _cost(row: "pd.Series") -> str:
    """`, for ×1.10 the time`."""
    times = float(row["relative_seconds"])
    return "" if math.isnan(times) else f", for ×{formats.rounded(times, 2)} the time"


def _summed_up(compared: "pd.DataFrame", judge: Judge, against: Baseline) -> list[str]:
    """Who does what, one sentence an outcome."""
    total, unit = len(compared), judge.metric.unit
    kind = against.kinds if (compared["variant"] == "").all() else "configurations"
    by_outcome = dict(iter(compared.groupby("outcome", sort=False)))
    sentences = []
    among = f" of {total} {kind}"
    for outcome, plural in (("helps", "help"), ("hurts", "hurt")):
        if (rows := by_outcome.get(outcome)) is not None:
            some = f"{len(rows)}{among} {outcome if len(rows) == 1 else plural}"
            if len(rows) == total:
                some = f"All {total} {plural}"
            also = int((rows[f"{ROWS}outcome"] == outcome).sum())
            elsewhere = f", {also} of them {judge.there} as well" if also else ""
            sentences.append(f"{some} {judge.here}{elsewhere}: {_named(rows, unit)}.")
            among = ""
    open_ones = compared[compared["outcome"].isin(PROBABLY)]
    if len(open_ones):
        sentences.append(f"Still open: {_open(open_ones)}.")
    if (rows := by_outcome.get("practically equal")) is not None:
        names = _few(rows["label"])
        sentences.append(f"Practically equal to {against} {judge.here}: {names}.")
    if (rows := by_outcome.get("no evidence")) is not None:
        whom = "" if len(rows) == total else f" on {len(rows)}"
        sentences.append(f"There is no evidence either way{whom}{_seen(rows, unit)}.")
    if (rows := by_outcome.get("did nothing")) is not None:
        sentences.append(f"Did nothing: {_few(rows['label'])}.")
    if (rows := by_outcome.get("no verdict")) is not None:
        sentences.append(f"There is no verdict on {len(rows)}; the table tells why.")
    return sentences


def _open(rows: "pd.DataFrame") -> str:
    """`dropout (probably helps, 93%; about 34 seeds would decide)`, the surest first."""
    sure = [likely(row, row["outcome"]) for _, row in rows.iterrows()]
    ordered = rows.assign(sure=sure).sort_values("sure", ascending=False, kind="stable")
    return _few(
        f"{row['label']} ({row['outcome']}, {percent(row['sure'])}; {deciding(row)})"
        for _, row in ordered.iterrows()
    )


def _floor(controls: "pd.DataFrame", unit: Unit, against: Baseline) -> list[str]:
    """What an A/A arm differs by."""
    sentences = []
    for (_, row), (size, ends) in zip(
        controls.iterrows(), formats.differences(controls, unit) if len(controls) else (),
        strict=True,
    ):  # fmt: skip
        text = f"{size} {unit.name}".rstrip()
        sentence = f"Noise floor: {row['label']} differs from {against} by {text} ({ends})"
        if row["p"] < ALPHA:
            sentence += ", more than chance has it in 19 of 20 sweeps, though it is the same"
        sentences.append(f"{sentence}.")
    return sentences


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
    tested, baseline = across.tested, str(across.against)
    average = across.ranks.mean()
    # the best first: gains may be over baselines of other numbers
    differing = tested[tested["p_joint"] < across.alpha]
    differing = differing.loc[average.reindex(differing.index).sort_values(kind="stable").index]
    best = str(average.idxmin())
    plain = list(dict.fromkeys(tested["baseline"]))
    sentences = []
    for better, does in ((True, "better"), (False, "worse")):
        names = [
            f"{name} (p {formats.relation(p, across.alpha)})"
            for name, p in differing.loc[(differing["gain"] > 0) == better, "p_joint"].items()
        ]
        if names:
            verb = "is" if len(names) == 1 else "are"
            use = ""
            if better:
                first = differing.index[differing["gain"] > 0][0]
                # of several baselines one may rank before all that is better than its own
                ahead = len(plain) > 1 and average[plain].min() < average[first]
                use = f"Take {average[plain].idxmin()}: " if ahead else f"Use {first}: "
            sentences.append(f"{use}{_few(names)} {verb} {does} than {baseline}.")
    if not sentences:
        least = tested["p_joint"].min()
        told = f"; smallest corrected p: {formats.p_text(least, across.alpha)}"
        p = "" if math.isnan(least) else told
        sentences.append(
            f"{_keep(across.against)}: no {across.against.kind} is shown to be better or worse{p}."
        )
    rank = f"The best average rank, {average.min():.1f} of {len(average)}, is "
    if best == baseline:
        sentences.append(f"{rank}its own.")
    elif baseline in average:
        sentences.append(f"{rank}that of {best}; {baseline}'s is {average[baseline]:.1f}.")
    else:
        sentences.append(f"{rank}that of {best}.")
    return " ".join(sentences)


def _few(labels: Iterable[object]) -> str:
    """The first of some labels, and how many more there are."""
    names = list(map(str, labels))
    more = len(names) - NAMED
    return listed([*names[:NAMED], f"{more} more"] if more > 0 else names)
