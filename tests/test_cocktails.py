"""Random cocktails of two to five techniques, on every model: they train, again with the same bits,
and stacked as alone.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from regexp.errors import NotApplicable
from regexp.regularizer.cocktail import Cocktail
from regexp.training.state import Result
from tests.support import NAMES, NETWORKS, make_data, make_member, run, technique

EPOCHS, BATCH = 3, 32  # of 90 rows: nine steps


def trained(network: str, cocktail: dict[str, Any], seeds: tuple[int, ...]) -> list[Result]:
    """Runs with plain steps in float64: what Adam makes of rounding would hide what differs."""
    shape, task, build = NETWORKS[network]
    members = [
        make_member(
            seed, cocktail, partial(torch.optim.SGD, lr=0.02), model=build,
            data=make_data(seed, shape=shape, task=task),
        )
        for seed in seeds
    ]  # fmt: skip
    return run(members, EPOCHS, BATCH, precision="float64")[0]


@pytest.mark.parametrize("network", NETWORKS)
@given(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
@settings(
    max_examples=6, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
def test_random_cocktails(network: str, names: list[str]) -> None:
    shape, task, build = NETWORKS[network]
    cocktail: dict[str, Any] = {}
    for name in names:  # what goes together and applies
        try:
            wider = cocktail | {name: technique(name)}
            Cocktail(wider).check_data("made", task, shape)
            make_member(0, wider, model=build)
            cocktail = wider
        except NotApplicable:
            continue
        except ValueError as error:
            if "does not go together" not in str(error):
                raise
    assume(len(cocktail) > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stacked = trained(network, cocktail, (0, 1))
    again = trained(network, cocktail, (0, 1))
    for seed in (0, 1):
        (alone,) = trained(network, cocktail, (seed,))
        assert stacked[seed].status == alone.status == "FINISHED", stacked[seed].reason
        for name, value in stacked[seed].last["weights"].items():
            assert value.isfinite().all(), name
            assert torch.equal(value, again[seed].last["weights"][name]), name
            other = alone.last["weights"][name]
            torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-9)
        for key, metric in stacked[seed].metrics.items():
            if key != "seconds":
                assert metric == again[seed].metrics[key], key
                assert metric == pytest.approx(alone.metrics[key], rel=1e-6, abs=1e-6), key
