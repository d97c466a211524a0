"""`regexp search`: what it looks through, and the processes that take part in it."""

from __future__ import annotations

from pathlib import Path

from regexp.config.searched import Searched, budget_of
from regexp.config.strays import override_key
from regexp.errors import count
from regexp.search.budget import runs_after
from regexp.search.identity import key_of_search
from regexp.search.lead import helper, take_part
from regexp.search.portfolio import unsearched
from regexp.search.rungs import rung_lines
from regexp.search.sampler import require
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.search.workers import helpers, start_importing, workers_of
from regexp.search.written import as_experiment, check_folder, prepare_folder
from regexp.sweeps.hosts import other_hosts
from regexp.sweeps.launched import shared_tracker
from regexp.sweeps.plan import plan
from regexp.sweeps.progress import remark_lines, say
from regexp.tracking import Terminated, interruptible
from regexp.tracking.mounts import check_one_machine


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
    key = key_of_search(space)
    prepare_folder(space.config.search.folder, key)
    as_experiment(space, space.default)  # what cannot be written is told before anything is trained
    first = plan(space.config)
    for line in [*remark_lines([first]), *lines_of(space)]:
        say(line)
    try:
        with (
            interruptible(),
            shared_tracker(searched.config) as tracker,
            helpers(workers - 1, helper, space, key),
        ):
            failed = take_part(space, tracker, key)
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
    known = asked.finalists is not None or budget is None
    trials = asked.trials if budget is None else asked.finalists or 0  # of which they are some
    runs = count(sum(runs_after(space.config, trials)), "run")
    after = f"at most {runs}" if known else f"{runs}, and more of many trials,"
    rests = unsearched(space)
    given = [override_key(one) for one in space.searched.command]
    both = budget is not None and "search.trials" in given
    return [
        *["search.budget ends the search, so that search.trials says nothing."] * both,
        f"{count(len(switches), 'technique')} to switch on or off: {', '.join(switches)}.",
        *[f"One of a kind, or none, for a whole batch: {', '.join(others)}."] * bool(others),
        f"{count(numbers, 'number')} of techniques, and of every recipe: "
        f"{', '.join(one.key for one in space.shared)}.",
        *[
            f"What search.portfolio has of {', '.join(rests)} is not searched, and rests: recipes "
            "have the configuration's own."
        ]
        * bool(rests),
        *rung_lines(space.config),
        f"{size}, in batches of {asked.batch}; then {after} for the choice and the verdict.",
        "",
    ]


def dry_run(searched: Searched) -> None:
    """Print the space and its size; nothing is written."""
    space = read_space(searched)
    check_folder(space.config.search.folder, key_of_search(space))
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
