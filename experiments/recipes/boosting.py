"""Gradient boosting, tuned as a recipe is: the same rows, the same sampler, as many seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regexp.config.search_space import Dimension
from regexp.metrics.names import SECONDS, VALIDATION
from regexp.random import derive
from regexp.search.budget import runs_after
from regexp.search.choice import Order, Trial, by_means, ranked
from regexp.search.recipe import Recipe
from regexp.search.sampler import propose
from regexp.search.seeds import TRIAL_SEED, finalists_of, halvings, verdict_seeds
from regexp.search.space import Draw, Parameter, Space
from regexp.sweeps.plan import plan
from regexp.sweeps.yardsticks import Yardstick

NAME = "hist_gradient_boosting"

RANGES = (
    Dimension("learning_rate", "", "", low=0.01, high=0.5, log=True),
    Dimension("max_iter", "", "", low=50, high=400, log=True, integer=True),
    Dimension("max_leaf_nodes", "", "", low=4, high=64, log=True, integer=True),
    Dimension("min_samples_leaf", "", "", low=1, high=60, log=True, integer=True),
    Dimension("l2_regularization", "", "", low=1e-6, high=10.0, log=True),
    Dimension("max_features", "", "", low=0.3, high=1.0),
)
"""Of scikit-learn's numbers."""

WEIGHTS = Dimension("class_weight", "", "", choices=(None, "balanced"))
"""Beside them, where classes are of very unequal sizes."""

DEFAULTS: Draw = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 20,
    "l2_regularization": 0.0,
    "max_features": 1.0,
}
"""Its own, which are the first that are tried."""

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Tuned:
    """What tuning came to.

    Attributes:
        settings: that were chosen.
        trials: how many were tried.
        scores: of the test rows, by seed.
    """

    settings: Draw
    trials: int
    scores: Mapping[int, float]


class Fits:
    """Fits each learner once, and keeps what it scored in a file.

    Args:
        space: of the search whose rows and seeds it has.
        file: of lines of JSON.
    """

    def __init__(self, space: Space, file: Path) -> None:
        run = plan(space.config.copy())[0].config
        self._dataset, self._folder = run["dataset"], run["paths"]["data"]
        self._trainer = {key: run["trainer"][key]
                         for key in ("threads", "class_weight", "loss", "metrics")}  # fmt: skip
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self._known: dict[str, Scores] = dict(map(json.loads, lines))

    def __call__(self, settings: Draw, seed: int) -> Scores:
        """All metrics of a learner, and its seconds."""
        one = Yardstick(NAME, settings, self._dataset, self._folder, seed, self._trainer)
        if one.fingerprint not in self._known:
            self._known[one.fingerprint] = one.fit()
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([one.fingerprint, self._known[one.fingerprint]]) + "\n")
        return self._known[one.fingerprint]


def tune(config: Any, fits: Any, budget: float, *, weigh_classes: bool = False) -> Tuned:
    """Boosting with the numbers that are best on validation rows.

    As for recipes: batches of trials with one seed, the best of them halved as their fresh seeds
    double, the best mean of the last, and fresh seeds for the test rows, all in the budget.

    Args:
        config: of the search.
        fits: see `Fits`.
        budget: seconds of fitting.
        weigh_classes: whether to try weights of classes as well.
    """
    parameters = [Parameter(one) for one in (*RANGES, *([WEIGHTS] if weigh_classes else []))]
    first = {one.dimension.key: DEFAULTS.get(one.dimension.key) for one in parameters}
    asked = config.search

    def fits_of(trials: int) -> int:
        return trials + runs_after(config, trials)[0]

    draws: list[Draw] = []
    scores: list[Scores] = []
    spent = 0.0
    while not draws or spent / len(draws) * fits_of(len(draws) + asked.batch) <= budget:
        order = _order(ranked, [[one] for one in scores], config)
        ranks = {at: float(place) for place, at in enumerate(order)}
        earlier = [(draw, ranks[at]) for at, draw in enumerate(draws)]
        batch = propose(
            parameters, earlier, [] if draws else [first], asked.batch,
            derive(asked.seed, "search", NAME, len(draws)),
        )  # fmt: skip
        draws += batch
        found = [fits(draw, TRIAL_SEED) for draw in batch]
        spent += sum(one[SECONDS] for one in found)
        scores += map(_of_validation, found)
    left = _order(ranked, [[one] for one in scores], config)
    again: list[list[Scores]] = [[] for _ in draws]
    for number, seeds in halvings(finalists_of(len(draws), asked.finalists)):
        left = left[:number]
        for at in left:
            again[at] += [_of_validation(fits(draws[at], seed)) for seed in seeds]
        left = [left[place] for place in _order(by_means, [again[at] for at in left], config)]
    chosen = draws[left[0]]
    tested = {seed: fits(chosen, seed)[config.compare.metric] for seed in verdict_seeds(config)}
    return Tuned(chosen, len(draws), tested)


def _of_validation(scores: Scores) -> Scores:
    return {name: value for name, value in scores.items() if name.startswith(VALIDATION)}


def _order(order: Order, scores: Sequence[Sequence[Scores]], config: Any) -> list[int]:
    """The positions of trials by what chooses recipes, the best first."""
    return order([Trial(Recipe({}, {}), scores=one) for one in scores], config) if scores else []
