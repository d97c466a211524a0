"""The looks at a sweep: what earlier comparisons have spent, and what this one may claim.

A sweep keeps its looks in the artifact `looks.json` of its parent run. Runs may belong to several
sweeps, such as one with more seeds; whatever looked at runs of the same techniques at fewer seeds
was an earlier look. Comparisons at equal numbers of seeds are one look, however often they are
made, and looks by one metric spend nothing of another's.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from regexp.compare.baseline import FAMILY, KEYS, Baseline, Key, controls
from regexp.compare.family import ROWS
from regexp.compare.formats import error_text, listed
from regexp.compare.metric import Metric
from regexp.compare.question import Texts
from regexp.compare.sequential import (
    Look,
    Standing,
    information,
    level,
    planned,
    standings,
    unplanned,
)
from regexp.compare.statistics import ALPHA, Floats
from regexp.compare.verdict import LEAST
from regexp.config.values import AUTO, FIRST

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.comparison import Comparison

FILE = "looks.json"
"""Of a sweep's parent run."""

State = Standing | Literal["beside"]

Question = tuple[str, str, str]
"""Metric, factor and baseline of a comparison."""


_NOTHING = 1e-9
"""Of error: what rounding leaves where all is spent."""


@dataclass(frozen=True)
class Looks:
    """The looks at a sweep.

    Attributes:
        by_question: those of each question.
        told: what became of techniques at the looks of a sweep with `seeds: auto`, for people.
    """

    by_question: Mapping[Question, Sequence[Look]] = field(default_factory=dict)
    told: Sequence[str] = ()

    def as_json(self) -> str:
        """For the artifact."""
        looks = [
            {"question": list(question), "looks": [[one.seeds, one.spends] for one in looks]}
            for question, looks in self.by_question.items()
        ]
        return json.dumps({"looks": looks, "told": list(self.told)}, indent=1)

    @classmethod
    def read(cls, source: Texts, sweep_id: str) -> Looks:
        """Those of a sweep; none of one without, or by other hands."""
        try:
            content = json.loads(source.text(sweep_id, FILE) or b"{}")
            by_question = {
                _question(one["question"]): [
                    Look(int(n), float(spent)) for n, spent in one["looks"]
                ]
                for one in content.get("looks", ())
            }
            return cls(by_question, [str(line) for line in content.get("told", ())])
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


def _question(parts: Sequence[Any]) -> Question:
    metric, factor, baseline = map(str, parts)
    return metric, factor, baseline


@dataclass(frozen=True)
class Spending:
    """What a comparison spends of the error that all looks at its runs share.

    Attributes:
        question: that it answers.
        looks: by which it and the ones before have spent; the last is this one.
        most: seeds of a sweep that stops when it is decided; None where seeds are given.
        family: how many techniques are compared with a baseline, at most.
        ended: whether all runs have: before that a look is none that counts.
        own: the looks of the sweep, all questions; None of several sweeps, which keep none.
    """

    question: Question
    looks: Sequence[Look]
    most: int | None
    family: int
    ended: bool
    own: Looks | None = None

    @property
    def level(self) -> float:
        """Corrected p-values below it are claims."""
        return level(self.looks, self.family)

    def level_at(self, seeds: int) -> float:
        """The level of a later comparison at so many seeds, if there is none between."""
        if self.most is not None and seeds <= self.most:
            return self.last_level
        looks = unplanned(self.looks, max(seeds, self.looks[-1].seeds + 1), ALPHA)
        return level(looks, self.family) if looks[-1].spends > _NOTHING else 0.0

    @property
    def last_level(self) -> float:
        """The level of the last look of a sweep that stops when it is decided."""
        assert self.most is not None
        return level(planned(self.most, self.most, ALPHA, self.looks), self.family)

    @property
    def kept(self) -> Looks | None:
        """What the sweep is to keep; None where nothing is spent."""
        if self.own is None or not self.ended or self.looks[-1].seeds < LEAST:
            return None
        return replace(self.own, by_question={**self.own.by_question, self.question: self.looks})

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of it, sentences."""
        seeds = [str(one.seeds) for one in self.looks]
        held = f"what is claimed here is held to {error_text(self.level)}"
        if not self.level:
            held = "nothing is left for this one, which claims nothing"
        if self.most is not None:
            some = "once" if len(seeds) == 1 else f"{len(seeds)} times"
            told = "" if self.own is None else " ".join(["", *self.own.told])
            return [
                f"A sweep that stops when it is decided: looked at {some}, at {listed(seeds)} "
                f"seeds of at most {self.most}. All its looks together have {error_text(ALPHA)} of "
                f"error; {held}.{told}"
            ]
        if len(seeds) == 1:
            return []
        return [
            f"Seeds were added: these techniques were compared before at {listed(seeds[:-1])} "
            f"seeds. All comparisons together have {error_text(ALPHA)} of error, of which "
            f"{error_text(sum(one.spends for one in self.looks[:-1]))} were spent; {held}."
        ]


ALONE = Spending(("", "", ""), (Look(1, ALPHA),), None, 1, ended=False)
"""One look alone, with all of the error."""


def spending_of(
    source: Texts,
    frames: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    metric: Metric,
    against: Baseline,
) -> Spending:
    """What a comparison spends, by what its sweeps and others with the same runs have spent.

    Args:
        source: of what was recorded.
        frames: the runs of each sweep that is compared, as `Tracker.runs` gives them.
        runs: those that count.
        metric: that they are compared by.
        against: the baseline.
    """
    question = metric.name, against.factor, str(against)
    own = {sweep_id: Looks.read(source, sweep_id) for sweep_id in frames}
    tested = ~against.rows(runs) & ~runs["technique"].isin(controls(runs, against.name))
    finished = runs[(runs["status"] == "FINISHED") & tested]
    names = [*FAMILY, "technique", "variant"]
    seeds = finished.groupby(names)["seed"].nunique()
    now = max(int(seeds.max()) if len(seeds) else 0, 1)
    others = {
        other for ids in finished.get("sweeps", ()) for other in str(ids).split()
    } - frames.keys()
    read = [*own.values(), *(Looks.read(source, other) for other in sorted(others))]
    earlier = [one for looks in read for one in looks.by_question.get(question, ())]
    most = _most_of(source, next(iter(frames))) if len(frames) == 1 else None
    looks = unplanned(earlier, now, ALPHA) if most is None else planned(most, now, ALPHA, earlier)
    return Spending(
        question,
        looks,
        most,
        int(seeds.groupby(FAMILY).size().max()) if len(seeds) else 1,
        ended=not runs["status"].isin(["RUNNING", "SCHEDULED"]).any(),
        own=next(iter(own.values())) if len(own) == 1 else None,
    )


def _most_of(source: Texts, sweep_id: str) -> int | None:
    """`seeds_max` of a sweep with `seeds: auto`; None of others."""
    import yaml

    try:
        settings = yaml.safe_load(source.text(sweep_id, "sweep.yaml") or b"")
        return max(int(settings["seeds_max"]), FIRST) if settings["seeds"] == AUTO else None
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return None  # of an earlier version, or by other hands


def standings_of(comparison: Comparison) -> dict[Key, State]:
    """Where the techniques of a sweep with `seeds: auto` stand, by the rows of its comparison.

    The baseline and an A/A arm are run beside those that are open.
    """
    found: dict[Key, State] = {}
    for family in comparison.families:
        rows = family.rows
        beside = rows["outcome"].isin(["baseline", "noise floor"])
        words = _standings(rows[~beside], comparison.spending)
        for row in rows.itertuples():
            found[tuple(getattr(row, key) for key in KEYS)] = words.get(row.Index, "beside")
    return found


def _standings(rows: pd.DataFrame, spending: Spending) -> dict[Hashable, Standing]:
    """Of the techniques of a family, by their places in its table: open as long as one question is
    that their runs say anything of."""
    assert spending.most is not None
    pairs = np.maximum(rows["pairs"].to_numpy(float), 1)
    questions = []
    for p, corrected, ratio in _answers(rows, pairs):
        questions.append(standings(
            p,
            corrected,
            information(pairs, spending.most, ratio),
            now=spending.level,
            last=spending.last_level,
            family=spending.family,
        ))  # fmt: skip
    words = [min(of_row, key=_FIRST.index) for of_row in zip(*questions, strict=True)]
    return dict(zip(rows.index, words, strict=True))


_FIRST: tuple[Standing, ...] = ("open", "decided", "hopeless", "unknown")
"""Of the standings of several questions the one that counts."""


def _answers(rows: pd.DataFrame, pairs: Floats) -> list[tuple[pd.Series, pd.Series, Floats]]:
    """(p, corrected p, `ratio` as in `information`) of each question, [rows]."""
    # on other rows error^2 is that on this table times 1 + n ratio
    share = (rows[f"{ROWS}error"] / rows["error"]).to_numpy(float) ** 2
    ratio = np.maximum(np.nan_to_num(share - 1, nan=0.0) / pairs, 0.0)
    return [
        (rows[f"{prefix}p"], rows[f"{prefix}p_corrected"], stays)
        for prefix, stays in (("", np.zeros(len(rows))), (ROWS, ratio))
    ]
