"""Accumulation: gradients of micro-batches added by hand, in float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from regexp.random import Rng
from tests.support import make_member, run, technique

SGD = partial(torch.optim.SGD, lr=0.3, momentum=0.9)


@pytest.mark.parametrize(("micro_batches", "batch_size"), [(3, 10), (4, 16)])
def test_equals_accumulation_by_hand(micro_batches, batch_size):
    """90 rows: three whole steps of 30; or one of 64 and one of the 26 that are left."""
    epochs, large = 2, micro_batches * batch_size
    accumulation = technique("accumulation", micro_batches=micro_batches)
    member = make_member(0, {"accumulation": accumulation}, optimizer=SGD)
    (result,), _ = run([member], epochs=epochs, batch_size=batch_size, precision="float64")

    hand = make_member(0, optimizer=SGD)
    model, data = hand.model.double().train(), hand.data.train
    optimizer = SGD(model.parameters())
    for epoch in range(epochs):
        order = Rng(0, "order", epoch).permutation(len(data.inputs))
        for chosen in order.split(large):
            optimizer.zero_grad()
            for rows in chosen.split(batch_size):
                outputs = model(data.inputs[rows].double())
                loss = F.cross_entropy(outputs, data.targets[rows], reduction="sum")
                (loss / len(chosen)).backward()  # not / k: the last micro-batch may be smaller
            optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(result.last["weights"][name], value, rtol=0, atol=1e-13)
