"""What a reader must know: of the verdicts of a family, and of a whole comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from regexp.compare.baseline import KEYS, NONE, Baseline, label
from regexp.compare.factor import varied
from regexp.compare.formats import error_text, least_text
from regexp.compare.statistics import ALPHA, POWER
from regexp.compare.verdict import LIKELY, SURE, Judge
from regexp.errors import count, once

if TYPE_CHECKING:
    import pandas as pd

LONG = 30
"""Techniques from which on a list beside the verdicts is worth having."""


def notes(
    compared: pd.DataFrame,
    overlap: float | None,
    judge: Judge,
    *,
    families: int = 1,
    against: Baseline = NONE,
) -> list[str]:
    """What a reader must know of all verdicts of a family, in sentences.

    Args:
        compared: from `family.compare_family`.
        overlap: n_test / n_train, None where all runs test the same rows; as it took it.
        judge: how verdicts are given.
        families: number of datasets and settings that the sweep has.
        against: the baseline.
    """
    members = int((compared["changed"] & ~compared["control"]).sum())
    by_row = bool((compared["tested"] > 0).any())
    sentences = [_table(overlap, judge), _rows(compared, overlap, judge, by_row=by_row)]
    each = "" if families == 1 else f" of each of the {families} datasets and settings"
    second = "step-down max-T (Westfall and Young 1993)" if by_row else "Holm as well"
    idle = " Techniques that did nothing are no part of them."
    sentences.append(
        f"Every {against.kind} is compared with {against} at equal seeds."
        + bool(members)
        * (
            f" p-values are corrected for {count(members, 'comparison')}{each}, {judge.here} after "
            f"Holm, {judge.there} by {second}, so that the probability of any false claim "
            f"{'in each ' * (families > 1)}is at most {error_text(judge.alpha)} for either "
            "question."
        )
        + idle * bool((~compared["changed"]).any())
    )
    sentences.append(
        f"P(helps) and the other probabilities are of one {against.kind} looked at alone, without "
        f'having believed anything before. "Probably" begins at {LIKELY:.0%}: of techniques that '
        "change nothing one in ten is said to help probably, and one in ten to hurt. So many seeds "
        f"would decide, with a probability of {POWER:.0%}, were the true difference the one seen. "
        "The difference that would have been seen is the one that is found with a probability of "
        f"{POWER:.0%} in a sweep like this one."
    )
    if judge.matters > 0:
        unit = judge.metric.unit
        size = f"{least_text(judge.matters, unit)} {unit.name}".rstrip()
        sentences.append(
            f'"Practically equal" is a difference below {size} (compare.matters) with a '
            f"probability of {SURE:.0%}."
        )
    if members > LONG:
        sentences.append(_listed(compared))
    return sentences


def _table(overlap: float | None, judge: Judge) -> str:
    if judge.same_test:
        return (
            "All runs test the same rows, and split the others by their seed. On these test rows: "
            "other training and validation rows of this table, and other weights. Given the table, "
            "seeds are independent, and the test is the paired t-test of the seeds' differences."
        )
    if overlap is None:
        return (
            "All runs share one split of the data. On this split: given it, seeds are independent; "
            "the test is the paired t-test of the seeds' differences, and is about other seeds, "
            "not about other rows."
        )
    return (
        "On this table: other splits of these rows and other weights. Given the table, seeds are "
        "independent, and the test is the paired t-test of the seeds' differences."
    )


def _rows(compared: pd.DataFrame, overlap: float | None, judge: Judge, *, by_row: bool) -> str:
    there = judge.there.capitalize()
    borrowed = (
        " Variances of three techniques and more learn from each other (Smyth 2004), and none is "
        "below its own."
    )
    known = bool(compared["rows_p"].notna().any())
    correlation = float(compared["seed_correlation"].max())
    always = judge.same_test or overlap is None
    if by_row and always and not known and compared["p"].notna().any():
        return (
            "Rows of one series are no independent rows, nor are those of one group where all "
            "seeds test the same groups: nothing is said of others." + borrowed
        )
    if by_row and judge.same_test:
        return (
            f"{there} of the same kind: seeds share all test rows and most training rows, so that "
            "a part of the variance stays however many they are. It is taken from the scores by "
            "row (of training rows carefully, and no more than Nadeau and Bengio 2003)." + borrowed
        )
    if by_row and overlap is None:
        return (
            f"{there}: these training rows, and other rows to test on. What a technique does to a "
            "test row at every seed is no luck of the seeds, and stays however many they are; it "
            "is taken from the scores by row." + borrowed
        )
    if by_row and overlap is not None:
        told = (
            ""
            if math.isnan(correlation)
            else f" is estimated from the scores by row, carefully, as {correlation:.2f}"
        )
        return (
            f"{there} of the same kind: seeds share rows, so that a part of the variance stays "
            f"however many they are. The correlation of two seeds{told} (Nadeau and Bengio 2003 "
            f"take {overlap / (1 + overlap):.2f} of these shares of rows)." + borrowed
        )
    lacking = (
        "The runs have no scores by row, or this metric has none that rows have by themselves. "
    )
    if overlap is None:
        return f"{lacking}Nothing is said of other rows." + borrowed
    return (
        f"{lacking}{there} of the same kind: the corrected resampled t-test (Nadeau and Bengio "
        f"2003, n_test/n_train = {overlap:.2f} by the shares of rows, dataset.train_size left out)."
        + borrowed
    )


def _listed(compared: pd.DataFrame) -> str:
    """Benjamini and Hochberg's list, for screening."""
    rows = compared[(compared["p_listed"] < ALPHA) & ~compared["control"]]
    names = [label(*name[2:]) if isinstance(name, tuple) else str(name) for name in rows.index]
    if not names:
        return (
            "For screening: the list of which one in twenty is false, on average (Benjamini and "
            "Hochberg 1995), is empty on this table."
        )
    return (
        "For screening, no verdicts: those that differ on this table if one in twenty of such a "
        f"list may be false, on average (Benjamini and Hochberg 1995): {', '.join(names)}."
    )


def nothing_compared(runs: pd.DataFrame, against: Baseline) -> str:
    """Why there is nothing to compare, and what to do about it."""
    names = runs["technique"].unique()
    if against == NONE and len(names) == 1 and len(keys := varied(runs)) > 1:
        return (
            f"There is nothing to compare but one technique. Others than techniques are compared "
            f"by --factor, here {' or '.join(keys)}."
        )
    if len(names) > 1 and against.name not in names:
        return (
            f"There is nothing to compare: no run of {against}. --baseline NAME holds the others "
            f"against another of them, such as {names[0]}."
        )
    return f"There is nothing to compare: it takes runs of {against} and of a {against.kind}."


def remarks(runs: pd.DataFrame, against: Baseline, *, mixed: bool, searched: bool) -> list[str]:
    """What a reader must know of a whole comparison, in sentences.

    Args:
        runs: that count.
        against: the baseline.
        mixed: whether some datasets are classified and others regressed.
        searched: whether numbers were chosen by a search.
    """
    said = once(line for text in runs.get("remarks", ()) for line in str(text).splitlines())
    running = int(runs["status"].isin(["RUNNING", "SCHEDULED"]).sum())
    if running:
        said.append(
            f"{running} of {len(runs)} runs have not ended yet. This is a look at what has "
            "finished; the verdicts hold for a sweep that is looked at once, at its end."
        )
    failed = int(runs["status"].isin(["FAILED", "KILLED"]).sum())
    if failed:
        said.append(
            f"{failed} of {len(runs)} runs failed or were killed, and are left out. Where a "
            "technique fails on hard seeds alone, what is left flatters it."
        )
    if searched:
        said.append(
            "Numbers were chosen by a search on validation rows, once for each technique. The "
            "verdicts are about what was chosen: another search may choose other numbers, and "
            "neither intervals nor p-values hold that."
        )
    techniques = runs[~against.rows(runs)].groupby(KEYS[:-1], sort=False)["variant"]
    if (techniques.nunique() > 1).any():
        said.append(
            f"Some {against.kinds} have several configurations. The verdict on each is corrected "
            "for that; but the mean of the best of them was found on test rows, and flatters it."
        )
    if mixed:
        said.append(
            "Some of these datasets are classified and others regressed. Each has its verdicts, "
            "but no ranks are formed across them."
        )
    return said
