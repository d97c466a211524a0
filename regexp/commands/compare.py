"""`regexp compare`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from regexp.commands.arguments import CommandParser
from regexp.commands.explain import check_ended
from regexp.config.homes import at_home
from regexp.errors import ConfigError, printable
from regexp.metrics.names import SEARCH

if TYPE_CHECKING:
    from regexp.compare.comparison import Comparison
    from regexp.compare.report import ComparisonReport
    from regexp.search.records import SearchRecord
    from regexp.tracking.stored import Reader

COMPARE = """\
regexp compare SWEEP_ID [SWEEP_ID ...] [paths.mlruns=FOLDER ...]

Which techniques help, how much and how surely: from what MLflow has of the runs of one sweep or
several, finished or running. Writes comparison.html (one page that needs nothing else),
comparison.md, comparison.csv and figures/*.png. Of a single sweep they are recorded as artifacts
of its parent run as well. Of a search, its verdict is compared, and search.html has the recipe and
how it was found.

  --folder FOLDER    where to write; by default a folder of the sweep in comparison/
  --overwrite        where the folder holds the comparison of other sweeps
  --metric NAME      what techniques are compared by; by default the sweep's compare.metric, else
                     test/accuracy, or test/rmse in regression
  --factor KEY       what is compared if not techniques: optimizer, trainer.batch_size or whatever
                     the sweep varied; techniques are then a part of the setting
  --baseline NAME    what the others are held against, a technique or a level of the factor, with
                     its numbers where it has several: 'l1 (strength=0.001)'; by default none, or
                     the level that was run first
  --matters NUMBER   the least gain that matters, in points of accuracies and other shares, else in
                     the metric's own unit; by default half a point, or 1% of the baseline's mean
  --no-record        leave the parent run as it is
  figures=false      without pictures, which is quicker"""

_KEYS = ("paths.", "tracking.", "figures=", "debug=")
"""Beginnings of the keys that the command takes."""


def compare(arguments: Sequence[str]) -> int:
    """Compare the techniques of recorded sweeps.

    Returns:
        0.

    Raises:
        ConfigError: the arguments.
        TrackingError: the store, or a run that it does not have.
    """
    parser = CommandParser("compare")
    parser.add_argument("--folder", type=at_home)
    parser.add_argument("--overwrite", action="store_true")
    for name in ("metric", "factor", "baseline"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--matters", type=float)
    parser.add_argument("--no-record", action="store_true")
    given = parser.split(
        arguments,
        _KEYS,
        "what is compared has been trained, so that only paths.*, tracking.* and figures may be "
        "given",
    )
    sweep_ids = list(dict.fromkeys(given.words))
    if not sweep_ids:
        parser.error("expected SWEEP_ID")
    config = given.config
    folder: Path = given.folder or default_folder(sweep_ids)
    from regexp.compare.answer import headlines
    from regexp.compare.comparison import compare
    from regexp.compare.question import Question, recorded_question
    from regexp.compare.report import PAGE, ComparisonReport, check_folder, pictures, write
    from regexp.compare.show import show
    from regexp.tracking.stored import Reader

    reader = Reader(config.tracking.uri, config.paths.mlruns)
    names = {sweep_id: _name(reader, sweep_id) for sweep_id in sweep_ids}
    searches = {sweep_id: _search(reader, sweep_id) for sweep_id in sweep_ids}
    search = searches[sweep_ids[0]] if len(sweep_ids) == 1 else None
    verdicts = {one: found.verdict if found else one for one, found in searches.items()}
    names = {to: names.get(to) or _name(reader, to) for to in verdicts.values()}
    sweep_ids = [*names]
    asked = Question(given.metric, given.factor, given.baseline, given.matters)
    asked = asked.filled(recorded_question(reader, sweep_ids))
    try:
        comparison = compare(reader, sweep_ids, asked, names)
    except ConfigError as error:
        error.key = f"--{error.key}"
        raise
    if not len(comparison.table) or not comparison.table["finished"].any():
        raise ConfigError(f"no run of {_those(comparison)} has finished yet{_statuses(comparison)}")
    recorded = len(sweep_ids) == 1 and not given.no_record
    if not recorded:
        comparison.remarks.append(_UNRECORDED)
    try:
        if not given.overwrite:
            check_folder(folder, sweep_ids)
        folder.mkdir(parents=True, exist_ok=True)
        report = ComparisonReport(
            comparison, pictures(reader, comparison) if config.figures else ()
        )
        write(report, folder)
        page = None if search is None else _searched(search, reader, report, config, folder)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise ConfigError(problem, key=f"--folder {folder}") from error
    for line in headlines(comparison):
        print(printable(line))
    print()
    show(comparison)
    for remark in comparison.remarks:
        print(printable(remark))  # some are tags of the store
    print(f"\nThe comparison: {printable(str(folder / PAGE))}", flush=True)
    if page is not None:
        print(f"The search: {printable(str(page))}", flush=True)
    if recorded:
        _record(config, reader, report, folder)
    return 0


def _search(reader: "Reader", sweep_id: str) -> "SearchRecord | None":
    """The record of a search, whose verdict is compared; None of any other sweep.

    Raises:
        ConfigError: it has no verdict yet, or no more.
    """
    if reader.text(sweep_id, SEARCH) is None:
        check_ended(sweep_id, reader.run(sweep_id).tags)
        return None
    from regexp.search.page import ended_search  # with torch

    return ended_search(reader, sweep_id)


def _searched(
    search: "SearchRecord",
    reader: "Reader",
    report: "ComparisonReport",
    config: DictConfig,
    folder: Path,
) -> Path:
    """Write the page of a search; its file."""
    from regexp.search import page

    return page.write(page.report(reader, search, report, figures=config.figures), folder)


_UNRECORDED = (
    "This comparison is a look that is not recorded: it spends nothing of the error that all looks "
    "share, and none after it knows of it."
)


def default_folder(sweep_ids: Sequence[str]) -> Path:
    """`comparison/0123abcd`: of a comparison, by the beginnings of its sweeps' ids."""
    name = "_".join(sweep_id[:_SHORT] for sweep_id in sweep_ids[:_NAMED])
    if (more := len(sweep_ids) - _NAMED) > 0:
        name += f"_and_{more}_more"
    return Path("comparison", name)


_SHORT, _NAMED = 8, 5  # characters of an id, and ids


def _name(reader: "Reader", sweep_id: str) -> str:
    """The name of a sweep, if it is one."""
    run = reader.run(sweep_id)
    if run.sweep_id:
        raise ConfigError(
            f"{sweep_id} is a run, not a sweep; its sweep is {run.sweep_id}: "
            + reader.command("compare", run.sweep_id)
        )
    return run.name


def _those(comparison: "Comparison") -> str:
    ids = ", ".join(comparison.sweeps)
    return f"the sweep{'s' if len(comparison.sweeps) > 1 else ''} {ids}"


def _statuses(comparison: "Comparison") -> str:
    """` (2 RUNNING, 1 FAILED)`."""
    counts = comparison.runs["status"].value_counts()
    statuses = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f" ({statuses or 'it has no runs'})"


def _record(config: DictConfig, reader: "Reader", report: "ComparisonReport", folder: Path) -> None:
    """Keep what was written with the parent run; where that is not possible, say why."""
    from regexp.compare.report import keep
    from regexp.tracking import StoreAwayError, Tracker, TrackingError

    [(sweep_id, name)] = report.comparison.sweeps.items()
    try:
        experiment = reader.experiment(sweep_id)
        with Tracker(config.tracking.uri, experiment, config.paths.mlruns) as tracker:
            record = tracker.joined(sweep_id, name)
            try:
                keep(report, folder, record)
            finally:
                record.finish()
    except (TrackingError, OSError) as error:
        why = error.why if isinstance(error, StoreAwayError) else error
        print(f"It is not recorded in MLflow: {why}", file=sys.stderr)
    else:
        if tracker.left.nothing:
            print(f"Recorded in MLflow with the sweep ({sweep_id}).", flush=True)
