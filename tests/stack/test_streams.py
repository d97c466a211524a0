"""Streams of a stack give the same numbers however draws are asked for, and however often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from regexp.random import Fill, Rng
from regexp.stack.streams import Remembered, StackedRng

SHAPES = [(3,), (2, 4), ()]
STREAMS: dict[str, Callable[[], Rng]] = {
    "one": lambda: Rng(5, "purpose"),
    "stacked": lambda: StackedRng([5, 7, 9], "purpose"),
}


def inside(draw: Callable[[Rng], list[Tensor]]) -> list[Tensor]:
    """What `draw` gives of three runs within a `vmap` over them."""
    rng = StackedRng([5, 7, 9], "purpose")
    return list(torch.vmap(lambda index: draw(rng.inside(index)))(torch.arange(3)))


def singly(rng: Rng) -> list[Tensor]:
    return [*(rng.normal(shape) for shape in SHAPES), rng.normal((2,))]


def at_once(rng: Rng) -> list[Tensor]:
    return [*rng.normals(SHAPES), rng.normal((2,))]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_draws_at_once_are_those_one_after_another(stream: Callable[[], Rng]) -> None:
    pairs = zip(at_once(stream()), singly(stream()), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_draws_at_once_within_a_vmap_are_those_outside() -> None:
    for ours, theirs in zip(inside(at_once), singly(STREAMS["stacked"]()), strict=True):
        assert torch.equal(ours, theirs)


def all_kinds(rng: Rng) -> list[Tensor]:
    narrow = rng.fold("narrower", 3)
    return [
        rng.normal((4,)), *rng.normals(SHAPES), rng.uniform((4,)), rng.integers(9, (4,)),
        rng.keep((6,), 0.5), narrow.permutation(5), rng.beta(0.5, 0.5, (2,)), narrow.normal((4,)),
    ]  # fmt: skip


@pytest.mark.parametrize("most", [0, 40, 10**6])
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_what_is_remembered_is_what_would_be_drawn(stream: Callable[[], Rng], most: int) -> None:
    expected, remembered = all_kinds(stream()), Remembered(most)
    for _ in range(3):
        rng = stream()
        rng.watch = remembered
        for ours, theirs in zip(all_kinds(rng), expected, strict=True):
            assert torch.equal(ours, theirs)
            ours.zero_()  # which changes nothing of what is remembered


def test_draws_are_made_once_up_to_some_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = Rng.make

    def counted(self: Rng, fill: Fill, shape: list[int], *rest: Any) -> Tensor:
        made.append(shape[0])
        return make(self, fill, shape, *rest)

    monkeypatch.setattr(Rng, "make", counted)
    remembered = Remembered(4 * 20)
    for _ in range(2):
        rng = Rng(5, "purpose")
        rng.watch = remembered
        for count in (15, 6, 5):
            rng.normal((count,))
    assert made == [15, 6, 5, 6]


def test_other_numbers_are_drawn_where_they_are_asked_for() -> None:
    remembered = Remembered(10**6)

    def drawn(high: int, a: float, seed: int = 5) -> list[Tensor]:
        rng = Rng(seed, "purpose")
        rng.watch = remembered
        return [rng.integers(high, (8,)), rng.beta(a, a, (3,)), rng.normal((2,))]

    first, wider, other = drawn(2, 0.1), drawn(1000, 9.0), drawn(2, 0.1, seed=6)
    assert int(first[0].max()) < 2 <= int(wider[0].max())
    assert not torch.equal(first[1], wider[1])
    assert torch.equal(first[2], wider[2])
    assert not torch.equal(first[2], other[2])


def test_masks_of_other_shares_are_not_those_that_are_remembered() -> None:
    """Where a run drops nothing no bits are drawn, which must not serve where it does."""
    remembered = Remembered(10**6)

    def masks(shares: list[float]) -> Tensor:
        rng = StackedRng([5, 7], "purpose")
        rng.watch = remembered
        own = torch.tensor(shares, dtype=torch.float64)
        return torch.vmap(lambda index, p: rng.inside(index).keep((64,), p))(torch.arange(2), own)

    for shares in ([0.0, 0.5], [0.5, 0.5], [0.0, 0.5]):
        for ours, seed, p in zip(masks(shares), (5, 7), shares, strict=True):
            assert torch.equal(ours, Rng(seed, "purpose").keep((64,), p))
