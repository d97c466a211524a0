"""The search for the numbers of a job's techniques: the same budget for every technique.

What is searched is each technique's own `search`, and `tune.search`, which is the same for all.
The first configuration that is tried is the YAMLs' own numbers, the others are quasi-random. The
best on validation data is chosen; its runs then have seeds that no trial had.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from regexp.config.search_space import space
from regexp.config.values import as_container, called, flat, seeds_of
from regexp.errors import ConfigError
from regexp.metrics.names import (
    CHOSEN_BY,
    VALIDATION_LOSS,
    chosen_by,
    direction_of,
    lower_is_better,
)

Numbers = dict[str, Any]
"""Dotted key -> value, of one configuration that is tried."""


def trial_seeds(config: DictConfig) -> list[int]:
    """The seeds of the trials: the first integers from 0 that are not among `seeds`."""
    taken = set(seeds_of(config))
    free = (seed for seed in itertools.count() if seed not in taken)
    return list(itertools.islice(free, config.tune.seeds))


def draw_configurations(config: DictConfig) -> list[Numbers]:
    """The configurations that a job tries: at most `tune.budget`, all different.

    The first is what the configuration says without a search. The others are the points of a
    scrambled Sobol sequence, keyed by the first trial's seed and the technique; what all techniques
    search has a stream of its own, so that the n-th trials of all techniques have it alike unless
    it is of few choices: then equal trials are left out. There are fewer than the budget only where
    the ranges hold no more.

    Raises:
        ConfigError: see `space`.
    """
    shared, own = space(config)
    present = dict(flat(config))
    default = {one.key: as_container(present[one.key]) for one in shared + own}
    found = {_key(default): default}
    for point in _points(config, len(shared), len(own)) if shared or own else ():
        if len(found) == config.tune.budget:
            break
        numbers = {one.key: one.at(x) for one, x in zip(shared + own, point, strict=True)}
        found.setdefault(_key(numbers), numbers)
    return list(found.values())


def _key(numbers: Numbers) -> str:
    return json.dumps(numbers)


def _points(config: DictConfig, shared: int, own: int) -> list[list[float]]:
    """Points in the unit cube: `shared` coordinates that all techniques have, `own` that one has.

    Both are coordinates of one Sobol sequence, each scrambled by itself. A few points more than the
    budget replace those that fall on the same choices as others.
    """
    import torch
    from torch.quasirandom import SobolEngine

    from regexp.random import derive

    count = 8 * config.tune.budget + 256
    first, technique = trial_seeds(config)[0], "+".join(map(str, config.regularizer))
    parts = []
    for dimensions, path in ((shared, ("tuning",)), (shared + own, ("tuning", technique))):
        if not dimensions:
            parts.append(torch.empty(count, 0, dtype=torch.float64))
            continue
        engine = SobolEngine(dimensions, scramble=True, seed=derive(first, *path))
        parts.append(engine.draw(count, dtype=torch.float64))
    points: list[list[float]] = torch.cat([parts[0], parts[1][:, shared:]], 1).tolist()
    return points


def choose_configuration(
    trials: Sequence[Sequence[Mapping[str, float] | None]],
    metric: str | None = None,
    lower: bool | None = None,
) -> int:
    """The position of the best configuration, see `in_order`.

    Raises:
        ConfigError: every configuration has a run that diverged.
    """
    order = in_order(trials, metric, lower)
    if not order:
        raise ConfigError(
            f"tune: all {len(trials)} configurations diverged, so that none can be chosen; lower "
            "optimizer.lr, or the ends of the ranges that are searched"
        )
    return order[0]


def in_order(
    trials: Sequence[Sequence[Mapping[str, float] | None]],
    metric: str | None = None,
    lower: bool | None = None,
) -> list[int]:
    """The positions of configurations, the best first, without those that diverged.

    They are ordered by mean validation accuracy, or RMSE in regression, those that are equal by
    their mean validation loss, then the earlier comes first.

    Args:
        trials: of each configuration, in the order of the draw, its runs' metrics; None for a run
            that diverged.
        metric: `compare.metric`, whose like on the validation split orders instead.
        lower: whether lower is better of it, if its name does not tell.

    Raises:
        ConfigError: no run that finished has the metric.
    """
    runs = [run for one in trials for run in one if run is not None]
    headline, lower = headline_of(runs, metric, lower)
    if runs and not any(headline in run for run in runs):
        raise ConfigError(f"no trial that finished has {headline}; none can be chosen")

    sign = 1 if lower else -1

    def order(position: int) -> tuple[float, float]:
        own = [run for run in trials[position] if run is not None]
        return mean_as_loss(own, headline, sign), mean_as_loss(own, VALIDATION_LOSS, 1)

    sound = [index for index, one in enumerate(trials) if all(run is not None for run in one)]
    return sorted(sound, key=order)  # equal ones stay in their order


def headline_of(
    runs: Sequence[Mapping[str, float]], metric: str | None, lower: bool | None
) -> tuple[str, bool]:
    """The metric of validation rows that configurations are ordered by; whether lower is better.

    Args:
        runs: metrics of runs that finished.
        metric, lower: see `in_order`.
    """
    if metric is None:
        there = (pair for pair in CHOSEN_BY if any(pair[0] in run for run in runs))
        return next(there, (VALIDATION_LOSS, True))
    return chosen_by(metric), lower_is_better(metric, lower)


def asked_metric(config: DictConfig) -> tuple[str | None, bool | None]:
    """`compare.metric`, and whether lower is better of it if its name does not tell."""
    metric = config.compare.metric
    return metric, None if metric is None else OmegaConf.select(config, direction_of(metric))


def mean_as_loss(runs: Sequence[Mapping[str, float]], name: str, sign: int) -> float:
    """The mean of a metric over runs, by its sign so that lower is better; of what one of them has
    not, as it is undefined there or could not be computed, the worst.
    """
    mean = sign * mean_score([run.get(name, math.nan) for run in runs])
    return math.inf if math.isnan(mean) else mean


def mean_score(scores: Sequence[float]) -> float:
    """A mean to six digits: as many rows right are equal, in whatever runs and in any precision."""
    try:
        mean = fmean(scores)
    except (OverflowError, ValueError):  # too large for a sum, or of infinities
        mean = sum(scores) / len(scores)
    return float(f"{mean:.6g}")


def numbers_in_words(numbers: Mapping[str, object]) -> str:
    """Numbers for people: "strength=0.001, lr=0.01", by the last part of keys if that is enough."""
    short = [key.rpartition(".")[2] for key in numbers]
    names = short if len(set(short)) == len(short) else list(numbers)
    return ", ".join(
        f"{name}={called(value)}" for name, value in zip(names, numbers.values(), strict=True)
    )
