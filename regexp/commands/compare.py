"""`regexp compare`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from omegaconf import DictConfig

from regexp.commands.arguments import parse
from regexp.config.jobs import compose_one
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from regexp.compare.comparison import Comparison
    from regexp.compare.figures import Picture
    from regexp.tracking.stored import Reader

COMPARE = """\
regexp compare SWEEP_ID [SWEEP_ID ...] [paths.mlruns=FOLDER ...]

Which techniques help, how much and how surely: from what MLflow has of the runs of one sweep or
several, finished or running. Writes comparison.html (one page that needs nothing else),
comparison.md, comparison.csv and figures/*.png. Of a single sweep they are recorded as artifacts
of its parent run as well.

  --folder FOLDER    where to write; by default comparison
  --metric NAME      what techniques are compared by; by default test/accuracy, or test/rmse in
                     regression
  --no-record        leave the parent run as it is
  figures=false      without pictures, which is quicker"""

OWN = ("paths.", "tracking.", "figures=", "debug=")
"""Beginnings of the keys that the command takes."""


@dataclass(frozen=True)
class Request:
    """What the arguments ask for.

    Attributes:
        sweep_ids: of parent runs.
        folder: where to write.
        metric: by which; None is the usual one.
        record: whether the comparison is recorded with the parent run.
        config: says where the store is.
    """

    sweep_ids: tuple[str, ...]
    folder: Path
    metric: str | None
    record: bool
    config: DictConfig


def compare(arguments: Sequence[str]) -> int:
    """Compare the techniques of recorded sweeps.

    Returns:
        0.

    Raises:
        ConfigError: the arguments.
        TrackingError: the store, or a run that it does not have.
    """
    request = read(arguments)
    if request is None:
        return 0
    from regexp.compare.comparison import compare
    from regexp.compare.report import PAGE, pictures, write
    from regexp.compare.show import show
    from regexp.compare.written import printable
    from regexp.tracking.stored import Reader

    reader = Reader(request.config.tracking.uri, request.config.paths.mlruns)
    names = {sweep_id: _name(reader, sweep_id) for sweep_id in request.sweep_ids}
    comparison = compare(reader, request.sweep_ids, request.metric, names)
    if not len(comparison.table) or not comparison.table["finished"].any():
        raise ConfigError(f"no run of {_those(comparison)} has finished yet{_statuses(comparison)}")
    try:
        request.folder.mkdir(parents=True, exist_ok=True)
        drawn = pictures(reader, comparison) if request.config.figures else []
        write(comparison, drawn, request.folder)
    except OSError as error:
        raise ConfigError(
            f"--folder {request.folder}: cannot be written ({error.strerror or error})"
        ) from error
    show(comparison.table)
    for remark in comparison.remarks:
        print(remark)
    print(f"\nThe comparison: {printable(str(request.folder / PAGE))}", flush=True)
    if len(request.sweep_ids) == 1 and request.record:
        _record(request, reader, comparison, drawn)
    return 0


def read(arguments: Sequence[str]) -> Request | None:
    """What the arguments ask for; None if that is the usage alone, which is printed.

    Raises:
        ConfigError: an unknown option, or a key that the command does not take.
    """
    if {"--help", "-h"} & {*arguments}:
        print(COMPARE)
        return None
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--folder", type=Path, default=Path("comparison"))
    parser.add_argument("--metric")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--debug", action="store_true")
    parsed = parser.parse_intermixed_args(list(arguments))
    sweep_ids = tuple(dict.fromkeys(word for word in parsed.words if "=" not in word))
    overrides = [word for word in parsed.words if "=" in word]
    for override in overrides:
        if not override.startswith(OWN):
            raise ConfigError(
                f"{override}: what is compared has been trained, so that only paths.*, tracking.* "
                "and figures may be given"
            )
    if not sweep_ids:
        raise ConfigError("regexp compare: expected SWEEP_ID; see regexp compare --help")
    if parsed.debug:
        overrides.append("debug=true")
    config = compose_one(parse(overrides)[0])
    return Request(sweep_ids, parsed.folder, parsed.metric, not parsed.no_record, config)


class _Parser(argparse.ArgumentParser):
    """One that complains in the words of the other messages."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see regexp compare --help")


def _name(reader: "Reader", sweep_id: str) -> str:
    """The name of a sweep, if it is one."""
    found = reader.run(sweep_id)
    if found.sweep_id:
        raise ConfigError(
            f"{sweep_id} is a run, not a sweep; its sweep is {found.sweep_id}: "
            f"regexp compare {found.sweep_id}"
        )
    return found.name


def _those(comparison: "Comparison") -> str:
    ids = ", ".join(comparison.sweeps)
    return f"the sweep{'s' if len(comparison.sweeps) > 1 else ''} {ids}"


def _statuses(comparison: "Comparison") -> str:
    """` (2 RUNNING, 1 FAILED)`."""
    counts = comparison.runs["status"].value_counts()
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f" ({told or 'it has no runs'})"


def _record(
    request: Request, reader: "Reader", comparison: "Comparison", drawn: "Sequence[Picture]"
) -> None:
    """Keep what was written with the parent run; where that is not possible, say why."""
    from regexp.compare.report import keep
    from regexp.tracking import StoreAwayError, Tracker, TrackingError

    tracking = request.config.tracking
    [(sweep_id, name)] = comparison.sweeps.items()
    try:
        experiment = reader.experiment(sweep_id)
        with Tracker(tracking.uri, experiment, request.config.paths.mlruns) as tracker:
            record = tracker.joined(sweep_id, name)
            try:
                keep(comparison, drawn, request.folder, record)
            finally:
                record.finish()
    except (TrackingError, OSError) as error:
        why = error.why if isinstance(error, StoreAwayError) else error
        print(f"It is not recorded in MLflow: {why}", file=sys.stderr)
    else:
        if tracker.left.nothing:
            print(f"Recorded in MLflow with the sweep ({sweep_id}).", flush=True)
