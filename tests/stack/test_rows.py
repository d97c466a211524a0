"""Each run of a stack has the rows of its own data, which are held once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from regexp.dataset.base import Data, Split
from regexp.dataset.lazy import ArrayImages
from regexp.stack.rows import StackedRows
from tests.support import make_data

CPU = torch.device("cpu")


def images(seed: int) -> Data:
    """Bytes, which are made inputs when they are asked for."""
    pixels = np.random.default_rng(seed).integers(0, 256, (150, 2, 3, 3)).astype(np.uint8)
    data, held = make_data(seed), ArrayImages(pixels)

    def split(part: Split, first: int) -> Split:
        return replace(part, inputs=held[np.arange(first, first + len(part))])

    train, validation, test = (
        split(data.train, 0),
        split(data.validation, 90),
        split(data.test, 120),
    )
    return replace(data, train=train, validation=validation, test=test)


@pytest.mark.parametrize("make", [make_data, images, lambda s: make_data(s, task="regression")])
@pytest.mark.parametrize("runs", [None, [2, 1]])
def test_rows_are_those_of_each_runs_own_data(make, runs) -> None:
    data = [make(0), make(1)]
    of_run = [data[0], data[1], data[0]]
    weights = [torch.rand(90), torch.rand(90)]
    weigh = lambda one: weights[0] if one is data[0] else weights[1]
    rows = StackedRows(
        of_run, lifted=True, device=CPU, dtype=torch.float32, weigh=weigh, numbered=True
    )
    chosen = [0, 1, 2] if runs is None else runs
    order = torch.stack([torch.randperm(90) for _ in chosen])

    def expected(of: slice) -> list[Tensor]:
        each = [
            (of_run[run].train.inputs[:][own[of]], of_run[run].train.targets[own[of]],
             weigh(of_run[run])[own[of]])
            for run, own in zip(chosen, order, strict=True)
        ]  # fmt: skip
        return [torch.stack(values) for values in zip(*each, strict=True)]

    batches = list(rows.batches(order, 32, 3, runs))
    for index, batch in enumerate(batches):
        wanted = expected(slice(32 * index, 32 * (index + 1)))
        for ours, theirs in zip(
            batch, [*wanted, order[:, 32 * index : 32 * (index + 1)]], strict=True
        ):
            assert ours is not None
            assert torch.equal(ours, theirs)
    assert [batch[0].shape[1] for batch in batches] == [32, 32, 26]

    inputs, targets = rows.outputs(lambda inputs: inputs, "test", runs)
    assert torch.equal(inputs, torch.stack([of_run[run].test.inputs[:] for run in chosen]))
    assert torch.equal(targets, torch.stack([of_run[run].test.targets for run in chosen]))
    rows.take([1, 2])
    inputs, _ = rows.outputs(lambda inputs: inputs, "validation")
    assert torch.equal(inputs, torch.stack([one.validation.inputs[:] for one in of_run[1:]]))


def test_tables_are_not_copied() -> None:
    data = [make_data(seed, task="regression") for seed in (0, 1)]
    rows = StackedRows(data, lifted=True, device=CPU, dtype=torch.float32)
    for one in data:
        for split in (one.train, one.validation, one.test):
            assert isinstance(split.inputs, Tensor)
            split.inputs.fill_(7)
            split.targets.fill_(8)
    for name in ("train", "validation", "test"):
        [(inputs, targets)] = rows.chunks(name)
        assert (inputs == 7).all()
        assert (targets == 8).all()
