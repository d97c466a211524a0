"""Optuna as a sampler: it is asked for a batch, and forgets.

A sampler that is kept draws on: resumed after 48 trials it would draw others than one that was not
broken off. A fresh one for each batch, with a seed of the batch's own and the earlier trials as
plain records, draws the same in any process. MLflow alone keeps what was tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regexp.config.search_space import Dimension
from regexp.errors import ConfigError
from regexp.search.space import Draw, Parameter

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Observation = tuple[Draw, float]
"""What was tried, and its rank: lower is better."""

BEST = 25
"""So many of the best, at most, are the good ones to Optuna: its default `gamma`."""

MOST = 256
"""Observations that a sampler is told of: the time of a draw grows with them."""


def propose(
    parameters: Sequence[Parameter],
    earlier: Sequence[Observation],
    given: Sequence[Draw],
    count: int,
    seed: int,
) -> list[Draw]:
    """A batch of draws by a tree-structured Parzen estimator (Bergstra et al. 2011).

    Args:
        parameters: what is drawn, those that others depend on first.
        earlier: what was tried, oldest first.
        given: the first draws of the batch, which are not the sampler's.
        count: of all draws, at most.
        seed: of the batch.

    Returns:
        The draws. What is structural, all that are the sampler's have as the first that has it.

    Raises:
        ConfigError: Optuna is not installed, or too old.
    """
    optuna = require()
    spaces = {one.key: _distribution(one.dimension, optuna) for one in parameters}
    by_key = {one.key: one for one in parameters}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of conditional spaces
    try:
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, constant_liar=True)
        study = optuna.create_study(sampler=sampler)
        for draw, rank in told(earlier):
            encoded = _encoded(draw, by_key)
            kept = {key: spaces[key] for key in encoded}
            study.add_trial(
                optuna.trial.create_trial(params=encoded, distributions=kept, value=rank)
            )
        draws: list[Draw] = []
        kept_alike = {one.key for one in parameters if one.structural}
        structure: dict[str, Any] = {}
        for number in range(count):
            wanted = _encoded(given[number], by_key) if number < len(given) else structure
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what a draw was given and does not ask for
                study.enqueue_trial(dict(wanted))
                drawn = _drawn(study.ask(), parameters)
            draws.append(dict(given[number]) if number < len(given) else drawn)
            encoded = _encoded(draws[-1], by_key)
            structure = {key: encoded[key] for key in kept_alike & encoded.keys()} | structure
    finally:
        optuna.logging.set_verbosity(verbosity)
    return draws


def told(earlier: Sequence[Observation]) -> list[Observation]:
    """What a sampler is told of earlier trials: all, or the best and some of the others.

    The best are what good trials are like; of what the others are like, every n-th tells enough.

    Args:
        earlier: oldest first, as those that are told.
    """
    if len(earlier) <= MOST:
        return [*earlier]
    order = sorted(range(len(earlier)), key=lambda at: earlier[at][1])
    others = sorted(order[BEST:])
    count = MOST - BEST
    some = (others[number * len(others) // count] for number in range(count))
    return [earlier[at] for at in sorted([*order[:BEST], *some])]


def require() -> Any:
    """Optuna, which is in an extra.

    Raises:
        ConfigError: it is not installed, or too old.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "regexp search draws by Optuna, which is not installed; pip install 'regexp[search]' "
            "brings it"
        ) from error
    if int(optuna.__version__.partition(".")[0]) < 4:
        raise ConfigError(
            f"regexp search needs Optuna 4 or later, and {optuna.__version__} is installed; pip "
            "install 'regexp[search]' brings it, in an environment without regexp[optuna], whose "
            "plugin of Hydra's needs the old one"
        )
    return optuna


def _distribution(one: Dimension, optuna: Any) -> BaseDistribution:
    """A range as Optuna has it; of choices their positions, for lists are none of its values."""
    made: BaseDistribution
    if one.choices:
        made = optuna.distributions.CategoricalDistribution(tuple(range(len(one.choices))))
    elif one.integer:
        made = optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    else:
        made = optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)
    return made


def _encoded(draw: Draw, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """A draw as Optuna has it: what is outside of its range stands at the nearest end.

    A technique that its batch did not have is off in it.
    """
    draw = {one.key: False for one in parameters.values() if one.switches} | draw
    encoded: dict[str, Any] = {}
    for key, value in draw.items():
        if key not in parameters:
            continue
        one = parameters[key].dimension
        if one.choices:
            if value in one.choices:
                encoded[key] = one.choices.index(value)
        elif value is not None:
            encoded[key] = min(max(value, one.low), one.high)
    return encoded


def _drawn(trial: Trial, parameters: Sequence[Parameter]) -> Draw:
    """One draw; numbers have four digits, so that what is written is what is trained."""
    draw: Draw = {}
    for parameter in parameters:
        if parameter.when is not None and draw.get(parameter.when[0]) != parameter.when[1]:
            continue
        one, name = parameter.dimension, parameter.key
        if one.choices:
            position = trial.suggest_categorical(name, tuple(range(len(one.choices))))
            draw[name] = one.choices[position]
        elif one.integer:
            draw[name] = trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
        else:
            value = trial.suggest_float(name, one.low, one.high, log=one.log)
            draw[name] = min(max(float(f"{value:.4g}"), one.low), one.high)
    return draw
