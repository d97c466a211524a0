"""Test rows that no trial sees, and the check that none did.

Trials, finalists and verdict are tested on the same rows; each seed splits the others into training
and validation rows. So whatever is learnt of recipes is learnt from rows that the verdict tests
nothing on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from omegaconf import DictConfig, open_dict, read_write

from regexp.config.searched import Searched
from regexp.config.values import copied
from regexp.dataset.data import Data, Rows, Split
from regexp.errors import ConfigError, count
from regexp.search.engine import Train
from regexp.search.recipe import Recipe
from regexp.search.seeds import FINALIST_SEED, TRIAL_SEED, VERDICT_SEED
from regexp.search.space import Space
from regexp.search.verdict import planned_arms
from regexp.sweeps.ingredients import load_data
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun


def with_unseen(searched: Searched) -> Searched:
    """What a search starts from, with test rows for all of its runs: those of a trial's split.

    It is as it was where the configuration says how rows are split, or the data tell which are
    tested.

    Raises:
        ConfigError: as `check_unseen`, of a trial, a finalist and a run of the verdict.
    """
    config = searched.config
    trial, finalist, tested = _one_of_each(config)
    is_free = config.dataset.split_seed is None and config.dataset.test_seed is None
    if is_free and not np.array_equal(_rows(_data(trial).test), _rows(_data(tested).test)):
        config = copied(config)
        with read_write(config), open_dict(config):
            config.dataset.test_seed = TRIAL_SEED
        trial, finalist, tested = _one_of_each(config)
    check_unseen([trial, finalist], [tested])
    return replace(searched, config=config)


def _one_of_each(config: DictConfig) -> tuple[PlannedRun, PlannedRun, PlannedRun]:
    """Runs without techniques, as a trial, a finalist and a run of the verdict have their rows."""
    of = plan(copied(config))[0].with_seeds()
    return of(TRIAL_SEED), of(FINALIST_SEED), of(VERDICT_SEED)


@dataclass
class Watched:
    """Trains the runs that a search chooses by, and keeps which rows these have.

    Attributes:
        train: see `engine.Train`.
        is_read: whether all runs that it was given last had ended before.
    """

    train: Train
    is_read: bool = field(default=False, init=False)
    _runs: dict[str, PlannedRun] = field(default_factory=dict, init=False)

    def __call__(self, jobs: Sequence[Sequence[PlannedRun]]) -> Sequence[Sequence[Outcome]]:
        """See `engine.Train`."""
        for run in (run for job in jobs for run in job):
            self._runs.setdefault(_split_of(run), run)
        outcomes = self.train(jobs)
        self.is_read = all(one.before for ends in outcomes for one in ends)
        return outcomes

    @property
    def runs(self) -> list[PlannedRun]:
        """One of each split and seed that was trained."""
        return [*self._runs.values()]


def unseen_arms(
    space: Space, found: Recipe, tuned: Recipe, trials: Sequence[PlannedRun]
) -> dict[str, list[PlannedRun]]:
    """The runs of the verdict, see `verdict.planned_arms`, of which no trial knows a test row.

    Raises:
        ConfigError: as `check_unseen`.
    """
    planned = planned_arms(space, found, tuned)
    check_unseen(trials, [run for runs in planned.values() for run in runs])
    return planned


def check_unseen(trials: Sequence[PlannedRun], tested: Sequence[PlannedRun]) -> None:
    """Check that nothing that a search has chosen by knows the rows that its verdict is tested on.

    The rows are those of the data that runs are given, whatever their configuration says of them.

    Args:
        trials: runs that chose.
        tested: runs of the verdict.

    Raises:
        ConfigError: a test row that a trial has trained on or validated with; a seed that a trial
            had; other data than the trials'; validation rows that are the test rows once more.
    """
    seeds = {run.seed for run in trials}
    for run in tested:
        if run.seed in seeds:
            raise _leak(f"its seed {run.seed} is that of a trial")
        if run.checksum != trials[0].checksum:
            raise _leak(f"it is tested on other data than the trials, {run.dataset}")
    used = {_split_of(run): _data(run) for run in trials}
    known = np.unique(
        np.concatenate(
            [_rows(part) for one in used.values() for part in (one.train, one.validation)]
        )
    )
    for run in {_split_of(run): run for run in tested}.values():
        data = _data(run)
        seen = np.intersect1d(_rows(data.test), known)
        if len(seen):
            raise _leak(
                f"{count(len(seen), 'row')} of its test split of seed {run.seed} (such as row "
                f"{seen[0]} of {data.name}) {'was' if len(seen) == 1 else 'were'} trained on or "
                "validated with by trials"
            )
        if _is_copy(data):
            raise _leak(f"the validation rows of {data.name} are its test rows once more")


def _leak(problem: str) -> ConfigError:
    return ConfigError(
        f"the verdict would not be of rows and seeds that no trial knew: {problem}",
        key="search",
        cure="leave dataset.split_seed and dataset.test_seed null, or let your own split have no "
        "row twice",
    )


def _split_of(run: PlannedRun) -> str:
    """What says which rows a run has in which split."""
    return json.dumps([run.config["dataset"], run.config["paths"]["data"], run.seed])


def _data(run: PlannedRun) -> Data:
    return load_data(run.config["dataset"], run.config["paths"]["data"], run.seed)


def _rows(split: Split) -> Rows:
    if split.rows is None:
        raise _leak("the data do not tell the numbers of their rows")
    return split.rows


def _is_copy(data: Data) -> bool:
    """Whether the validation split has the inputs and targets of the test split, row for row."""
    if len(data.validation) != len(data.test):
        return False
    first, other = (_contents(split) for split in (data.validation, data.test))
    return first is not None and first == other


def _contents(split: Split) -> Counter[bytes] | None:
    """How often each row is there; None of rows that memory does not hold."""
    if not split.in_memory:
        return None
    return Counter(map(_bytes, split.inputs[:], split.targets))


def _bytes(*parts: torch.Tensor) -> bytes:
    return b"".join(part.numpy().tobytes() for part in parts)
