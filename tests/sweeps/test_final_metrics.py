"""What a job adds to its runs' metrics: the naive forecast, the target's own unit, the ensemble."""

from __future__ import annotations

import dataclasses
import math

import pytest
import sklearn.metrics
import torch

from regexp.dataset.base import TargetScale
from regexp.metrics.evaluate import metrics
from regexp.metrics.names import lower_is_better
from regexp.sweeps.final_metrics import add_ensembles, against_naive, final_scores, row_outputs
from regexp.sweeps.planned_run import PlannedRun
from tests.support import make_data, make_member, run


def planned(seed: int, variant: str = "") -> PlannedRun:
    return PlannedRun(f"seed={seed}", "none", variant, seed, "", {}, "made", "", "", False)


def test_errors_in_the_targets_unit_and_against_the_naive_forecast():
    data = dataclasses.replace(
        make_data(), target_scale=TargetScale((5.0,), (20.0,)), naive={"test": 0.5}
    )
    own = against_naive(data, {"test/rmse": 0.4, "test/mae": 0.3, "test/loss": 0.16})
    assert own == {
        "test/rmse_unscaled": pytest.approx(8.0), "test/mae_unscaled": pytest.approx(6.0),
        "test/rmse_naive": 0.5, "test/skill": pytest.approx(0.2),
    }  # fmt: skip
    assert against_naive(data, {"test/accuracy": 0.9}) == {}


def test_scores_are_of_the_final_weights_on_validation_and_test_rows():
    data = make_data(1)
    [result], _ = run([make_member(1, data=data)], epochs=2)
    outputs = {"validation": result.validation_outputs, "test": result.outputs}
    found = final_scores(data, outputs)
    for prefix, name, split in (
        ("final/val_", "validation", data.validation),
        ("test/", "test", data.test),
    ):
        predicted = outputs[name].argmax(1)
        right = float((predicted == split.targets).double().mean())
        assert result.metrics[f"{prefix}accuracy"] == pytest.approx(right)  # of this split
        f1 = sklearn.metrics.f1_score(split.targets, predicted, average="macro")
        assert found[f"{prefix}macro_f1"] == pytest.approx(f1)
    recalls = sklearn.metrics.recall_score(
        data.test.targets, result.outputs.argmax(1), average=None
    )
    assert [found[f"test/recall/{name}"] for name in "abc"] == pytest.approx(list(recalls))
    assert not any(name.startswith("final/val_recall") for name in found)


@pytest.mark.parametrize("called", [("width", "x/y"), ()])
def test_several_targets_have_an_error_each_in_their_own_unit(called: tuple[str, ...]) -> None:
    data, scale = make_data(1), TargetScale((5.0, -1.0), (20.0, 0.5))
    made = torch.Generator().manual_seed(0)
    targets, outputs = torch.randn(2, len(data.test), 2, generator=made)
    rows = dataclasses.replace(data.test, targets=targets)
    data = dataclasses.replace(
        data, task="regression", classes=(), target_scale=scale, target_names=called,
        train=rows, test=rows,
    )  # fmt: skip
    found = final_scores(data, {"validation": outputs[:0], "test": outputs})
    units = torch.tensor(scale.scale)
    wanted = sklearn.metrics.root_mean_squared_error(
        targets * units, outputs * units, multioutput="raw_values"
    )
    parts = ("width", "x_y") if called else ("1", "2")
    names = [f"test/rmse/{part}" for part in parts]
    assert [found[name] for name in names] == pytest.approx(wanted.tolist())
    assert all(lower_is_better(name) for name in names)
    assert row_outputs(data, outputs).classes == (called or parts)
    one = dataclasses.replace(data.test, targets=targets[:, :1])
    alone = dataclasses.replace(data, test=one, train=one, target_scale=None, target_names=())
    assert final_scores(alone, {"validation": outputs[:0, :1], "test": outputs[:, :1]}) == {}


def test_runs_that_share_their_splits_get_their_ensembles_metrics():
    shared, others = make_data(3), make_data(4)
    members = [make_member(seed, data=shared) for seed in range(3)] + [make_member(3, data=others)]
    results, _ = run(members, epochs=2)
    before = dict(results[3].metrics)
    add_ensembles(members, [planned(seed) for seed in range(4)], results)
    probabilities = torch.stack([r.outputs.softmax(-1) for r in results[:3]]).mean(0)
    by_hand = metrics(probabilities.log(), shared.test.targets, "classification")
    for result in results[:3]:
        assert result.metrics["ensemble/loss"] == pytest.approx(float(by_hand["loss"]), rel=1e-6)
        assert result.metrics["ensemble/accuracy"] == float(by_hand["accuracy"])
        assert result.metrics["ensemble/members"] == 3
    assert results[3].metrics == before
    mean = sum(result.metrics["test/loss"] for result in results[:3]) / 3
    assert results[0].metrics["ensemble/loss"] <= mean


def test_points_of_a_grid_and_failed_runs_are_no_members():
    shared = make_data(3)
    members = [make_member(seed, data=shared) for seed in range(3)]
    results, _ = run(members, epochs=1)
    results[2].status = "FAILED"
    add_ensembles(members, [planned(0, "a"), planned(1, "b"), planned(2, "b")], results)
    assert not any("ensemble/loss" in result.metrics for result in results)
    assert math.isfinite(results[0].metrics["test/loss"])
