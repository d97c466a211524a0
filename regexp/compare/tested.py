"""The test of the techniques of one dataset and setting, from the runs' values."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import Key, controls, label
from regexp.compare.by_row import RowReader, Scored, by_row, idle
from regexp.compare.family import ROWS, compare_family
from regexp.compare.metric import Metric
from regexp.compare.scope import seeds_needed
from regexp.compare.splits import design, one_split, overlap
from regexp.compare.statistics import ALPHA, Floats
from regexp.compare.verdict import LEAST, MOST_SEEDS, Judge

if TYPE_CHECKING:
    import pandas as pd

QUIET = 0.25
"""Share of the variance over seeds of the median technique below which an A/A arm is quiet."""


@dataclass(frozen=True)
class Rules:
    """How techniques are tested.

    Attributes:
        matters: the least gain that matters, in the metric's unit (points, for accuracies); None
            for the metric's own, see `Metric.matters`.
        alpha: the probability of a false claim in a family.
        reader: of the runs' test rows; None where only their scores are known.
        later: the level of a family at a later look, at so many seeds; None where it is as now.
    """

    matters: float | None = None
    alpha: float = ALPHA
    reader: RowReader | None = None
    later: Callable[[int], float] | None = None


@dataclass(frozen=True)
class Tested:
    """The comparisons of one dataset and setting, which are corrected together.

    Attributes:
        compared: from `family.compare_family`, one row a technique and variant.
        overlap: n_test / n_train, None where all runs test the same rows.
        judge: how verdicts on them are given.
        remarks: what a reader must know of them beside `notes.notes`.
    """

    compared: "pd.DataFrame"
    overlap: float | None
    judge: Judge
    remarks: list[str]


def tested_of(
    members: "pd.DataFrame",
    groups: "Mapping[Key, pd.DataFrame]",
    of: Mapping[Key, Key],
    metric: Metric,
    rules: Rules,
) -> Tested:
    """Test the techniques of a dataset and setting.

    Args:
        members: their runs.
        groups: the values of each row's runs, by seed.
        of: each technique's baseline.
        metric: that they are compared by.
        rules: how they are tested.
    """
    # others may not have said yet what they are
    finished = members[members["status"] == "FINISHED"]
    members = members if finished.empty else finished
    baselines = list(dict.fromkeys(of.values()))
    shared = one_split(members)
    found, unchanged = None, None
    if rules.reader is not None and (pairs := _scored(groups, of)) is not None:
        found = by_row(pairs, rules.reader)
        unchanged = idle(pairs, rules.reader) if found is None else None
    if found is not None:
        same_rows = found.same_rows
    else:  # of one split it is known without a look
        same_rows = not shared and _same_rows([groups[key] for key in baselines], rules.reader)
    ratio, remarks = overlap(members, same_rows=same_rows)
    levels = [abs(groups[key]["score"].mean()) for key in baselines]
    # of several baselines the smallest: what matters to one may be all that another has
    level = min((float(level) for level in levels if math.isfinite(level)), default=0.0)
    matters = metric.matters(level) if rules.matters is None else rules.matters / metric.unit.factor
    still = [key for key in baselines if _never_varies(groups[key]["score"])]
    if still:
        remarks.append(
            f"{label(*still[0][2:])} scores the same at every seed, so that nothing of a "
            "technique's own spread cancels. Where that is lopsided, verdicts are wrong more often "
            "than stated."
        )
    arms = {name: controls(members, name) for name in {other[2] for other in baselines}}
    compared = compare_family(
        {key: (groups[key]["score"], groups[other]["score"]) for key, other in of.items()},
        overlap=ratio,
        lower_is_better=metric.lower_is_better,
        by_row=found,
        idle=unchanged,
        design=None
        if found is None
        else design(members, found.per_seed, one_split=shared, same_rows=same_rows),
        matters=matters,
        alpha=rules.alpha,
        controls={key for key, other in of.items() if key[2] in arms[other[2]]},
    )
    family = max(int(compared["p_corrected"].notna().sum()), 1)
    if rules.later is not None:
        for prefix in ("", ROWS):
            open_ones = ~(compared[f"{prefix}p_corrected"] < rules.alpha)
            needed = needed_later(compared[open_ones], prefix, rules.later, family)
            compared.loc[open_ones, f"{prefix}seeds_needed"] = needed
    if len(baselines) > 1:  # their gains have no common measure
        compared[["p_best", f"{ROWS}p_best"]] = math.nan
    if not shared and _is_quiet(compared):
        remarks.append(
            "Other initial weights alone (the A/A arm) move scores far less than techniques do "
            "from seed to seed: what these vary by is their training rows, of which seeds share "
            "some. Where that is so, verdicts on other rows are wrong more often than stated."
        )
    same_test = ratio is None and not shared
    judge = Judge(metric, shared, matters, rules.alpha, same_test)
    return Tested(compared, ratio, judge, remarks)


def needed_later(
    compared: "pd.DataFrame", prefix: str, later: Callable[[int], float], family: int
) -> Floats:
    """`seeds_needed`, at the level that a look at so many seeds will have for a family.

    NaN where it is known how many at the level of now, and no error will be left for a look at
    them.
    """
    found = compared[f"{prefix}seeds_needed"].to_numpy(float, copy=True)
    mean, pairs = (compared[name].to_numpy(float) for name in ("mean", "pairs"))
    own = compared["error"].to_numpy(float) ** 2
    stays = np.maximum(compared[f"{prefix}error"].to_numpy(float) ** 2 - own, 0.0)
    for at in np.flatnonzero(np.isfinite(found)):
        for _ in range(_ROUNDS):
            seeds = int(min(max(found[at], pairs[at] + 1), MOST_SEEDS))
            level = later(seeds) / family
            if level <= 0:
                found[at] = math.nan
                break
            one = slice(at, at + 1)
            [needed] = seeds_needed(mean[one], own[one] * pairs[one], stays[one], level)
            if not needed > seeds:  # a look at so many is enough
                found[at] = seeds if seeds > pairs[at] + 1 else needed
                break
            found[at] = needed
            if not needed <= MOST_SEEDS:
                break
    return found


_ROUNDS = 20
"""So many times the seeds that a level asks for are looked at, and the level at these."""


def _is_quiet(compared: "pd.DataFrame") -> bool:
    """Whether the A/A arms vary over seeds far less than the techniques that change anything."""
    known = compared[compared["changed"] & (compared["pairs"] >= LEAST)]
    arms, others = (known.loc[known["control"] == of, "sd"] for of in (True, False))
    return (
        len(arms) > 0 and len(others) > 0 and bool(arms.max() ** 2 < QUIET * others.median() ** 2)
    )


def _never_varies(scores: "pd.Series") -> bool:
    """Whether three scores or more are all the same."""
    known = scores.dropna()
    return len(known) >= LEAST and known.nunique() == 1


def _same_rows(baselines: "Sequence[pd.DataFrame]", reader: RowReader | None) -> bool:
    """Whether the outputs of the baselines' runs tell that all seeds test the same rows."""
    if reader is None or not baselines:
        return False
    return all(reader.same_rows(runs.dropna(subset="score")["run_id"]) for runs in baselines)


def _scored(
    groups: "Mapping[Key, pd.DataFrame]", of: Mapping[Key, Key]
) -> list[tuple[Scored, Scored]] | None:
    """The runs of each technique and of its baseline.

    A technique with an infinite score, of which no test is made, has none; where a baseline has one
    this is None.
    """
    scored = {}
    for key in dict.fromkeys([*of, *of.values()]):
        scores = groups[key]["score"].dropna()
        ids = groups[key]["run_id"][scores.index]
        scored[key] = dict(zip(scores.index, zip(ids, scores, strict=True), strict=True))
        if not np.isfinite(scores).all():
            if key in of.values():
                return None
            scored[key] = {}
    return [(scored[key], scored[other]) for key, other in of.items()]
