"""Freezing: each block trains just until its share of the steps, by its weights after each step."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import torch

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.training.own_loop import Regularized
from tests.support import make_data, make_member, make_step, run, technique, tensor

# With momentum and a decay of its own: both move weights whose gradient is zero.
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1)
ADAM = partial(torch.optim.Adam, lr=1e-2, weight_decay=0.1)


def weights_after(epochs, total, start, optimizer, others=(), **options):
    """The weights after `epochs` of a run of `total` epochs of 3 steps, by a budget."""
    names = (*others, "freezing", "budget")
    techniques = {name: technique(name) for name in names}
    techniques["freezing"] = technique("freezing", start=start)
    techniques["budget"] = technique("budget", share=epochs / total)
    member = make_member(0, techniques, optimizer=optimizer, **options)
    (result,), _ = run([member], epochs=total)
    return result.last["weights"]


def moved(before, after):
    """The prefixes of the parameters that differ."""
    return {
        name.rpartition(".")[0]
        for name, value in after.items()
        if not {"running", "num"} & {*name.rpartition(".")[2].split("_")}
        and not torch.equal(before[name], value)
    }


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
def test_blocks_freeze_one_after_another(optimizer):
    """Of 8 epochs: block 0 freezes after the 4th, block 1 after the 6th, the output never."""
    after = [weights_after(n, 8, 0.5, optimizer) for n in range(1, 9)]
    changes = [moved(*pair) for pair in pairwise(after)]
    first, second, output = "hidden.0.layer", "hidden.1.layer", "output"
    assert changes == [{first, second, output}] * 3 + [{second, output}] * 2 + [{output}] * 2


@pytest.mark.parametrize("frozen", [False, True])
def test_blocks_are_counted_with_those_that_have_no_gradient(frozen):
    """Of 8 steps: block 1 of 2 freezes after the 6th, whether block 0 trains or not."""
    model = MLP([5], 3, [4, 4], "relu")
    first, second = model.get_submodule("hidden.0"), model.get_parameter("hidden.1.layer.weight")
    first.requires_grad_(not frozen)
    ours = Regularized(
        model, {"freezing": technique("freezing", start=0.5)}, partial(torch.optim.SGD, lr=0.1),
        example=torch.zeros(1, 5), classes=3, epochs=1, steps_per_epoch=8,
    )  # fmt: skip
    inputs, moves = tensor(make_data().train.inputs)[:6], []
    for _ in range(8):
        before = second.detach().clone()
        ours.train_batch(inputs, torch.arange(6) % 3)
        moves.append(not torch.equal(second, before))
    assert moves == [True] * 6 + [False] * 2


def test_normalization_of_a_block_freezes_but_for_its_running_statistics():
    after = [weights_after(n, 8, 0.5, SGD, others=("batch_norm",)) for n in (3, 4, 5)]
    assert "hidden.0.norm.0" in moved(*after[:2])
    assert "hidden.0.norm.0" not in moved(*after[1:])
    for name in ("running_mean", "running_var"):
        assert not torch.equal(*(each[f"hidden.0.norm.0.{name}"] for each in after[1:]))


def test_blocks_of_a_convolutional_network():
    options = {
        "model": lambda: CNN((1, 8, 8), 3, [3], 6, "relu"),
        "data": make_data(shape=(1, 8, 8)),
    }
    after = [weights_after(n, 8, 0.25, SGD, **options) for n in (2, 3, 5, 6)]
    changes = [moved(*pair) for pair in pairwise(after)]
    assert changes == [{"hidden.layer", "output"}, {"hidden.layer", "output"}, {"output"}]


def test_start_zero_never_trains_the_first_block():
    start = make_member(0).model.state_dict()
    trained = weights_after(2, 4, 0.0, ADAM)
    assert moved(start, trained) == {"hidden.1.layer", "output"}


@pytest.mark.parametrize(
    ("others", "branches"),
    [((), ("branch",)), (("shake_shake",), ("branch.first", "branch.second"))],
)
def test_nothing_trains_in_front_of_a_frozen_layer(others, branches):
    """Of 4 epochs: embedding and first residual train in none, the second one in two."""
    model, data = partial(ResNetMLP, (4,), 3, 5, 6, 2, "relu"), make_data(shape=(4,))
    after = [weights_after(n, 4, 0.0, SGD, others, model=model, data=data) for n in (1, 2, 3)]
    changes = [moved(*pair) for pair in pairwise(after)]
    second = {f"residual.1.{one}.{part}" for one in branches for part in ("hidden.layer", "output")}
    assert changes == [{*second, "output"}, {"output"}]


@pytest.mark.parametrize("first", range(1, 100))
def test_rounding_adds_no_step(first):
    """0.07 * 100 is 7.000000000000001, for one; `make_step` has 100 steps."""
    freezing = technique("freezing", start=first / 100)
    names = ("hidden.0.layer.weight", "output.weight")
    old, new = ({name: torch.full((1, 1), x) for name in names} for x in (0.0, 1.0))
    moved = [
        freezing.constrain(make_step(index), new, old)["hidden.0.layer.weight"].item()
        for index in (first - 1, first)
    ]
    assert moved == [1.0, 0.0]
