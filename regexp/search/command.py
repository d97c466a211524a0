"""A search from its first plan to its last table: trials, finalists, recipe, verdict."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from regexp.config.jobs import written
from regexp.config.searched import Searched, budget_of
from regexp.config.values import plain
from regexp.errors import count
from regexp.search import presented, verdict
from regexp.search.arm import Arm, arms_of
from regexp.search.cocktail_runs import OF_SEARCH
from regexp.search.engine import conclude, rounds, runs_after
from regexp.search.launched import launch_helpers
from regexp.search.progress import progress
from regexp.search.recipe import Recipe
from regexp.search.rungs import rung_lines
from regexp.search.sampler import propose, require
from regexp.search.shared import Shared
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.search.unseen import Watched, unseen_arms
from regexp.search.workers import helpers, start_importing, workers_of
from regexp.search.written import as_experiment, write
from regexp.sweeps.execute import UNKEPT
from regexp.sweeps.hosts import other_hosts
from regexp.sweeps.identity import code
from regexp.sweeps.launched import shared_tracker
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun, key_of
from regexp.sweeps.present import present
from regexp.sweeps.progress import remark_lines, say
from regexp.sweeps.yardsticks import planned_yardsticks, record_yardsticks
from regexp.tracking import TakenError, Terminated, interruptible
from regexp.tracking.mounts import check_one_machine

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.tracking import RunRecord, Tracker

Tell = Callable[[str], None]
"""Says a line."""

TOLD = "search.told"
"""Tag of the search's own run."""

ENDS = ("trials", "budget", "finalists", "finalist_seeds", "seeds", "folder", "workers")
"""Of `search.*`, what changes no batch: a search goes on where one with others of these ended."""


def run_search(searched: Searched) -> int:
    """Search, and print what came of it.

    Returns:
        0, or 1 if a run of the verdict failed or something could not be recorded.

    Raises:
        ConfigError: what only the data can tell is wrong; nothing was written.
        TrackingError: the store of runs cannot be used.
        KeyboardInterrupt: Ctrl-C, which has been told of.
    """
    require()
    master, mlruns = searched.master, Path(searched.config.paths.mlruns)
    others = "" if master is None else other_hosts(master.hydra.launcher)
    check_one_machine(searched.config.tracking.uri, mlruns, others)
    workers = workers_of(searched.config) if master is None else 1
    start_importing(workers)
    space = read_space(searched)
    first = plan(space.config)
    for line in [*remark_lines([first]), *lines_of(space)]:
        say(line)
    key = key_of_search(space)
    try:
        with (
            interruptible(),
            shared_tracker(searched.config) as tracker,
            helpers(workers - 1, _helper, space, key),
        ):
            failed = _take_part(space, tracker, key)
    except (KeyboardInterrupt, Terminated):
        say("\nInterrupted. The same command again goes on from here.")
        raise
    return 1 if failed or not tracker.left.nothing else 0


def lines_of(space: Space) -> list[str]:
    """What a search looks through, in a few lines."""
    asked, budget = space.config.search, budget_of(space.config)
    switches = space.switches
    others = [name for name in space.techniques if name not in switches]
    numbers = sum(len(one.dimensions) for one in space.techniques.values())
    size = (
        f"{count(asked.trials, 'recipe')} and as many configurations of none"
        if budget is None
        else f"recipes and as many configurations of none in {asked.budget} of training"
    )
    return [
        f"{count(len(switches), 'technique')} to switch on or off: {', '.join(switches)}.",
        *[f"One of a kind, or none, for a whole batch: {', '.join(others)}."] * bool(others),
        f"{count(numbers, 'number')} of techniques, and of every recipe: "
        f"{', '.join(one.key for one in space.shared)}.",
        *rung_lines(space.config),
        f"{size}, in batches of {asked.batch}; then at most {runs_after(space.config)} runs for "
        "the choice and the verdict.",
        "",
    ]


def dry_run(searched: Searched) -> None:
    """Print the space and its size; nothing is written."""
    space = read_space(searched)
    for line in lines_of(space):
        print(line)
    for one in space.shared:
        print(f"{one.key}: {one.text or ', '.join(map(str, one.choices))}")
    for name, technique in space.techniques.items():
        ranges = ", ".join(f"{technique.own(one.key)} {one.text}" for one in technique.dimensions)
        print(f"{name}: {ranges or 'on or off'}")
    for name, reason in space.left_out.items():
        print(f"left out: {name} {reason}")
    print("Nothing was written.")


def key_of_search(space: Space) -> str:
    """What makes two searches the same: data, network, code, and all that batches follow from."""
    first = plan(space.config)[0]  # without a technique
    asked = {key: value for key, value in plain(space.config.search).items() if key not in ENDS}
    nodes = {name: one.node for name, one in space.techniques.items()}
    ranges = {d.key: d.text for one in space.techniques.values() for d in one.dimensions}
    schedulers = {name: OmegaConf.to_container(node)
                  for name, node in space.searched.schedulers.items()}  # fmt: skip
    called = code(first.config | {"regularizer": nodes, "scheduler": schedulers})
    called["optuna"] = str(require().__version__)
    content = [first.fingerprint, asked, nodes, ranges, schedulers, called]
    text = json.dumps([*content, space.config.compare.metric])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _take_part(space: Space, tracker: Tracker, key: str) -> bool:
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
        if tracker.tags(parent_id).get(TOLD) == _told(space):
            say("\nIt has told what came of it.")
            return False
        return _lead(space, tracker, key)


def _helper(space: Space, key: str) -> None:
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
    config, began = space.config, time.monotonic()
    parent, arms = _parent(space, tracker, key), arms_of(space)
    found, tuned, trials = _find(arms, tracker, parent.id, say)
    path, text = write(space, found), as_experiment(space, found)
    parent.text(text, "recipe.yaml")
    say(f"\nThe recipe: {found}\nNone, tuned with as many trials: {tuned}\n")
    planned = unseen_arms(space, found, tuned, trials)
    worth, compared, failed = _verdict(space, tracker, planned, key, parent.id)
    record = presented.record_of(
        space, arms, found, tuned, title=_title(space), verdict=worth, text=text
    )
    presented.present(tracker, parent, space, record, compared)
    parent.wall_seconds(time.monotonic() - began)
    parent.tags({TOLD: _told(space)})
    parent.finish("FINISHED")
    say(
        f"\nThe recipe is an experiment, in {path}:\n"
        f"  regexp --config-dir {config.search.folder} experiment={path.stem} "
        f"{written(_of_data(space))}"
    )
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


def _told(space: Space) -> str:
    """Where a search ended of which somebody was told what came of it: the tag `TOLD`."""
    asked = plain(space.config.search)
    return json.dumps({name: asked[name] for name in ENDS if name != "workers"})


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


def _of_data(space: Space) -> list[str]:
    """The overrides that a recipe does not have: of the data, and of where things lie."""
    ours = ("dataset", "paths.", "tracking.")
    given = [one for one in space.searched.command if one.startswith(ours)]
    tested = f"dataset.test_seed={space.config.dataset.test_seed}"
    is_new = space.config.dataset.test_seed is not None and tested not in given
    return [*given, *[tested] * is_new]


def _settings(config: DictConfig) -> dict[str, object]:
    container = OmegaConf.to_container(config)
    assert isinstance(container, dict)
    return {str(k): v for k, v in container.items() if k not in UNKEPT}


def _verdict(
    space: Space,
    tracker: Tracker,
    planned: Mapping[str, Sequence[PlannedRun]],
    key: str,
    search_id: str,
) -> tuple[str, ComparisonReport | None, bool]:
    """Train the arms as a sweep of their own: its id, their comparison, whether a run failed."""
    config, began = verdict.question(space.config), time.monotonic()
    if verdict.FOUND not in planned:
        say("No recipe is better than none with tuned numbers: the two are the same.")
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
