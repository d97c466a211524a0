"""`regexp explain`: what each technique of a recipe carries."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import open_dict, read_write

from regexp.commands.arguments import CommandParser
from regexp.config.homes import at_home
from regexp.errors import ConfigError
from regexp.metrics.names import OF_SEARCH

if TYPE_CHECKING:
    from regexp.tracking.stored import Reader

EXPLAIN = """\
regexp explain SWEEP_ID [paths.mlruns=FOLDER ...]

What each technique of a recipe carries, of a search or of any sweep with one cocktail. Each is left
out in turn, and the schedule of the learning rate, in real runs at the seeds and splits of the
recipe's own, with an interval and a verdict. Then the smallest cocktail that is not worse is looked
for, by validation rows, and held against the whole with fresh seeds; it is written as
experiment/recipe_small.yaml. A command that was broken off goes on from there.

  --seeds NUMBER     so many of the recipe's seeds, the first; by default all
  --folder FOLDER    gets the experiment; by default the search's own
  --allow NAME       a class or function that is no part of regexp and that the recorded
                     configuration may call; see regexp rerun --help
  dry_run=true       tell what would be trained, and write nothing
  figures=false      without pictures, which is quicker"""

_KEYS = ("paths.", "tracking.", "figures=", "dry_run=", "debug=")
"""Beginnings of the keys that the command takes."""

_REFUSAL = (
    "the configuration is taken from the recorded runs, so that only paths.*, tracking.*, figures "
    "and dry_run may be given"
)


def explain(arguments: Sequence[str]) -> int:
    """`regexp explain`: its exit status.

    Raises:
        ConfigError: the arguments, a sweep without a cocktail, or one that is not trusted.
        TrackingError: the store, or a sweep that it does not have.
        OSError: the experiment cannot be written; the runs are kept.
    """
    parser = CommandParser("explain")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--folder", type=at_home)
    parser.add_argument("--allow", action="append", default=[])
    given = parser.split(arguments, _KEYS, _REFUSAL)
    if len(given.words) != 1:
        parser.error("expected SWEEP_ID")
    if given.seeds is not None and given.seeds < 2:
        raise ConfigError(key="--seeds", got=given.seeds, expected="an integer >= 2")
    from regexp.compare.question import Question
    from regexp.config.values import plain
    from regexp.rerun.recorded import read_sweep
    from regexp.rerun.trust import check_trusted
    from regexp.search.cocktail_runs import cocktail_of
    from regexp.search.explain import explain as run_explain
    from regexp.search.explanation import Explanation
    from regexp.tracking.stored import Reader

    config = given.config
    reader = Reader(config.tracking.uri, config.paths.mlruns)
    sweep_id, recipe = _verdict_of(reader, given.words[0])
    sweep = read_sweep(reader, sweep_id)
    cocktail = cocktail_of(sweep.runs, given.seeds, plain(config.scheduler))
    check_trusted([*cocktail.configs, *cocktail.none], given.allow)
    with read_write(config), open_dict(config):
        config.tracking.experiment = reader.experiment(sweep_id)
    settings = sweep.settings
    folder = given.folder or Path((settings.get("search") or {}).get("folder") or "recipe")
    question = Question.read(settings.get("compare") or {})
    found = re.search(r"(?:^|\s)experiment=([\w./-]+)(?=\s|$)", str(settings.get("command", "")))
    named = found[1] if found and not recipe else ""
    data = _of_data(str(settings.get("command", ""))) if recipe else ()
    return run_explain(
        Explanation(config, sweep_id, sweep.name, cocktail, question, recipe, folder, named, data)
    )


def _of_data(command: str) -> tuple[str, ...]:
    """The overrides of a command that say which data it is of, but for the rows that are tested."""
    try:
        words = shlex.split(command)
    except ValueError:  # it was too long for a parameter
        return ()
    named = [word for word in words if re.match(r"\+*(dataset\b|hydra\.searchpath=)", word)]
    return tuple(word for word in named if not word.startswith("dataset.test_seed="))


def _verdict_of(reader: Reader, sweep_id: str) -> tuple[str, dict[str, Any]]:
    """(the sweep with the runs to explain, the experiment of the search that it is the verdict of).

    The experiment is {} of a sweep that is no search's, and where its search was deleted.
    """
    from regexp.rerun.archive import schema
    from regexp.search.page import check_verdict, record_in

    tags = reader.run(sweep_id).tags
    search_id = tags.get(OF_SEARCH, sweep_id)
    record = record_in(reader, search_id) if reader.has(search_id) else None
    if record is not None:
        if sweep_id not in (search_id, record.verdict):
            return sweep_id, {}  # of what the search had found before it went on
        check_verdict(reader, search_id, record)
        return record.verdict, schema.read_settings(record.text.encode())
    check_ended(sweep_id, tags)
    return sweep_id, {}


def check_ended(sweep_id: str, tags: Mapping[str, str]) -> None:
    """Raise ConfigError for a search without a verdict.

    Args:
        sweep_id: of a sweep that has no record of a search that has ended.
        tags: its own.
    """
    if tags.get("sweep.key", "").endswith(" search"):
        raise ConfigError(
            f"{sweep_id} is a search that has no verdict yet",
            cure="give its command again, which goes on from there",
        )
