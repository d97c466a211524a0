"""What techniques cost, and how often a search draws them by it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import pytest

from regexp.search.arm import arms_of
from regexp.search.costs import LEAST, extra_cost, measured
from regexp.search.proposals import round_of
from regexp.search.space import Draw, Parameter
from regexp.search.taking_part import read_space
from tests.search.composed import compose_named

BATCHES = 600


def test_a_cost_is_what_a_step_takes_beside_one_of_none_as_the_mean_over_networks() -> None:
    table = measured()
    ratios = [float(table["vat"][network]) for network in ("mlp", "cnn", "resnet_mlp")]
    assert table["vat"]["lstm"] == ""
    assert extra_cost("vat") == pytest.approx(sum(ratios) / 3 - 1)
    assert extra_cost("none_again") == LEAST
    means = [extra_cost(name) for name, row in table.items() if any(row.values())]
    assert extra_cost("one of a user's own") == extra_cost("row_cutmix") == median(means)


def test_a_technique_is_drawn_as_often_as_it_is_cheap() -> None:
    words = ["dataset=iris", "search.techniques=[l1,ema,vat,pgd]", "search.together=1"]
    space = read_space(compose_named(words))
    drawn: list[str] = []

    def propose(parameters: Sequence[Parameter], *_: Any) -> list[Draw]:
        drawn.extend(name for one in parameters for name in one.switches)
        return []

    round_of(arms_of(space)[0], BATCHES, propose)
    assert len(drawn) == BATCHES
    rates = {name: 1 / extra_cost(name) for name in space.switches}
    for name, rate in rates.items():
        share = rate / sum(rates.values())
        error = (share * (1 - share) / BATCHES) ** 0.5
        assert abs(drawn.count(name) / BATCHES - share) < 3 * error, name
    assert 0 < drawn.count("pgd") < drawn.count("vat") < drawn.count("l1")
