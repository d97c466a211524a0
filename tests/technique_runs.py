"""Runs of techniques on small networks, for tests of all techniques; and how runs are compared."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from regexp.errors import NotApplicable
from regexp.regularizer.base import Regularizer, overrides
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import check_data
from regexp.stack.member import Member
from regexp.training.state import Result
from tests import support
from tests.support import ADAM, NETWORKS, History, make_data, make_member


@cache
def technique(name: str) -> Any:
    """As its YAML says, but that of draws in evaluation a few are averaged, not dozens."""
    made = support.technique(name)
    return replace(made, samples=3) if hasattr(made, "samples") else made


Mix = tuple[tuple[str, Regularizer], ...]
"""Techniques by name, in their order."""

# Where runs are compared but for rounding: Adam would blow up the rounding of gradients that are
# zero (of a bias before batch normalization) to whole steps.
SMOOTH = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
# Steps so large that limits are reached and validation losses rise.
WILD = partial(torch.optim.Adam, lr=0.2)
ROWS, BATCH_SIZE, EPOCHS = 60, 32, 3  # six steps, the batches of 32 and 28 rows


# --- runs ----------------------------------------------------------------------------------


def mix(*names: str, **others: Regularizer) -> Mix:
    """Techniques as their YAML says, and then others."""
    return (*((name, technique(name)) for name in names), *others.items())


def member(network: str, seed: int, techniques: Mix, optimizer: Any = ADAM) -> Member:
    shape, task, build = NETWORKS[network]
    data = make_data(seed, ROWS, shape, task)
    return make_member(seed, dict(techniques), optimizer, model=build, data=data)


def train_stack(
    network: str,
    *runs: tuple[int, Mix],
    optimizer: Any = ADAM,
    epochs: int = EPOCHS,
    precision: str = "float32",
    way: str = "general",
) -> tuple[list[Result], History]:
    """The results of a stack of runs, each (its seed, its techniques), and what it reported."""
    members = [member(network, seed, techniques, optimizer) for seed, techniques in runs]
    return support.run(members, epochs, BATCH_SIZE, way, precision=precision)


trained = lru_cache(maxsize=512)(train_stack)


def alone(network: str, seed: int, techniques: Mix, **options: Any) -> Result:
    return trained(network, (seed, techniques), **options)[0][0]


# --- where a technique applies ---------------------------------------------------------------


def applies(network: str, techniques: Mix) -> bool:
    shape, task, _ = NETWORKS[network]
    try:
        check_data(dict(techniques), "made", task, shape)
        member(network, 0, techniques)
    except NotApplicable:
        return False
    return True


def go_together(*names: str) -> bool:
    try:
        Cocktail(dict(mix(*names)))
    except ValueError:
        return False
    return True


@cache
def fitting(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(techniques that it does not work without, the networks that it applies to)."""
    ordinary = ("mlp", "cnn", "lstm", "resnet_mlp")
    pair = ("dropout", "input_noise")
    others = ((), ordinary), (("dropout",), ordinary), ((), ("selu",)), (pair, ordinary)
    for before, networks in others:
        where = tuple(network for network in networks if applies(network, mix(*before, name)))
        if where:  # and a network of everything, whose own dropout would do for some
            also = [one for one in ("mixed",) if applies(one, mix(*before, name))]
            return before, (*where, *also)
    raise AssertionError(f"{name} applies to none of {', '.join(NETWORKS)}")


def sample(name: str) -> tuple[str, ...]:
    """Of `fitting` the first and the network of everything, and of the others one in turn.

    All of them for a technique that makes layers, which each network has others of.
    """
    (first, *others) = fitting(name)[1]
    plain = [network for network in others if network != "mixed"]
    if overrides(technique(name), "build") or len(plain) < 2:
        return (first, *others)
    turn = plain[support.NAMES.index(name) % len(plain)]
    return (first, *(network for network in others if network in (turn, "mixed")))


def home(name: str) -> str:
    """The first of the networks that the technique applies to."""
    return fitting(name)[1][0]


def before(name: str) -> tuple[str, ...]:
    """Techniques that it does not work without."""
    return fitting(name)[0]


def beside(name: str, *others: str, **changes: Any) -> Mix:
    """The technique, with some values changed, and the others if they go together."""
    names = (*before(name), name)
    more = (other for other in others if other not in names and go_together(*names, other))
    changed = replace(technique(name), **changes)
    return (*mix(*before(name)), (name, changed), *mix(*more))


def neutral(name: str) -> Mix:
    return beside(name, **technique(name).neutral)


def floats(name: str) -> dict[str, float]:
    """Numbers that are one for the whole run, by name."""
    numbers = Cocktail(dict(mix(*before(name), name))).numbers()[name]
    return {key: value for key, value in numbers.items() if isinstance(value, float)}


# --- comparisons -----------------------------------------------------------------------------


def within(ours: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """What both have, by the names of `plain`: a weight that is computed goes by its original."""
    named = {re.sub(r"\.parametrizations\.(\w+)\.original$", r".\1", k): v for k, v in ours.items()}
    return {key: value for key, value in named.items() if key in plain}


def assert_same_bits(ours: Any, others: Any) -> None:
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        assert torch.equal(value, others[name]), name


def assert_close(ours: Result, other: Result, tolerance: float) -> None:
    assert (ours.status, ours.epochs) == (other.status, other.epochs) == ("FINISHED", ours.epochs)
    for name, value in ours.last["weights"].items():
        torch.testing.assert_close(value, other.last["weights"][name], rtol=0, atol=tolerance)
    for key in ("test/loss", "final/val_loss", "final/train_loss"):
        assert ours.metrics[key] == pytest.approx(other.metrics[key], abs=tolerance, rel=tolerance)


def assert_same_tree(ours: Any, other: Any) -> None:
    if isinstance(ours, Tensor):
        assert ours.dtype == other.dtype
        assert torch.equal(ours, other)
    elif isinstance(ours, dict):
        assert list(ours) == list(other)
        for key, value in ours.items():
            assert_same_tree(value, other[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(other)
        for mine, theirs in zip(ours, other, strict=True):
            assert_same_tree(mine, theirs)
    else:
        assert ours == other
