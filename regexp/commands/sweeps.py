"""`regexp ls` and `regexp delete`: the sweeps of a store."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from regexp.commands.arguments import CommandParser
from regexp.commands.rerun import STORE_KEYS
from regexp.errors import ConfigError, count, few, printable
from regexp.metrics.names import OF_SEARCH, SEARCH

if TYPE_CHECKING:
    from regexp.tracking.stored import Reader
    from regexp.tracking.sweeps import Deletion, SweepSummary

LS = """\
regexp ls [--all] [--json] [paths.mlruns=FOLDER ...]

The sweeps of the store, newest first: id, when it began, what became of its runs, datasets,
techniques, and the overrides that made it.

  --all     every sweep; without it the newest 20
  --json    all that is known of them, for programs"""

DELETE = """\
regexp delete SWEEP_ID [--yes] [--force] [paths.mlruns=FOLDER ...]

Delete a sweep with its runs, their files and checkpoints, for good, after asking. Runs that other
sweeps reuse stay, and belong to these. A tracking server keeps what is deleted until `mlflow gc`.

  --yes      do not ask
  --force    even if runs of it have not ended"""

_NEWEST = 20
_SHOWN = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_SHOWN |= {"RUNNING": "running", "SCHEDULED": "requeued"}


def ls(arguments: Sequence[str]) -> int:
    """List the sweeps of the store.

    Raises:
        ConfigError: the arguments.
        TrackingError: the store cannot be used.
    """
    parser = CommandParser("ls")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.split(arguments, STORE_KEYS)
    if given.words:
        parser.error(f"expected no word, got {given.words[0]}")
    from regexp.compare.show import show_columns
    from regexp.tracking.stored import Reader
    from regexp.tracking.sweeps import summaries

    reader = Reader(given.config.tracking.uri, given.config.paths.mlruns)
    found, more = summaries(reader, None if given.all else _NEWEST)
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
        return 0
    if not found:
        print(f"There is no sweep in {reader.source}.")
        return 0
    head = ["sweep", "began", "runs", "datasets", "techniques", "command"]
    show_columns(head, [_cells(one) for one in found], texts=head, file=sys.stdout)
    if more:
        print(f"These are the newest {_NEWEST}; --all lists every sweep.")
    return 0


def _cells(one: "SweepSummary") -> list[str]:
    runs = [f"{one.runs[key]} {word}" for key, word in _SHOWN.items() if key in one.runs]
    reused = [f"{one.reused} reused"] if one.reused else []
    cells = [
        one.sweep_id,
        datetime.fromtimestamp(one.started / 1000).strftime("%Y-%m-%d %H:%M"),
        ", ".join(runs + reused) or one.status.lower(),
        few(one.datasets),
        few(one.techniques),
        one.command or one.name,
    ]
    return [printable(cell) for cell in cells]


def delete(arguments: Sequence[str]) -> int:
    """Delete a sweep, after asking.

    Returns:
        0 if it is deleted, 1 if the answer was no.

    Raises:
        ConfigError: the arguments; runs that have not ended; nobody there to be asked.
        TrackingError: the store cannot be used, or has no such sweep.
    """
    parser = CommandParser("delete")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--force", action="store_true")
    given = parser.split(arguments, STORE_KEYS)
    if len(given.words) != 1:
        parser.error("expected SWEEP_ID; regexp ls lists them")
    from regexp.tracking import Tracker
    from regexp.tracking.stored import Reader
    from regexp.tracking.sweeps import delete, plan_deletion

    [sweep_id], config = given.words, given.config
    reader = Reader(config.tracking.uri, config.paths.mlruns)
    tags = reader.run(sweep_id).tags  # says so where there is none
    experiment = reader.experiment(sweep_id)
    with Tracker(config.tracking.uri, experiment, config.paths.mlruns) as tracker:
        plan = plan_deletion(tracker, sweep_id)
        for line in [*_lines(plan), *_of_search(reader, sweep_id, tags)]:
            print(printable(line))
        if plan.running and not given.force:
            raise ConfigError(
                f"runs of it have not ended ({plan.running})",
                key=sweep_id,
                cure="wait for them, or stop the command that trains them; --force deletes all "
                "the same",
            )
        if not given.yes and not _agreed():
            print("Nothing was deleted.")
            return 1
        now = plan_deletion(tracker, sweep_id)  # an answer takes as long as a person needs
        if not given.yes and now.is_other(plan):
            raise ConfigError(
                "meanwhile other commands changed what would go; nothing was deleted",
                key=sweep_id,
                cure="give the command again",
            )
        freed = delete(tracker, now)
    print("Deleted." if freed else "Deleted. `mlflow gc` on the server frees its disk.")
    return 0


def _lines(plan: "Deletion") -> list[str]:
    """What goes, and what stays."""
    lines = [
        f"{plan.name}: {count(len(plan.runs), 'run')} and the sweep itself, with files and "
        f"checkpoints ({_megabytes(plan.bytes)})"
    ]
    if plan.kept:
        lines.append(f"{_stay(len(plan.kept))}, which other sweeps reuse.")
    if plan.reused:
        lines.append(f"{_stay(len(plan.reused))}, which it reuses of others.")
    return lines


def _of_search(reader: "Reader", sweep_id: str, tags: Mapping[str, str]) -> list[str]:
    """What a search and the sweep that is its verdict are to each other."""
    search_id = tags.get(OF_SEARCH, sweep_id)
    if not reader.has(search_id) or reader.text(search_id, SEARCH) is None:
        return []
    from regexp.search.page import record_in  # with torch

    record = record_in(reader, search_id)
    if record is None:
        return []
    if sweep_id == record.verdict:
        return [
            f"It is the verdict of the search {search_id}, which `regexp compare` and `regexp "
            f"explain` need of it; the command of the search ({record.title}) trains it anew."
        ]
    stays = sweep_id == search_id and reader.has(record.verdict)
    return [f"Its verdict, the sweep {record.verdict}, stays."] if stays else []


def _stay(number: int) -> str:
    return f"{count(number, 'run')} stay{'s' * (number == 1)}"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("there is nobody to ask here", key="regexp delete", cure="give --yes")
    return input("Delete them for good? [y/N] ").strip().lower() in ("y", "yes")
