"""Yardsticks: scikit-learn's learners on the rows, splits and seeds of a sweep's runs.

They are fitted on the prepared training rows alone and scored as the runs are, so that a table says
how good its networks are at all. They are recorded as runs of the sweep, with the tag `stage`.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from regexp.config.values import yardsticks_of
from regexp.dataset import limits
from regexp.dataset.base import CLASSIFICATION, Data
from regexp.dataset.lazy import LazyInputs
from regexp.errors import count
from regexp.metrics import names
from regexp.random import derive
from regexp.regularizer.cocktail import Cocktail
from regexp.sweeps.estimators import FITS, SETTINGS, names_for
from regexp.sweeps.final_metrics import metrics_of
from regexp.sweeps.identity import Node, own_code
from regexp.sweeps.ingredients import load_data
from regexp.sweeps.objective import build_objective
from regexp.sweeps.own_metrics import build_metrics
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking.environment import code_version

if TYPE_CHECKING:
    from omegaconf import DictConfig

UNITS = {"hist_gradient_boosting": 1_000_000, "logistic_regression": 30_000_000}
"""Where `yardsticks` is `auto`: what all fits of a yardstick on a dataset may take, in seeds x rows
(1,000 at least) x inputs x outputs. A unit takes 1.4 to 5.7 us of gradient boosting on one core,
and up to 0.5 us of a logistic regression that converges slowly. Those not named take less."""

ROWS = 1000
"""Below these gradient boosting takes hardly less time: its trees are as many."""

BYTES = 16
"""Of memory that each number of images takes: as float32, and in copies of scikit-learn's."""


@dataclass(frozen=True)
class Yardstick:
    """A learner on the data of one seed.

    Attributes:
        name: as its rows are called.
        settings: of the estimator, which are not its defaults.
        dataset: the node of the configuration.
        folder: `paths.data`.
        seed: of the data, and of what the estimator draws.
        trainer: of the runs beside it: how much rows count, a loss and metrics of the user's own,
            and its threads, which change no bit.
    """

    name: str
    settings: Node
    dataset: Node
    folder: str
    seed: int
    trainer: Node

    @cached_property
    def data(self) -> Data:
        """The rows that it is fitted and scored on."""
        return load_data(self.dataset, self.folder, self.seed)

    def __getstate__(self) -> dict[str, object]:
        # without the rows, which another process reads for itself
        return {name: value for name, value in vars(self).items() if name != "data"}

    @property
    def config(self) -> Node:
        """For the artifact `config.yaml`: what it is made again from."""
        return {
            "seed": self.seed,
            "dataset": self.dataset,
            "yardstick": {"name": self.name, **self.settings},
            "trainer": self.trainer,
            "paths": {"data": self.folder},
        }

    @classmethod
    def from_config(cls, config: Node, folder: str) -> Yardstick:
        """The yardstick of a recorded configuration, on the data that are here."""
        settings = dict(config["yardstick"])
        name, trainer = settings.pop("name"), dict(config["trainer"])
        return cls(name, settings, config["dataset"], folder, config["seed"], trainer)

    @property
    def fingerprint(self) -> str:
        """What its results follow from: it is fitted once in a sweep."""
        made_of = [self.name, self.settings, self.dataset, self.seed, self._asked]
        own = own_code(self.dataset, self.trainer)  # a user's dataset, loss or metrics
        made_of += [self.data.checksum, code_version(), *([own] if own else [])]
        text = json.dumps(made_of, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def fit(self) -> dict[str, float]:
        """Its metrics, as of a run: of training, validation and test rows; and the seconds."""
        import sklearn.ensemble
        import sklearn.linear_model  # noqa: F401, their imports are no part of the time
        from threadpoolctl import threadpool_limits

        data = self.data  # another process reads it for itself, which is none of the fit
        began = time.perf_counter()
        objective = build_objective(self.trainer, data, Cocktail({}))
        with threadpool_limits(self.trainer["threads"]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a regression that does not converge
            weights = objective.weights(data)
            counted = None if weights is None else weights.numpy()
            predict = FITS[self.name](data, self.settings, counted, self._random_state)
            outputs = {
                name: predict(getattr(data, name)) for name in ("train", "validation", "test")
            }
        seconds = time.perf_counter() - began
        own = build_metrics(self.trainer)
        found = metrics_of(data, outputs, objective.loss, own)
        return found | {names.SECONDS: seconds}

    @property
    def _asked(self) -> Node:
        """What is said of rows and scores, without the threads."""
        return {key: value for key, value in self.trainer.items() if key != "threads"}

    @property
    def _random_state(self) -> int:
        return derive(self.seed, "yardstick", self.name) % 2**32


def planned_yardsticks(
    config: DictConfig, planned: Sequence[Sequence[PlannedRun]]
) -> tuple[list[Yardstick], list[str]]:
    """The yardsticks of a sweep, once for each of its data and seeds; lines on what is left out.

    Args:
        config: what the sweep's jobs have in common.
        planned: the runs of each job; of a search its trials, whose own seeds have none.
    """
    wanted = yardsticks_of(config)
    if wanted is False:
        return [], []
    seeds: dict[str, dict[int, PlannedRun]] = {}
    for run in (run for runs in planned for run in runs):
        asked = json.dumps([run.config["dataset"], _trainer(run)])
        for seed in run.trial_for or (run.seed,):
            seeds.setdefault(asked, {}).setdefault(seed, run)
    sticks, left_out = [], []
    for by_seed in seeds.values():
        first, *_ = by_seed.values()
        node, folder = first.config["dataset"], first.config["paths"]["data"]
        data = load_data(node, folder, next(iter(by_seed)))
        for name in names_for(data):
            if reason := _too_much(name, data, len(by_seed), everything=bool(wanted)):
                left_out.append(f"yardsticks: {name} is left out on {data.name}: {reason}")
                continue
            settings = dict(SETTINGS.get(name, {}))
            trainer = _trainer(first)
            sticks += [Yardstick(name, settings, node, folder, seed, trainer) for seed in by_seed]
    return sticks, list(dict.fromkeys(left_out))


def _trainer(run: PlannedRun) -> Node:
    """What a yardstick takes of a run's `trainer`."""
    trainer = run.config["trainer"]
    return {key: trainer[key] for key in ("threads", "class_weight", "loss", "metrics")}


def _too_much(name: str, data: Data, seeds: int, *, everything: bool) -> str:
    """Why a yardstick is left out; empty if it is not."""
    if name in ("majority", "mean"):
        return ""
    if not data.train.in_memory:
        return "its images are read when they are needed, and memory does not hold them"
    rows, inputs = len(data.train), int(np.prod(data.train.inputs.shape[1:]))
    needed, there = rows * inputs * BYTES, limits.memory()
    if isinstance(data.train.inputs, LazyInputs) and needed > there:
        return (
            f"as numbers its {rows:,} images take {needed / 1e9:,.1f} GB, more than the "
            f"{there / 1e9:,.1f} GB of memory that this machine has"
        )
    outputs = 1 if data.outputs == 2 and data.task == CLASSIFICATION else data.outputs
    units = seeds * max(rows, ROWS) * inputs * outputs
    if everything or units <= UNITS.get(name, UNITS["logistic_regression"]):
        return ""
    size = f"{rows:,} rows x {inputs:,} inputs" + f" x {outputs} outputs" * (outputs > 1)
    return f"{count(seeds, 'fit')} to {size} take long; yardsticks=true has it all the same"
