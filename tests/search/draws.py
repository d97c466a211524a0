"""A sampler of tests that needs no Optuna: it draws evenly, and by its arguments alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regexp.random import Rng
from regexp.search.space import Draw, Parameter


def evenly(
    parameters: Sequence[Parameter],
    earlier: Sequence[tuple[Draw, float]],
    given: Sequence[Draw],
    count: int,
    seed: int,
) -> list[Draw]:
    """As `regexp.search.sampler.propose`; what was tried changes the stream."""
    text = str([(sorted(map(str, draw.items())), rank) for draw, rank in earlier])
    draws = [*given[:count]]
    for number in range(len(draws), count):
        shares = iter(Rng(seed, text, number).uniform([len(parameters)]).tolist())
        draw: dict[str, Any] = {}
        for one in parameters:
            share = next(shares)
            if one.when is None or draw.get(one.when[0]) == one.when[1]:
                alike = draws and one.structural and one.key in draws[0]
                draw[one.key] = draws[0][one.key] if alike else one.dimension.at(share)
        draws.append(draw)
    return draws
