"""Bars in the loop: a run that does not pass one ends there, and changes nothing else.

The oracle is the same loop without bars, broken off by its number of epochs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor
from torch.testing import assert_close

from regexp.metrics.bars import Bar
from regexp.metrics.names import at_bar
from regexp.model.mlp import MLP
from regexp.stack.member import Member
from regexp.stack.objective import Objective, OwnLoss
from regexp.stack.stack import Stack
from regexp.training.parts import Parts
from tests.support import make_data, make_member, run, technique
from tests.technique_runs import assert_same_tree

Bars = Mapping[int, float | tuple[float | None, str, float] | None]
"""Epoch -> loss, or loss, metric and score."""
EPOCHS = 5
COSINE = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=EPOCHS)


def member(seed: int, bars: Bars | None = None, **options: Any) -> Member:
    its_bars = {
        epoch: Bar(epoch, *(asked if isinstance(asked, tuple) else (asked,)))
        for epoch, asked in (bars or {}).items()
    }
    made = make_member(seed, {"ema": technique("ema", decay=0.9)}, **options)
    return replace(made, bars=its_bars)


def reached(plain: Sequence[Member], epoch: int = 2) -> list[dict[str, float]]:
    """The metrics of runs without bars after an epoch."""
    _, history = run(plain, EPOCHS)
    return [history[at][epoch - 1] for at in range(len(plain))]


def test_those_above_the_bar_end_there_and_the_others_in_full() -> None:
    seeds = range(4)
    at_rung = [one["val/loss"] for one in reached([member(seed) for seed in seeds])]
    bar = sorted(at_rung)[1]  # a loss that equals it is not above
    results, history = run([member(seed, {2: bar}) for seed in seeds], EPOCHS)
    ended = [2 if loss > bar else EPOCHS for loss in at_rung]
    assert sorted(ended) == [2, 2, EPOCHS, EPOCHS]
    assert [result.metrics["epochs"] for result in results] == ended
    assert [len(history[at]) for at in range(4)] == ended
    assert {result.status for result in results} == {"FINISHED"}
    assert [result.metrics[at_bar("loss", 2)] for result in results] == at_rung


@pytest.mark.parametrize("of", [4, 7])
def test_the_accuracy_decides_and_the_loss_among_equal_ones(of: int) -> None:
    """The bar is what one of the runs had. The oracle counts rows."""
    seeds, rows = range(8), len(make_data().validation)
    at_rung = reached([member(seed) for seed in seeds])
    right = [round(one["val/accuracy"] * rows) for one in at_rung]
    losses = [one["val/loss"] for one in at_rung]
    behind = [(right[of] - right[at], losses[at] - losses[of]) > (0, 0) for at in seeds]
    # in double precision, as a person writes it
    bar = losses[of], "accuracy", right[of] / rows
    results, _ = run([member(seed, {2: bar}) for seed in seeds], EPOCHS)
    assert [result.epochs for result in results] == [2 if it else EPOCHS for it in behind]
    assert [result.metrics[at_bar("accuracy", 2)] for result in results] == [
        one["val/accuracy"] for one in at_rung
    ]
    # of these runs one is more accurate at a higher loss, or less at a lower; and one ties with it
    assert behind != [loss > losses[of] for loss in losses]
    assert right.count(right[of]) == 2


def regression() -> list[Any]:
    """Options of four members."""
    data = [make_data(seed, task="regression") for seed in range(4)]
    return [{"data": one, "model": partial(MLP, (5,), 1, [8], "relu")} for one in data]


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_in_regression_no_accuracy_decides(accuracy: float) -> None:
    options = regression()
    losses = [one["val/loss"] for one in reached([member(at, **options[at]) for at in range(4)])]
    bar = (sorted(losses)[1], "accuracy", accuracy)
    results, _ = run([member(at, {2: bar}, **options[at]) for at in range(4)], EPOCHS)
    assert [one.epochs for one in results] == [2 if loss > bar[0] else EPOCHS for loss in losses]
    noted = {name for result in results for name in result.metrics if name.startswith("rung/")}
    assert noted == {at_bar("loss", 2), at_bar("rmse", 2)}


def test_in_regression_the_rmse_decides_whatever_the_loss() -> None:
    def l1(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs()

    def absolute(at: int, bars: Bars | None = None) -> Member:
        return replace(member(at, bars, **options[at]), objective=Objective(OwnLoss(l1)))

    options = regression()
    errors = [one["val/rmse"] for one in reached([absolute(at) for at in range(4)])]
    bar = (0.0, "rmse", sorted(errors)[1])  # no loss is that low
    results, _ = run([absolute(at, {2: bar}) for at in range(4)], EPOCHS)
    assert [one.epochs for one in results] == [2 if it > bar[2] else EPOCHS for it in errors]
    assert [result.metrics[at_bar("rmse", 2)] for result in results] == errors


@pytest.mark.parametrize("count", [1, 6])
def test_a_score_that_no_epoch_records_decides_as_it_is_of_the_final_weights(count: int) -> None:
    """The oracle is scikit-learn's, of the outputs of runs that have just so many epochs."""
    plain, _ = run([member(seed) for seed in range(6)], 2)
    true = [make_data(seed).validation.targets for seed in range(6)]
    balanced = [
        balanced_accuracy_score(rows, one.validation_outputs.argmax(-1))
        for rows, one in zip(true, plain, strict=True)
    ]
    accuracies = [one.metrics["final/val_accuracy"] for one in plain]
    least = sorted(balanced)[3]
    asked: Bars = {1: (None, "balanced_accuracy", 0.0), 2: (1e9, "balanced_accuracy", least)}
    results, _ = run([member(seed, asked) for seed in range(count)], EPOCHS)
    assert [one.epochs for one in results] == [
        EPOCHS if round(score, 5) >= round(least, 5) else 2 for score in balanced[:count]
    ]
    for result, score in zip(results, balanced, strict=False):
        assert result.metrics[at_bar("balanced_accuracy", 2)] == pytest.approx(score)
        assert at_bar("balanced_accuracy", 1) in result.metrics
    # by the accuracy others would have ended
    assert np.argsort(accuracies).tolist() != np.argsort(balanced).tolist()


def test_a_run_that_ends_at_a_bar_is_one_of_so_many_epochs() -> None:
    [short], _ = run([member(0)], 3)
    [result], _ = run([member(0, {1: None, 3: 0.0})], EPOCHS)
    noted = {at_bar(metric, epoch) for epoch in (1, 3) for metric in ("loss", "accuracy")}
    assert noted <= {*result.metrics}
    kept = {k: v for k, v in result.metrics.items() if k != "seconds" and k not in noted}
    assert kept == {k: v for k, v in short.metrics.items() if k != "seconds"}
    assert_same_tree(result.last, short.last)
    assert_same_tree(result.best, short.best)


@pytest.mark.parametrize("count", [1, 3])
def test_bars_that_are_passed_change_no_bit(count: int) -> None:
    """The schedule is that of the full length."""
    without, told = run([member(seed, scheduler=COSINE) for seed in range(count)], EPOCHS)
    bars = {1: None, 2: 1e9}
    barred = [member(seed, bars, scheduler=COSINE) for seed in range(count)]
    results, history = run(barred, EPOCHS)
    assert history == told
    for result, expected in zip(results, without, strict=True):
        assert_same_tree(result.last, expected.last)


def test_a_stack_of_mixed_fates_is_its_runs_alone() -> None:
    """Each has bars of its own: ended at the first, at the second, at none; without bars."""
    fates: list[Bars] = [{1: 0.0, 3: 0.0}, {1: 1e9, 3: 0.0}, {1: 1e9, 3: None}, {}]
    together, histories = run(
        [member(seed, bars) for seed, bars in enumerate(fates)], EPOCHS, precision="float64"
    )
    assert [result.epochs for result in together] == [1, 3, EPOCHS, EPOCHS]
    for seed, bars in enumerate(fates):
        [alone], history = run([member(seed, bars)], EPOCHS, precision="float64")
        assert_close(together[seed].last["weights"], alone.last["weights"], rtol=1e-9, atol=1e-9)
        for ours, theirs in zip(histories[seed], history[0], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9)
        noted = {name for name in alone.metrics if name.startswith("rung/")}
        assert noted == {name for name in together[seed].metrics if name.startswith("rung/")}


@pytest.mark.parametrize("saved", [0, 1, 2, 5])
def test_a_run_that_is_resumed_has_the_losses_of_the_rungs_before(saved: int) -> None:
    """In parts, two runs at once: of the first two one ends at the first bar."""

    class Stopped(Exception):  # noqa: N818, it stands for a kill
        pass

    kept: list[dict[str, Any]] = []

    def save(epoch: int, content: Any) -> None:
        kept.append(copy.deepcopy(content()))
        if len(kept) > saved:
            raise Stopped

    def parts() -> Parts:
        fates: list[Bars] = [{1: 0.0, 3: 0.0}, {1: 1e9, 3: None}, {1: 1e9, 3: 0.0}]
        members = [member(seed, bars) for seed, bars in enumerate(fates)]
        return Parts(members, 2, partial(Stack, epochs=EPOCHS, batch_size=32))

    undisturbed = parts().train(EPOCHS, lambda *told: None)
    with pytest.raises(Stopped):
        parts().train(EPOCHS, lambda *told: None, save)
    resumed = parts()
    resumed.resume(kept[-1])
    for result, expected in zip(
        resumed.train(EPOCHS, lambda *told: None), undisturbed, strict=True
    ):
        assert_same_tree(result.last, expected.last)
        for name, value in expected.metrics.items():
            assert name == "seconds" or result.metrics[name] == value
