"""The page of a search: the recipe in words, what it is worth, and how it was found."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.compare import html, markdown
from regexp.compare.comparison import Source, compare
from regexp.compare.document import document
from regexp.compare.figures import style as s
from regexp.compare.formats import counted_digits
from regexp.compare.metric import Metric
from regexp.compare.question import Question
from regexp.compare.report import FIGURES, ComparisonReport
from regexp.compare.tables import Column
from regexp.errors import ConfigError, count
from regexp.metrics.names import SEARCH
from regexp.search import finalists
from regexp.search.alone import NEXT, none_is_best
from regexp.search.records import NONE, RECIPES, SearchRecord
from regexp.sweeps.time_left import duration
from regexp.sweeps.tuning import numbers_in_words

if TYPE_CHECKING:
    from regexp.compare.figures import Picture
    from regexp.compare.question import Texts
    from regexp.tracking import RunRecord
    from regexp.tracking.stored import Reader

FOLDER = "search"
"""Of the artifacts of a search's own run."""

PAGE = f"{FOLDER}.html"

TEMPLATE = Path(__file__).with_name(f"{PAGE}.j2")


@dataclass(frozen=True)
class SearchReport:
    """What a search came to.

    Attributes:
        record: what was tried and found.
        worth: the comparison of the recipe with `none`, tuned and untuned.
        untuned: the same against untuned `none`: (arm, sentence).
        pictures: of the search.
    """

    record: SearchRecord
    worth: ComparisonReport
    untuned: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """How much was tried: (name, value)."""
        tried = [
            (f"tried of {'none' if arm == NONE else 'recipes'}", _size(self.record, arm))
            for arm in self.record.trials
        ]
        chosen = ("chosen by", f"{self.record.metric}, of validation rows alone")
        return [("command", f"regexp {self.record.title}"), *tried, chosen]

    @property
    def parts(self) -> list[tuple[str, str, str]]:
        """The techniques of the recipe: (name, its numbers, what it is)."""
        chosen = self.record.recipe
        return [
            (name, _numbers(numbers, chosen.usual[name]), chosen.explained[name])
            for name, numbers in chosen.recipe.techniques.items()
        ]

    @property
    def shared(self) -> list[Column]:
        """What the recipe and tuned `none` have both, with their numbers."""
        recipe, tuned = self.record.recipe.recipe.shared, self.record.tuned.recipe.shared
        return [
            Column("number", [s.measured(key.rpartition(".")[2]) for key in recipe], words=True),
            Column("recipe", [_value(key, recipe) for key in recipe], words=True),
            Column("none, tuned", [_value(key, tuned) for key in recipe], words=True),
        ]

    @property
    def alone(self) -> str:
        """That no technique is the best recipe found, where it is; else empty."""
        trials = self.record.trials[RECIPES]
        finished = [one.recipe for one in trials if one.score is not None]
        return none_is_best(self.record.recipe.recipe, trials[0].recipe, finished)

    @property
    def answers(self) -> list[tuple[str, str]]:
        """Those of the comparison; before them, or alone if nothing is compared, `alone`."""
        document = self.worth.document
        ours = [("", f"{self.alone} {NEXT}")] if self.alone else []
        outcomes = {one for family in document.families for one in family.outcomes}
        compares = outcomes - {"baseline", "yardstick"}
        return [*ours, *(document.answers if compares or not ours else ())]

    @property
    def finalists(self) -> list[Column]:
        """The best trials as they were trained again; none where they are not recorded."""
        return finalists.columns(self.record)

    @property
    def reason(self) -> str:
        """Why the recipe is what it is."""
        return finalists.reason(self.record)

    @property
    def improvements(self) -> list[Column]:
        """The trials that were better than all before, and when they came."""
        better = self.record.improvements(RECIPES)
        metric = Metric(self.record.metric, self.record.lower_is_better)
        scores = [counted_digits(one.score, metric.unit, 4) for one in better]
        return [
            Column("trial", [str(one.number) for one in better],
                   [float(one.number) for one in better]),
            Column("after", [duration(one.seconds) for one in better],
                   [one.seconds for one in better]),
            Column(metric.title, scores, [one.score for one in better]),
            Column("recipe", [str(one.recipe) for one in better], words=True),
        ]  # fmt: skip

    @property
    def yardsticks(self) -> list[tuple[str, str]]:
        """Estimators and their scores on the same validation rows."""
        unit = Metric(self.record.metric).unit
        return [
            (name.replace("_", " "), counted_digits(score, unit, 4) + (" %" * (unit.factor == 100)))
            for name, score in self.record.yardsticks.items()
        ]


def _size(record: SearchRecord, arm: str) -> str:
    trials = record.trials[arm]
    ended = sum(not one.whole for one in trials)
    failed = sum(one.score is None for one in trials)
    seconds = sum(one.seconds for one in trials)
    batches = -(-len(trials) // record.batch)
    text = f"{len(trials)} in {count(batches, 'batch').replace('batchs', 'batches')}"
    text += f", {duration(seconds)} of training"
    text += f"; {ended} ended by a rung" * bool(ended)
    return text + f"; {failed} did not finish" * bool(failed)


def _numbers(numbers: Mapping[str, object], usual: Mapping[str, object]) -> str:
    if not numbers:
        return ""
    said = numbers_in_words(numbers)
    return said if numbers == usual else f"{said} (in its YAML {numbers_in_words(usual)})"


def _value(key: str, numbers: Mapping[str, object]) -> str:
    return numbers_in_words({key: numbers[key]}).partition("=")[2]


def record_in(source: Texts, sweep_id: str) -> SearchRecord | None:
    """What is recorded of a search; None of any other sweep, and of one that has not ended."""
    text = source.text(sweep_id, SEARCH)
    try:
        return None if text is None else SearchRecord.from_json(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # of another version, or by other hands


def ended_search(reader: Reader, sweep_id: str) -> SearchRecord | None:
    """As `record_in`, of a search whose verdict is there.

    Raises:
        ConfigError: see `check_verdict`.
    """
    record = record_in(reader, sweep_id)
    if record is not None:
        check_verdict(reader, sweep_id, record)
    return record


def check_verdict(reader: Reader, search_id: str, record: SearchRecord) -> None:
    """Raise ConfigError where the sweep that is the verdict of a search was deleted."""
    if not reader.has(record.verdict):
        raise ConfigError(
            f"the verdict of this search, the sweep {record.verdict}, was deleted",
            key=search_id,
            cure=f"give the command of the search again ({record.title}), which trains it anew",
        )


def report(
    source: Source, record: SearchRecord, worth: ComparisonReport, *, figures: bool
) -> SearchReport:
    """What a search came to.

    Args:
        source: the store of runs.
        record: of the search.
        worth: the comparison of its verdict.
        figures: whether pictures are drawn.
    """
    drawn: Sequence[Picture] = ()
    if figures:
        from regexp.search.figures import draw

        drawn = draw(record)
    return SearchReport(record, worth, _against_untuned(source, worth), drawn)


def _against_untuned(source: Source, worth: ComparisonReport) -> list[tuple[str, str]]:
    """Sentences on the arms against untuned `none`, if that is an arm of its own."""
    from regexp.search.verdict import UNTUNED  # with all that trains

    compared = worth.comparison
    untuned = next((name for name in compared.table["label"] if name == f"none ({UNTUNED})"), None)
    if untuned is None:
        return []
    question = Question(compared.metric.name, None, untuned, compared.matters)
    other = document(compare(source, [*compared.sweeps], question, compared.sweeps))
    return [
        (name, sentence)
        for family in other.families
        for (name, sentence), outcome in zip(
            zip(family.verdicts[0].cells, family.verdicts[-1].cells, strict=True),
            family.outcomes,
            strict=True,
        )
        if outcome not in ("baseline", "yardstick")
    ]


def page(report: SearchReport) -> str:
    """The page: that of the verdict's comparison, with the recipe and the search in it."""
    dataset = next((family.dataset for family in report.worth.comparison.families), "no data")
    made = replace(report.worth.document, title=f"A recipe for {dataset}", answers=report.answers)
    return html.page(made, TEMPLATE, search=report)


def write(report: SearchReport, folder: Path) -> Path:
    """Write `search.html` and `figures/search_*.png`; the page's file.

    Args:
        report: of a search.
        folder: made where it is not.

    Raises:
        OSError: it cannot be written.
    """
    figures = folder / FIGURES
    (figures if report.pictures else folder).mkdir(parents=True, exist_ok=True)
    for picture in report.pictures:
        (figures / f"{picture.name}.png").write_bytes(picture.png)
    (folder / PAGE).write_text(page(report), encoding="utf-8")
    return folder / PAGE


def keep(report: SearchReport, search: RunRecord) -> None:
    """Record the page and the pictures as artifacts of a search's own run, and describe it.

    Raises:
        OSError: neither the store nor the disk took them.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        search.artifact(write(report, folder), FOLDER)
        for picture in report.pictures:
            search.artifact(folder / FIGURES / f"{picture.name}.png", f"{FOLDER}/{FIGURES}")
    search.note(description(report))


def description(report: SearchReport) -> str:
    """The recipe and the answer in Markdown, for the page of the search in MLflow."""
    recipe = markdown.escaped(str(report.record.recipe.recipe))
    answers = [markdown.escaped(text) for _, text in report.answers]
    more = f"More, with pictures: the artifact `{FOLDER}/{PAGE}`."
    return "\n\n".join([f"**The recipe**: {recipe}", *answers, more])
