"""Runs that exist already: tries of this sweep, and runs of others that have ended.

A run is found by its fingerprint, anywhere in the experiment. One of another sweep stays where it
is and becomes a run of this sweep as well, by a tag. It counts only if it was trained by the
arithmetic that is used here: of runs that are compared, none must have been rounded otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from regexp.errors import count
from regexp.metrics.names import TUNING_STAGE
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking import Earlier, environment
from regexp.training.device import device_name, device_of

Tries = Callable[[Mapping[str, str]], list[Earlier]]
"""All runs of an experiment that have some tags, oldest first."""


def arithmetic_of(trainer: Mapping[str, Any]) -> dict[str, str]:
    """What bits depend on here beside configuration, data and code.

    Args:
        trainer: of a run's configuration.

    Returns:
        Name -> value, the `device` last: empty of a GPU that is not here.
    """
    device = torch.device(device_of(trainer["device"]))
    return environment.arithmetic() | {"device": device_name(device)}


def in_words(arithmetic: Mapping[str, str]) -> str:
    """Arithmetic as the tag of a run has it."""
    return ", ".join(f"{name} {value}" for name, value in arithmetic.items())


def search(tries: Tries, runs: Iterable[PlannedRun]) -> list[Earlier]:
    """The runs among which some planned ones may be: one request for each basis that they have."""
    bases = dict.fromkeys(run.basis for run in runs)
    return [one for basis in bases for one in tries({"basis": basis})]


def choose(
    found: Iterable[Earlier], sweep_id: str, runs: Sequence[PlannedRun], *, reuse: bool
) -> dict[str, Earlier]:
    """Fingerprint -> what a sweep goes on from, of the runs that exist at all.

    Of the tries of this sweep, and of runs that it reuses already, the first that ended counts,
    else the last. Where there are none, the latest run of another sweep that has ended counts; a
    trial only for a trial, as it has no weights to predict from or to compare.

    Args:
        found: oldest first; the later of two with the same id is the newer answer.
        sweep_id: of this sweep; empty where it has not begun.
        runs: as planned; those that follow from trials have the arithmetic of these.
        reuse: whether runs of other sweeps count.
    """
    devices = {run.config["trainer"]["device"]: run for run in runs}
    found = list({one.id: one for one in found}.values())
    here = {key: in_words(arithmetic_of(run.config["trainer"])) for key, run in devices.items()}
    here = {key: _elsewhere(words, found) for key, words in here.items()}
    wanted = {run.fingerprint: here[run.config["trainer"]["device"]] for run in runs}
    trials = {run.fingerprint for run in runs if run.stage == TUNING_STAGE}
    usual = next(iter(here.values()), "")
    chosen: dict[str, Earlier] = {}
    for one in found:
        if one.is_trial and one.fingerprint not in trials:
            continue
        before = chosen.get(one.fingerprint)
        decided = before is not None and sweep_id in before.sweeps
        if sweep_id in one.sweeps:
            better = not decided or not (before and before.ended)
        else:
            same = one.arithmetic == wanted.get(one.fingerprint, usual)
            better = reuse and one.ended and same and not decided
        if better:
            chosen[one.fingerprint] = one
    return chosen


def _elsewhere(here: str, found: Sequence[Earlier]) -> str:
    """The arithmetic of here; for a GPU that is not here, that of the last run on one.

    What other machines have is known by what they recorded: the runs of one kind of GPU count, by
    the libraries that are here.
    """
    if not here.endswith(_DEVICE):
        return here
    for one in reversed(found):
        on_gpu = _DEVICE in one.arithmetic and not one.arithmetic.endswith(f"{_DEVICE}cpu")
        if on_gpu and _libraries(one.arithmetic) == _libraries(here):
            return one.arithmetic
    return here


def _libraries(arithmetic: str) -> list[str]:
    return [part for part in arithmetic.split(", ") if part.startswith(_OF_ANY_MACHINE)]


_DEVICE = "device "
"""Begins the last part of an arithmetic, see `in_words`."""

_OF_ANY_MACHINE = ("torch ", "numpy ", "blas ", "oneDNN ", "matmul_precision ")
"""Beginnings of those that do not hang on the machine."""


def existing_lines(
    planned: Sequence[Sequence[PlannedRun]],
    known: Mapping[str, Earlier],
    sweep_id: str,
    *,
    auto: bool = False,
) -> list[str]:
    """A line on how many of a sweep's runs exist already; none where there are none.

    Args:
        planned: the runs of each job.
        known: what exists, by fingerprint.
        sweep_id: of the sweep.
        auto: whether it stops when it is decided, and may never have all of the runs.
    """
    runs = {run.fingerprint for job in planned for run in job}
    ended = [known[run] for run in runs if run in known and known[run].ended]
    if not ended:
        return []
    others = sum(one.sweep_id != sweep_id for one in ended)
    of_others = f", {others} of them in other sweeps" if others else ""
    left = len(runs) - len(ended)
    follow = any(run.trial_for for job in planned for run in job)  # only their trials are planned
    return [
        f"{len(ended)} of {count(len(runs), 'run')} exist already{of_others}; "
        f"{'at most ' if auto and left else ''}{left or 'none'} to train"
        f"{', beside those that follow from trials' * follow}."
    ]
