"""The report of a comparison: files in a folder, and the same kept with a sweep's parent run."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.compare import html, markdown
from regexp.compare.baseline import FAMILY, KEYS
from regexp.compare.claims import Claim, Finding, evaluate
from regexp.compare.comparison import Comparison, Source, compare
from regexp.compare.document import Document, document
from regexp.compare.looks import FILE as LOOKS
from regexp.compare.pictured import panel_keys, pictured
from regexp.compare.question import Question
from regexp.errors import ConfigError, in_a_file, printable

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.figures import Each, Picture
    from regexp.tracking import RunRecord

FOLDER = "comparison"
"""Of the artifacts of a parent run, and by default of `regexp compare`."""

PAGE = f"{FOLDER}.html"
FIGURES = "figures"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparisonReport:
    """What sweeps came to: their comparison, its pictures, and what came of a paper's claims."""

    comparison: Comparison
    pictures: "Sequence[Picture]" = ()
    claims: Sequence[Finding] = ()

    @cached_property
    def document(self) -> Document:
        """What the comparison says."""
        return document(self.comparison, self.pictures)


def report(
    source: Source,
    sweep: "RunRecord",
    question: Question | None = None,
    *,
    figures: bool = True,
    claims: Sequence[Claim] = (),
    each: "Each" = map,
) -> ComparisonReport:
    """Compare the runs of a sweep, and keep the result as its artifacts and description.

    Args:
        source: of the sweep's runs.
        sweep: its parent run.
        question: what is asked of the runs.
        figures: whether pictures are drawn.
        claims: of a paper, to be held against the runs.
        each: draws the pictures, as `map` does.

    Raises:
        ConfigError: the runs do not answer the question.
        TrackingError: the store cannot be read.
        OSError: neither the store nor the disk took the files.
    """
    comparison = compare(source, [sweep.id], question, {sweep.id: sweep.name})
    drawn = pictures(source, comparison, each) if figures else ()
    found = evaluate(claims, source.runs(sweep.id)) if claims else ()
    made = ComparisonReport(comparison, drawn, found)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / FOLDER
        write(made, folder)
        keep(made, folder, sweep)
    return made


def pictures(source: Source, comparison: Comparison, each: "Each" = map) -> "list[Picture]":
    """The pictures of a comparison; none where they cannot be drawn, which is said in the log.

    Raises:
        StoreAwayError: the store does not answer.
    """
    from regexp.compare.figures import draw
    from regexp.tracking import StoreAwayError

    if comparison.runs.empty:
        return []
    try:
        shown = replace(comparison, families=list(pictured(comparison)))
        return draw(shown, *material(source, shown), each)
    except StoreAwayError:
        raise
    except Exception as error:  # what was found is worth more than its pictures
        _logger.warning("The pictures cannot be drawn: %s: %s", type(error).__name__, error)
        return []


def material(source: Source, comparison: Comparison) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The curves and the diagnostics that pictures of a comparison's families are drawn from.

    Raises:
        StoreAwayError: the store does not answer.
    """
    from regexp.compare.curves import curves, diagnostics

    runs = comparison.runs
    places = {(family.dataset, family.setting) for family in comparison.families}
    there = runs[FAMILY].itertuples(index=False, name=None)
    runs = runs[[place in places for place in there]]
    drawn: set[Any] = set()
    for family in comparison.families:
        drawn |= panel_keys(family.rows, comparison.metric, comparison.against)
    keys = runs[KEYS].itertuples(index=False, name=None)
    return curves(source, runs), diagnostics(source, runs[[key in drawn for key in keys]])


def check_folder(folder: Path, sweep_ids: Sequence[str]) -> None:
    """Check that a folder has no comparison of other sweeps.

    Raises:
        ConfigError: it has.
        OSError: it cannot be read.
    """
    page = folder / PAGE
    if page.is_file() and (others := html.sweeps_of(page)) != set(sweep_ids):
        whose = ", ".join(sorted(map(printable, others))) or "an earlier version's"
        raise ConfigError(
            f"it holds the comparison of other sweeps ({whose})",
            key=f"--folder {folder}",
            cure="give another folder, or --overwrite",
        )


def write(report: ComparisonReport, folder: Path) -> None:
    """Write `comparison.csv`, `comparison.md`, `comparison.html` and `figures/*.png`.

    Args:
        report: of sweeps.
        folder: made where it is not; files of these names are replaced.

    Raises:
        OSError: it cannot be written.
    """
    figures = folder / FIGURES
    (figures if report.pictures else folder).mkdir(parents=True, exist_ok=True)
    (folder / f"{FOLDER}.csv").write_text(table_csv(report.comparison), encoding="utf-8")
    for picture in report.pictures:
        (figures / f"{picture.name}.png").write_bytes(picture.png)
    (folder / f"{FOLDER}.md").write_text(markdown.page(report.document), encoding="utf-8")
    (folder / PAGE).write_text(html.page(report.document), encoding="utf-8")


def table_csv(comparison: Comparison) -> str:
    """`with_metric` as CSV."""
    return in_a_file(with_metric(comparison).map(_as_text).to_csv(index=False))


def with_metric(comparison: Comparison) -> "pd.DataFrame":
    """The table with all its columns, and the metric."""
    table = comparison.shown.copy()
    table.insert(list(table).index("label") + 1, "metric", comparison.metric.name)
    return table


def keep(report: ComparisonReport, folder: Path, sweep: "RunRecord") -> None:
    """Record what was written as artifacts of a parent run, and set its description.

    Args:
        report: that was written.
        folder: where to; nothing else in it, such as the pictures of another comparison, is
            recorded.
        sweep: the parent run.
    """
    for ending in ("csv", "md", "html"):
        sweep.artifact(folder / f"{FOLDER}.{ending}", FOLDER)
    for picture in report.pictures:
        sweep.artifact(folder / FIGURES / f"{picture.name}.png", f"{FOLDER}/{FIGURES}")
    if (looks := report.comparison.spending.kept) is not None:
        sweep.text(looks.as_json(), LOOKS)
    sweep.note(markdown.description(report.document))


def _as_text(value: object) -> object:
    """A name as it is, but that a spreadsheet takes none for a formula."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value
