"""What hooks of a technique of one's own give back by mistake is told by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from regexp.errors import ConfigError
from regexp.regularizer.base import Course, Regularizer
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import lengths
from tests.support import make_member, run


def technique(**hooks: Callable[..., Any]) -> Regularizer:
    """One with some hooks."""
    made = {name: lambda self, *given, hook=hook: hook(*given) for name, hook in hooks.items()}
    for name, hook in made.items():
        hook.__signature__ = inspect.signature(getattr(Regularizer, name))  # type: ignore[attr-defined]
    own: Any = type("Own", (Regularizer,), made, kind="gradient")
    return dataclass(frozen=True)(own)()


def without_biases(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tensors.items() if not name.endswith("bias")}


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ({"batch": lambda *_: None}, "its batch gives a NoneType, expected a Batch"),
        ({"batch": lambda _, batch: (*batch[:2],)}, "its batch gives a tuple, expected a Batch"),
        ({"gradient": lambda *_: None}, "its gradient gives a NoneType"),
        (
            {"gradient": lambda _, view: without_biases(view.gradients)},
            r"its gradient leaves out \S*bias",
        ),
        ({"constrain": lambda *_: None}, "its constrain gives a NoneType"),
        (
            {"constrain": lambda _, new, __: {**new, "more": new}},
            "its constrain has also more; expected each of the names",
        ),
        ({"init": lambda *_: {"best": 1.5}}, r"its init gives a memory with 1\.5, a float"),
        ({"weights": lambda _, state: without_biases(state)}, "its weights leaves out"),
        ({"restore": lambda _, state: without_biases(state)}, "its restore leaves out"),
    ],
)
def test_a_mistake_in_training_is_told(hooks: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^regularizer.own: {words}"):
        run([make_member(0, {"own": technique(**hooks)})], 1)


@pytest.mark.parametrize("size", [16.0, 0, None])
def test_a_size_of_batches_is_a_whole_number(size: Any) -> None:
    cocktail = Cocktail({"own": technique(batch_size=lambda *_: size)})
    with pytest.raises(ConfigError, match=rf"^regularizer\.own: its batch_size gives {size!r}"):
        lengths(cocktail, 100, 32, 2)


def test_a_build_gives_the_network() -> None:
    with pytest.raises(ConfigError, match=r"^regularizer\.own: its build gives a NoneType"):
        Cocktail({"own": technique(build=lambda *_: None)}).build(nn.Linear(2, 2))


def test_a_piece_of_advice_is_a_line() -> None:
    cocktail = Cocktail({"own": technique(advise=lambda *_: "too long a run")})
    assert cocktail.advise(Course([1], lambda: [0.1])) == ["regularizer.own: too long a run"]


def test_the_names_that_are_given_are_enough() -> None:
    hooks = {
        "gradient": lambda _, view: {name: 2 * g for name, g in view.gradients.items()},
        "init": lambda state, _: {"first": {name: value.clone() for name, value in state.items()}},
        "weights": lambda memory, state: state | memory["first"],
    }
    member = make_member(0, {"own": technique(**hooks)})
    before = {name: value.clone() for name, value in member.model.state_dict().items()}
    [result], _ = run([member], 1)
    for name, value in result.last["weights"].items():
        assert torch.equal(value, before[name].to(value.dtype))
