"""A process's part in a search: to lead it from the first trial to the verdict, or to help."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from regexp.config.jobs import written
from regexp.config.values import plain
from regexp.errors import count
from regexp.metrics.names import OF_SEARCH
from regexp.search import presented, verdict
from regexp.search.alone import NEXT, none_is_best
from regexp.search.arm import Arm, arms_of
from regexp.search.conclusion import conclude
from regexp.search.engine import rounds
from regexp.search.identity import end_of_search
from regexp.search.launched import launch_helpers
from regexp.search.progress import progress
from regexp.search.recipe import Recipe
from regexp.search.sampler import propose
from regexp.search.shared import Shared
from regexp.search.space import Space
from regexp.search.unseen import Watched, unseen_arms
from regexp.search.written import are_choices, as_experiment, command_of, write
from regexp.sweeps.execute import UNKEPT
from regexp.sweeps.launched import shared_tracker
from regexp.sweeps.planned_run import PlannedRun, key_of
from regexp.sweeps.present import present
from regexp.sweeps.progress import say
from regexp.sweeps.yardstick_runs import record_yardsticks
from regexp.sweeps.yardsticks import planned_yardsticks
from regexp.tracking import TakenError

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.tracking import RunRecord, Tracker

Tell = Callable[[str], None]
"""Says a line."""

TOLD = "search.told"
"""Tag of the search's own run: where it ended when somebody was told what came of it."""


def take_part(space: Space, tracker: Tracker, key: str) -> bool:
    """Lead the search, or take part in another process's; whether a run of the verdict failed.

    Who leads writes the recipe and the table. Who takes part leads where that process has ended
    before it came to its end.
    """
    try:
        with tracker.alone(f"search-{key}", None):
            launch_helpers(space.searched, key)
            return _lead(space, tracker, key)
    except TakenError:
        say("Another process searches the same: this one takes part.\n")
    launch_helpers(space.searched, key)
    parent_id = help_search(space, tracker, key, say)
    with tracker.alone(f"search-{key}", lambda who: None):
        if tracker.tags(parent_id).get(TOLD) == end_of_search(space):
            say("\nIt has told what came of it.")
            return False
        return _lead(space, tracker, key)


def helper(space: Space, key: str) -> None:
    """Take part, in a process that a command has started for this."""
    with shared_tracker(space.config) as tracker:
        help_search(space, tracker, key, lambda line: None)


def help_search(space: Space, tracker: Tracker, key: str, tell: Tell) -> str:
    """Train what no other process trains, until all is there; the id of the search's own run."""
    parent = _parent(space, tracker, key, owned=False)
    config = verdict.question(space.config)
    planned = unseen_arms(space, *_find(arms_of(space), tracker, parent.id, tell))
    worth = _worth(space, tracker, planned, key, owned=False)
    Shared(config, tracker, worth.id)(list(planned.values()))
    return parent.id


def _lead(space: Space, tracker: Tracker, key: str) -> bool:
    """Search and compare; whether a run of the verdict failed."""
    began = time.monotonic()
    parent, arms = _parent(space, tracker, key), arms_of(space)
    found, tuned, trials = _find(arms, tracker, parent.id, say)
    text = as_experiment(space, found)
    path = write(space, text, key)
    parent.text(text, "recipe.yaml")
    say(f"\nThe recipe: {found}\nNone, tuned with as many trials: {tuned}\n")
    finished = [one.recipe for one in arms[0].trials if None not in one.scores]
    if alone := none_is_best(found, space.default, finished):
        say(f"{alone} {NEXT}\n")
    planned = unseen_arms(space, found, tuned, trials)
    worth, compared, failed = _verdict(space, tracker, planned, key, parent.id)
    record = presented.record_of(
        space, arms, found, tuned, title=_title(space), verdict=worth, text=text
    )
    presented.present(tracker, parent, space, record, compared)
    parent.wall_seconds(time.monotonic() - began)
    parent.tags({TOLD: end_of_search(space)})
    parent.finish("FINISHED")
    say(f"\nThe recipe is an experiment, in {path}:\n  {command_of(space)}")
    if found.techniques and are_choices(space, found):
        techniques = f"regularizer=none,[{','.join(found.techniques)}]"
        say(f"Beside none, with its other numbers:\n  {command_of(space, '-m', techniques)}")
    return failed


def _parent(space: Space, tracker: Tracker, key: str, *, owned: bool = True) -> RunRecord:
    """Of the trials and finalists."""
    settings = {"command": _title(space), **_settings(space.config)}
    return tracker.sweep(f"{key} search", _title(space), settings, owned=owned)


def _worth(
    space: Space,
    tracker: Tracker,
    planned: Mapping[str, Sequence[PlannedRun]],
    key: str,
    *,
    owned: bool = True,
) -> RunRecord:
    """Of the verdict of the search with a key: in another's, the same runs may be other arms."""
    runs, settings = key_of(list(planned.values()), []), _settings(verdict.question(space.config))
    return tracker.sweep(f"{runs} of {key}", f"{_title(space)}: its worth", settings, owned=owned)


def _title(space: Space) -> str:
    return f"search {written(space.searched.command)}".strip()


def _find(
    arms: Sequence[Arm], tracker: Tracker, sweep_id: str, tell: Tell
) -> tuple[Recipe, Recipe, list[PlannedRun]]:
    """The recipe, and the numbers for `none`, by all trials, which the arms get, and finalists; and
    which runs these were, see `Watched.runs`.
    """
    began, before = time.monotonic(), 0
    train = Watched(Shared(arms[0].config, tracker, sweep_id))

    def after() -> None:
        nonlocal began, before
        if train.is_read:
            began, before = time.monotonic(), len(arms[0].trials)
        tell(progress(arms, time.monotonic() - began, before))

    rounds(arms, train, propose, after)
    return *conclude(arms, train), train.runs


def _settings(config: DictConfig) -> dict[str, object]:
    return {key: value for key, value in plain(config, resolve=False).items() if key not in UNKEPT}


def _verdict(
    space: Space,
    tracker: Tracker,
    planned: Mapping[str, Sequence[PlannedRun]],
    key: str,
    search_id: str,
) -> tuple[str, ComparisonReport | None, bool]:
    """Train the arms as a sweep of their own: its id, their comparison, whether a run failed."""
    config, began = verdict.question(space.config), time.monotonic()
    sticks = planned_yardsticks(config, list(planned.values()))
    parent = _worth(space, tracker, planned, key)
    outcomes = Shared(config, tracker, parent.id)(list(planned.values()))
    failures = [one for ends in outcomes for one in ends if one.status != "FINISHED"]
    for name, runs in planned.items():
        say(f"{runs[0].technique} ({name}): {count(len(runs), 'run')} with fresh seeds")
    with tracker.asking_once():
        record_yardsticks(*sticks, tracker, parent, reuse=config.reuse)
    report = present(tracker, parent, config)
    parent.wall_seconds(time.monotonic() - began)
    for one in failures:
        say(f"{one.name} failed: {one.reason}")
    parent.tags({OF_SEARCH: search_id})
    parent.finish("FAILED" if failures else "FINISHED")
    return parent.id, report, bool(failures)
