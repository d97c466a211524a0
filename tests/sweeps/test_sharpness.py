"""Sharpness of finished runs: the eigenvalues of torch.autograd.functional.hessian, written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from regexp.metrics import names
from regexp.metrics.sharpness import RADIUS
from regexp.random import Rng
from regexp.stack.member import Member
from regexp.stack.objective import Objective
from regexp.sweeps.sharpness import add_sharpness
from regexp.training.state import Result
from tests.sandbox import Sandbox
from tests.support import make_member, run, technique
from tests.technique_runs import member, mix

ROWS = 40


def finished(*members: Member, epochs: int = 2) -> list[Result]:
    results, _ = run(members, epochs)
    for one, result in zip(members, results, strict=True):
        add_sharpness(one, result, ROWS)
    return results


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.BatchNorm1d(3), nn.Linear(3, 3))


def test_is_that_of_the_whole_hessian_at_the_weights_that_are_tested() -> None:
    """With an average that is evaluated, a penalty and noise that are left out, rows of a class
    that count three times, and more rows of the training split than are looked at."""
    techniques = {name: technique(name) for name in ("ema", "l2", "input_noise")}
    objective = Objective(class_weight={"a": 3.0})
    one = replace(make_member(3, techniques, model=small), objective=objective)
    (result,) = finished(one)
    state = {name: value.double() for name, value in result.last["weights"].items()}
    rows = Rng(3, "sharpness").permutation(len(one.data.train))[:ROWS]
    inputs = one.data.train.inputs.index_select(0, rows).double()
    targets = one.data.train.targets[rows]
    counts = torch.where(one.data.train.targets == 0, 3.0, 1.0).double()
    counts = (counts / counts.mean())[rows]
    learned = [name for name, _ in one.model.named_parameters()]

    def loss(*point: torch.Tensor) -> torch.Tensor:
        first, shift, gain, bias, last, end = point
        hidden = (inputs @ first.T + shift).tanh()
        mean, variance = state["2.running_mean"], state["2.running_var"]
        hidden = (hidden - mean) / (variance + 1e-5).sqrt() * gain + bias
        outputs = hidden @ last.T + end
        return (counts * nn.functional.cross_entropy(outputs, targets, reduction="none")).mean()

    point = tuple(state[name] for name in learned)
    blocks = torch.autograd.functional.hessian(loss, point)
    sizes = [value.numel() for value in point]
    whole = torch.cat(
        [
            torch.cat([b.reshape(n, m) for b, m in zip(row, sizes, strict=True)], 1)
            for row, n in zip(blocks, sizes, strict=True)
        ]
    )
    largest = float(torch.linalg.eigvalsh(whole)[-1])
    assert result.metrics["sharpness/eigenvalue"] == pytest.approx(largest, rel=1e-6)
    assert result.metrics["sharpness/residual"] < 1e-2
    slopes = torch.func.grad(loss, tuple(range(len(point))))(*point)
    length = torch.cat([slope.flatten() for slope in slopes]).norm()
    moved = [w + RADIUS * slope / length for w, slope in zip(point, slopes, strict=True)]
    gap = float(loss(*moved) - loss(*point))
    assert result.metrics["sharpness/sam_gap"] == pytest.approx(gap, rel=1e-8)


def test_each_run_of_a_stack_has_its_own() -> None:
    together = finished(make_member(0), make_member(1))
    for seed, ours in enumerate(together):
        (alone,) = finished(make_member(seed))
        for name in names.SHARPNESSES:
            expected = pytest.approx(alone.metrics[name], rel=1e-3, abs=1e-6)
            assert ours.metrics[name] == expected
    assert (
        together[0].metrics["sharpness/eigenvalue"] != together[1].metrics["sharpness/eigenvalue"]
    )


def test_a_command_asks_for_it_and_may_compare_by_it(sandbox: Sandbox) -> None:
    command = ("dataset=iris", "model=logistic", "regularizer=none", "seeds=2", "trainer.epochs=1")
    metric = "compare.metric=sharpness/eigenvalue"
    assert sandbox.run(*command, metric) != 0  # nobody asked for it
    assert sandbox.run(*command, metric, "trainer.sharpness=30") == 0
    for row in sandbox.children().to_dict("records"):
        assert all(row[f"metrics.{name}"] > 0 for name in names.SHARPNESSES)
    assert all(map(names.lower_is_better, names.SHARPNESSES))


@pytest.mark.parametrize("network", ["cnn", "lstm", "gru", "odd", "mixed"])
def test_every_kind_of_network_has_one(network: str) -> None:
    (result,) = finished(member(network, 0, mix("l2")))
    assert not result.failed_metrics
    assert result.metrics["sharpness/eigenvalue"] > 0


def test_a_mean_over_members_has_none_and_says_why() -> None:
    (result,) = finished(make_member(0, {"batch_ensemble": technique("batch_ensemble")}))
    assert not set(names.SHARPNESSES) & set(result.metrics)
    assert "several members" in result.failed_metrics["sharpness"]


def test_nothing_else_of_the_run_changes() -> None:
    one = make_member(0, {"dropout": technique("dropout")})
    (result,), _ = run([one], 2)
    before: Any = {name: value.clone() for name, value in result.last["weights"].items()}
    metrics = dict(result.metrics)
    add_sharpness(one, result, ROWS)
    assert {k: v for k, v in result.metrics.items() if not k.startswith("sharpness")} == metrics
    assert all(torch.equal(before[name], value) for name, value in result.last["weights"].items())
    assert one.model.training
    assert all(torch.equal(p, result.last["state"][n]) for n, p in one.model.named_parameters())
