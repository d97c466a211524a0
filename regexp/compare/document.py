"""What a comparison says, as data: sentences and tables, which Markdown and HTML only lay out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from regexp.compare import tables
from regexp.compare.answer import answers
from regexp.compare.baseline import NONE, TECHNIQUE
from regexp.compare.comparison import Comparison, Family
from regexp.compare.formats import relation
from regexp.compare.metric import Metric
from regexp.compare.pictured import pictured
from regexp.compare.question import Question
from regexp.compare.ranking import Across
from regexp.compare.tables import Column
from regexp.tracking import pasted

if TYPE_CHECKING:
    from regexp.compare.figures import Picture


@dataclass(frozen=True)
class FamilyPart:
    """A dataset and setting.

    Attributes:
        name: empty where there is only one.
        outcomes: of each technique, in a word.
        intervals: of each technique, (low, difference, high); NaN where there is none.
        verdicts: scores, differences and verdicts in sentences.
        tests: p-values, what could have been found, other rows' intervals.
        measures: further scores and costs.
        summary: scores, differences and verdicts in words.
    """

    name: str
    outcomes: list[str]
    intervals: list[tuple[float, float, float]]
    verdicts: list[Column]
    tests: list[Column]
    measures: list[Column]
    summary: list[Column]

    @property
    def sentences(self) -> list[tuple[str, str]]:
        """Techniques and their verdicts in sentences, but for the baseline."""
        pairs = zip(self.verdicts[0].cells, self.verdicts[-1].cells, strict=True)
        return [(name, sentence) for name, sentence in pairs if sentence]


@dataclass(frozen=True)
class AcrossPart:
    """The comparison across datasets: Friedman's test, and the techniques by their ranks."""

    friedman: str
    ranks: list[Column]


@dataclass(frozen=True)
class Document:
    """What a comparison says; of every table the first column names the rows.

    Attributes:
        title: the names of the sweeps.
        facts: what was compared, (name, value).
        answers: in a few sentences, (of what, sentences).
        details: the answers one by one, where there are many.
        lower_is_better: which side of zero is the better one.
        families: by dataset and setting.
        across: None where there is only one dataset.
        tuned: the numbers that a search has chosen; no columns where there was none.
        notes: how to read it, (of what, sentences).
        commands: what makes it, and its runs, again.
        pictures: in their order.
        sweeps: their ids.
    """

    title: str
    facts: list[tuple[str, str]]
    answers: list[tuple[str, str]]
    details: list[tuple[str, str]]
    lower_is_better: bool
    families: list[FamilyPart]
    across: AcrossPart | None
    tuned: list[Column]
    notes: list[tuple[str, list[str]]]
    commands: list[str]
    pictures: Sequence[Picture] = field(default=())
    sweeps: Sequence[str] = field(default=())


def document(comparison: Comparison, pictures: Sequence[Picture] = ()) -> Document:
    """Put what a comparison allows one to say into words and tables."""
    first, details = answers(comparison)
    across = comparison.across
    ids = list(comparison.sweeps)
    # not where a folder lies: the page may go to others
    again = partial(pasted.command, uri=comparison.server, folder=pasted.MLRUNS)
    return Document(
        title=", ".join(comparison.sweeps.values()),
        facts=_facts(comparison),
        answers=first,
        details=details,
        lower_is_better=comparison.metric.lower_is_better,
        families=[_family(comparison, family) for family in comparison.families],
        across=None if across is None else _across(across, comparison.metric),
        tuned=_tuned(comparison),
        notes=_notes(comparison, pictures),
        commands=[
            again("compare", *ids, *_options(comparison)),
            *(again("rerun", "--sweep", sweep_id) for sweep_id in ids),
        ],
        pictures=pictures,
        sweeps=ids,
    )


def _options(comparison: Comparison) -> list[str]:
    """What the comparison was asked, or would have to be asked to be the same."""
    against = comparison.against
    factor = None if against.factor == TECHNIQUE else against.factor
    baseline = None if against == NONE else str(against)
    return Question(comparison.metric.name, factor, baseline, comparison.matters).options


def _family(comparison: Comparison, family: Family) -> FamilyPart:
    rows, metric = family.shown, comparison.metric
    ends = rows[["low", "difference", "high"]].astype(float)
    return FamilyPart(
        name=family.name if len(comparison.families) > 1 else "",
        outcomes=list(rows["outcome"]),
        intervals=list(ends.itertuples(index=False, name=None)),
        verdicts=tables.verdict_columns(rows, metric, comparison.against),
        tests=tables.deciding_columns(rows, metric, comparison.against, family.judge.alpha),
        measures=tables.measure_columns(
            rows, comparison.against, regression=comparison.regression(family.dataset)
        ),
        summary=tables.summary_columns(rows, metric, comparison.against),
    )


def _across(across: Across, metric: Metric) -> AcrossPart:
    test = across.friedman
    sentence = (
        f"Friedman's test over {test.datasets} datasets and {test.techniques} techniques: "
        f"chi-squared {test.statistic:.2f}, p {relation(test.p)}."
    )
    if math.isnan(test.p):
        sentence = "Friedman's test takes three techniques or more, with the baseline."
    return AcrossPart(sentence, tables.rank_columns(across, metric))


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    metric, families = comparison.metric, comparison.families
    datasets = list(dict.fromkeys(family.dataset for family in families))
    settings = list(dict.fromkeys(family.setting for family in families if family.setting))
    seeds = comparison.table["finished"]
    span = list(dict.fromkeys([int(seeds.min()), int(seeds.max())])) if len(seeds) else [0]
    facts = []
    if any(datasets):
        facts.append(("dataset" if len(datasets) == 1 else "datasets", ", ".join(datasets)))
    if settings:
        varied = tables.shortened(", ".join(settings), 500)
        facts.append(("setting" if len(settings) == 1 else "settings", varied))
    better = "lower" if metric.lower_is_better else "higher"
    if comparison.against.factor != TECHNIQUE:
        facts.append(("compared", f"{comparison.against.kinds}, with {comparison.against}"))
    elif comparison.against != NONE:
        facts.append(("compared with", str(comparison.against)))
    facts += [
        ("compared by", f"{metric.name} ({better} is better)"),
        ("seeds", " to ".join(map(str, span))),
        ("runs", f"{int(seeds.sum())} finished of {len(comparison.runs)}"),
    ]
    if trials := len(comparison.trials):
        facts.append(("tried in a search", f"{trials} runs, which are left out"))
    sweeps = comparison.sweeps
    return [*facts, ("sweep" if len(sweeps) == 1 else "sweeps", ", ".join(sweeps))]


def _tuned(comparison: Comparison) -> list[Column]:
    """The numbers that a search has chosen, of each technique (dataset, setting)."""
    runs = comparison.runs
    if "tuned" not in runs or not (runs["tuned"] != "").any():
        return []
    keys = ["label", *(["dataset", "setting"] if len(comparison.families) > 1 else [])]
    rows = runs[runs["tuned"] != ""].drop_duplicates(["dataset", "setting", "label"])
    names = [", ".join(filter(None, row)) for row in rows[keys].itertuples(index=False)]
    return [
        Column("technique", names, words=True),
        Column("numbers", list(map(str, rows["tuned"])), words=True),
    ]


_TESTS = (
    "Each technique's differences to the baseline over datasets, with the signs of each dataset "
    "flipped for all techniques together, as is as likely where none is better or worse: step-down "
    "max-T (Westfall and Young 1993) corrects for all of them, and decides. Beside it average "
    "ranks, 1 for the best, Friedman's test that all techniques rank alike, and Wilcoxon's "
    "signed-rank test (zeros after Pratt), corrected after Holm. Ranks are of unrounded scores. "
    "The middle half (interquartile mean) is of all datasets' differences at equal seeds; its "
    "interval, by a bootstrap over seeds within each dataset, shows their spread and tests nothing."
)


def _notes(comparison: Comparison, pictures: Sequence[Picture]) -> list[tuple[str, list[str]]]:
    """Remarks on all of it, then notes: datasets and settings that share theirs together."""
    sharing: dict[tuple[str, ...], list[str]] = {}
    for family in comparison.families:
        sharing.setdefault(tuple(family.notes), []).append(family.name)
    notes = [("", comparison.remarks)] if comparison.remarks else []
    for sentences, names in sharing.items():
        notes.append(("" if len(sharing) == 1 else "; ".join(names), list(sentences)))
    if comparison.across is not None:
        notes.append(("Across datasets", [_TESTS, *comparison.across.notes]))
    if pictures and (shown := len(pictured(comparison))) < len(comparison.families):
        sentence = (
            f"{shown} of {len(comparison.families)} datasets and settings have pictures of their "
            "own: of each dataset those in which some technique scores best."
        )
        notes.append(("Pictures", [sentence]))
    return notes
