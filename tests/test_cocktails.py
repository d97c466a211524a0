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

from tests.support import NAMES, NETWORKS
from tests.technique_runs import Mix, applies, go_together, mix, train_stack

# Plain steps in float64: what Adam makes of rounding would hide what differs.
PLAIN: Any = {"optimizer": partial(torch.optim.SGD, lr=0.02), "precision": "float64"}


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "branching"])
@given(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_random_cocktails(network: str, names: list[str]) -> None:
    techniques: Mix = ()
    for name in names:
        if go_together(*dict(techniques), name) and applies(network, (*techniques, *mix(name))):
            techniques = (*techniques, *mix(name))
    assume(len(techniques) > 1)
    runs = [(seed, techniques) for seed in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stacked, _ = train_stack(network, *runs, **PLAIN)
    again, _ = train_stack(network, *runs, **PLAIN)
    for seed in (0, 1):
        ((alone,), _) = train_stack(network, (seed, techniques), **PLAIN)
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
