"""Streams: keyed by seed, purpose and step, and of the right distributions."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import scipy.stats
import torch

from regexp.random import Rng, derive, derive_each, seed_torch
from regexp.stack.streams import StackedRng

DRAWS = {
    "uniform": lambda rng: rng.uniform((4, 3)),
    "normal": lambda rng: rng.normal((4, 3)),
    "integers": lambda rng: rng.integers(10, (4, 3)),
    "permutation": lambda rng: rng.permutation(12),
    "beta": lambda rng: rng.beta(0.2, 0.3, (4, 3)),
    "keep": lambda rng: rng.keep((4, 3), 0.5),
    "bits16": lambda rng: rng.bits16((5, 3)),
}


def test_a_key_is_the_hash_of_seed_and_path() -> None:
    paths: list[tuple[str | int, ...]] = [(), ("a",), ("a", 3, "b")]
    for path in paths:
        hashed = [hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8) for seed in (7, 12)]
        expected = [int.from_bytes(one.digest(), "little") for one in hashed]
        assert [derive(7, *path), derive(12, *path)] == derive_each([7, 12], *path) == expected


def test_streams_of_different_keys_differ_and_of_equal_keys_agree() -> None:
    keys: list[tuple[int, tuple[str | int, ...]]] = [
        (0, ("a",)), (1, ("a",)), (0, ("b",)), (0, ("a", 0)), (0, ("a", "0")), (0, ("a", 1)),
        (0, (1, "a")),
    ]  # fmt: skip
    seeds = [derive(seed, *path) for seed, path in keys]
    assert len(set(seeds)) == len(keys)
    assert derive(0, "a", 1) == seeds[5]
    assert all(0 <= seed < 2**64 for seed in seeds)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_stream_is_a_function_of_its_key_alone(draw) -> None:
    state = torch.random.get_rng_state()
    first = draw(Rng(3, "purpose", 7))
    torch.rand(5)
    torch.random.set_rng_state(state)
    assert torch.equal(first, draw(Rng(3).fold("purpose").fold(7)))
    assert torch.equal(state, torch.random.get_rng_state()), "the global state was touched"
    rng = Rng(3, "purpose", 7)
    assert torch.equal(first, draw(rng))
    assert not torch.equal(first, draw(rng)), "a second draw repeats the first"
    assert not torch.equal(first, draw(Rng(4, "purpose", 7)))


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_torchs_own_state_is_seeded_as_torch_does(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        seed_torch(seed)
        assert torch.equal(torch.rand(3), expected)


def test_masks_may_be_drawn_where_torch_differentiates() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return (x * Rng(3, "mask").keep((7,), 0.5)).sum()

    mask = Rng(3, "mask").keep((7,), 0.5)
    assert torch.equal(torch.func.grad(loss)(torch.ones(7)), mask)
    assert torch.equal(torch.func.vjp(loss, torch.ones(7))[1](torch.tensor(1.0))[0], mask)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_stack_draws_what_its_runs_draw_alone(draw) -> None:
    seeds = (3, 8, 5)
    alone = torch.stack([draw(Rng(seed, "x", 1)) for seed in seeds])
    assert torch.equal(draw(StackedRng(seeds, "x").fold(1)), alone)
    rng = StackedRng(seeds, "x", 1)

    def twice(index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inner = rng.inside(index)
        return draw(inner), draw(inner)

    first, second = torch.vmap(twice)(torch.arange(3))
    assert torch.equal(first, alone)
    assert not torch.equal(second, first), "a second draw repeats the first"


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, p: rng.keep((3,), 0.5),
        lambda rng, p: rng.keep((3,), p),
        lambda rng, p: rng.uniform((3,)),
        lambda rng, p: rng.beta(p, 0.5, (3,)),
    ],
)
def test_draws_are_float32_in_a_stack_too(draw) -> None:
    rng, numbers = StackedRng((0, 1)), torch.tensor([0.5, 0.1], dtype=torch.float64)
    lifted = torch.vmap(lambda index, p: draw(rng.inside(index), p))(torch.arange(2), numbers)
    assert lifted.dtype == draw(Rng(0), 0.5).dtype == torch.float32


def test_numbers_of_a_distribution_may_differ_from_run_to_run() -> None:
    rng, p, a = StackedRng((0, 1, 2)), torch.tensor([0.0, 0.5, 0.9]), torch.tensor([0.1, 1.0, 9.0])
    masks = torch.vmap(lambda i, own: rng.inside(i).keep((200,), own))(torch.arange(3), p)
    betas = torch.vmap(lambda i, own: rng.inside(i).beta(own, own, (200,)))(torch.arange(3), a)
    for run in range(3):
        assert torch.equal(masks[run], Rng(run).keep((200,), float(p[run])))
        assert torch.equal(betas[run], Rng(run).beta(float(a[run]), float(a[run]), (200,)))


def test_what_is_not_needed_is_not_drawn() -> None:
    rng, needed = StackedRng((0, 1)), torch.tensor([0.0, 2.0])
    rows = torch.vmap(lambda i, own: rng.inside(i).permutation(9, own))(torch.arange(2), needed)
    assert rows[0].tolist() == list(range(9))
    assert torch.equal(rows[1], Rng(1).permutation(9))
    betas = torch.vmap(lambda i, own: rng.inside(i).beta(own, own, ()))(torch.arange(2), needed)
    assert betas[0].isnan()
    assert torch.equal(betas[1], Rng(1).beta(2.0, 2.0, ()))


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda rng, n: rng.uniform((n,)), scipy.stats.uniform()),
        (lambda rng, n: rng.normal((n,)), scipy.stats.norm()),
        (lambda rng, n: rng.beta(0.5, 0.5, (n,)), scipy.stats.beta(0.5, 0.5)),
        (lambda rng, n: rng.beta(2.0, 5.0, (n,)), scipy.stats.beta(2, 5)),
    ],
)
def test_distributions(draw, distribution) -> None:
    drawn = draw(Rng(1), 20_000).double().numpy()
    assert scipy.stats.kstest(drawn, distribution.cdf).pvalue > 1e-3


def test_beta_of_tiny_numbers_is_a_coin() -> None:
    drawn = Rng(3).beta(1e-3, 1e-3, (10_000,)).double()
    inside = float(((drawn > 1e-6) & (drawn < 1 - 1e-6)).double().mean())
    assert inside < 0.03  # about 2 * 1e-3 * log(1e6) / 2
    assert scipy.stats.binomtest(int((drawn > 0.5).sum()), 10_000).pvalue > 1e-3


def test_integers_and_permutations_are_uniform() -> None:
    counts = np.bincount(Rng(2).integers(7, (70_000,)).numpy(), minlength=7)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    first = np.bincount([int(Rng(seed).permutation(5)[0]) for seed in range(5000)], minlength=5)
    assert scipy.stats.chisquare(first).pvalue > 1e-3


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_keep_drops_a_share_p_and_keeps_the_mean(p: float) -> None:
    mask = Rng(0).keep((1000, 1000), p)
    kept = (mask > 0).double().mean()
    assert float(kept) == pytest.approx(1 - p, abs=4 * 0.5e-3)
    values = mask.unique().tolist()
    assert values[-1] == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))
    assert len(values) == (1 if p == 0 else 2)
    if p == 0:
        assert torch.equal(mask, torch.ones(1000, 1000))
    # the scale is that of the rounded p, so the mean is exactly 1 over all 2**16 values
    level = round(p * 65536)
    assert values[-1] * (65536 - level) / 65536 == pytest.approx(1.0, rel=1e-7)


def test_every_one_of_the_16_bits_is_uniform_and_neighbours_do_not_correlate() -> None:
    bits = Rng(0).bits16((100_000,)).numpy().astype(np.uint16)
    for place in range(16):
        ones = int(((bits >> place) & 1).sum())
        assert scipy.stats.binomtest(ones, len(bits)).pvalue > 1e-4, place
    values = bits.astype(np.float64)
    for lag in (1, 2, 3, 4):
        correlation = np.corrcoef(values[:-lag], values[lag:])[0, 1]
        assert abs(correlation) < 4 / np.sqrt(len(values)), lag
