"""A stack that trains a part of its runs after another: against each run by itself."""

from __future__ import annotations

import copy
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from regexp.dataset.base import Data, Split
from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.at_once import runs_at_once, working_set
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.training.parts import Parts
from regexp.training.state import Result, Unfit
from tests.support import make_member, technique
from tests.technique_runs import assert_same_tree

EPOCHS = 4
CPU = torch.device("cpu")


class Stopped(Exception):  # noqa: N818, it stands for a kill
    pass


def members(count: int) -> list[Member]:
    ema = {"ema": technique("ema", decay=0.9)}
    return [make_member(seed, ema) for seed in range(count)]


def parts(count: int, at_once: int) -> Parts:
    return Parts(members(count), at_once, partial(Stack, epochs=EPOCHS, batch_size=32))


def ignored(*_: Any) -> None:
    """Nobody is told."""


def content(result: Result) -> dict[str, Any]:
    seconds = {name: v for name, v in result.metrics.items() if name != "seconds"}
    return {**vars(result), "seconds": 0.0, "metrics": seconds}


def test_parts_of_one_run_are_runs_by_themselves_to_the_bit() -> None:
    told: list[tuple[int, int]] = []
    results = parts(3, 1).train(EPOCHS, lambda run, epoch, metrics: told.append((run, epoch)))
    assert told == [(run, epoch) for run in range(3) for epoch in range(1, EPOCHS + 1)]
    for run, (result, member) in enumerate(zip(results, members(3), strict=True)):
        alone = Parts([member], 1, partial(Stack, epochs=EPOCHS, batch_size=32))
        [expected] = alone.train(EPOCHS, ignored)
        assert (result.run, result.together) == (run, [run])
        assert_same_tree(content(result) | {"run": 0, "together": [0]}, content(expected))


def test_every_part_is_a_stack_of_its_own() -> None:
    results = parts(5, 2).train(EPOCHS, ignored)
    assert [result.run for result in results] == list(range(5))
    assert [result.together for result in results] == [[0, 1], [0, 1], [2, 3], [2, 3], [4]]
    both = Parts(members(4)[2:], 2, partial(Stack, epochs=EPOCHS, batch_size=32))
    for result, expected in zip(results[2:4], both.train(EPOCHS, ignored), strict=True):
        assert_same_tree(result.last, expected.last)


@pytest.mark.parametrize("saved", [0, 1, 4, 7])
def test_parts_go_on_from_any_epoch_with_the_same_bits(saved: int) -> None:
    kept: list[dict[str, Any]] = []

    def save(epoch: int, content: Any) -> None:
        kept.append(copy.deepcopy(content()))
        if len(kept) > saved:
            raise Stopped

    undisturbed = parts(5, 2).train(EPOCHS, ignored)
    with pytest.raises(Stopped):
        parts(5, 2).train(EPOCHS, ignored, save)
    resumed = parts(5, 2)
    resumed.resume(kept[-1])
    for result, expected in zip(resumed.train(EPOCHS, ignored), undisturbed, strict=True):
        assert_same_tree(content(result), content(expected))


@pytest.mark.parametrize("wrong", [{"first": 1}, {"first": "x"}, {"ended": [{"run": 0}]}])
def test_parts_of_other_runs_are_not_gone_on_from(wrong: dict[str, Any]) -> None:
    kept: list[dict[str, Any]] = []
    parts(4, 2).train(EPOCHS, ignored, lambda epoch, content: kept.append(content()))
    with pytest.raises(Unfit):
        parts(4, 2).resume(kept[0] | wrong)


# --- how many at once ------------------------------------------------------------------------


def of(model: nn.Module, *shape: int, rows: int = 512) -> Member:
    split = Split(torch.zeros(rows, *shape), torch.arange(rows) % 10)
    names = tuple("abcdefghij")
    data = Data(split, split, split, "classification", names, (), "", "made", "")
    return Member(0, data, model, Cocktail({}), make_member(0).stepper)


def test_the_working_set_is_weights_moments_and_activations() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Identity(), nn.ReLU(), nn.Linear(5, 2))
    weights, activations = 3 * 5 + 5 + 5 * 2 + 2, 5 + 5 + 2
    assert working_set(model, torch.zeros(1, 3), 7) == 4 * (4 * weights + 7 * activations)
    assert not any(module._forward_hooks for module in model.modules())


def test_small_networks_train_side_by_side_and_large_ones_in_turn() -> None:
    small = of(MLP((20,), 10, [64, 64], "relu"), 20)
    assert runs_at_once([small] * 16, 128, CPU) == 16
    wide = of(MLP((20,), 10, [1024, 1024], "relu"), 20)
    assert runs_at_once([wide] * 16, 128, CPU) == 1
    images = of(CNN((3, 32, 32), 10, [16, 32], 64, "relu"), 3, 32, 32)
    assert runs_at_once([images] * 16, 64, CPU) == 1


def test_on_a_gpu_as_many_as_fit_into_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    images = of(CNN((3, 32, 32), 10, [16, 32], 64, "relu"), 3, 32, 32)
    run = working_set(images.model, torch.zeros(1, 3, 32, 32), 64)
    memory = 80 * 2**30
    properties = lambda device: SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert runs_at_once([images] * 16, 64, torch.device("cuda")) == 16
    memory = 4 * 8 * run + 100
    assert runs_at_once([images] * 16, 64, torch.device("cuda")) == 8
    memory = run
    assert runs_at_once([images] * 16, 64, torch.device("cuda")) == 1


def test_parts_are_of_about_equal_size() -> None:
    one = of(MLP((20,), 10, [256, 256], "relu"), 20)
    most = runs_at_once([one] * 100, 256, CPU)
    assert 4 < most < 20
    assert runs_at_once([one] * most, 256, CPU) == most
    assert runs_at_once([one] * (most + 1), 256, CPU) == -(-(most + 1) // 2)


def test_batches_beyond_the_training_rows_count_for_no_more_than_these() -> None:
    one = of(MLP((20,), 10, [64], "relu"), 20, rows=64)
    assert runs_at_once([one] * 64, 10**6, CPU) == runs_at_once([one] * 64, 64, CPU)
