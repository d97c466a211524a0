"""RunOutcome that differ in one value are told by its name; the oracle is what the test changes."""

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regexp.rerun.original import RunOutcome
from regexp.rerun.verify import verify
from regexp.training.checkpoint import digest

METRICS: dict[str, dict[int, float]] = {
    "train/loss": {1: 0.9, 2: 0.7, 3: 0.5},
    "val/loss": {1: 0.8, 2: 0.75, 3: math.nan},
    "val/accuracy": {1: 0.5, 2: math.inf, 3: 0.7},
    "test/accuracy": {0: 0.65},
    "seconds": {0: 1.5},
}


def last() -> dict[str, Any]:
    return {
        "epoch": 3,
        "optimizer": {"state": {0: {"exp_avg": torch.tensor([0.1, math.nan])}}, "lr": 0.1},
        "memory": {"ema": {"shadow": torch.arange(4.0)}, "stopped": torch.tensor(False)},
        "weights": {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)},
        "scheduler": {"rates": [0.1, 0.2], "best": math.inf},
    }


def results(content: dict[str, Any] | None = None, **changes: Any) -> RunOutcome:
    content = last() if content is None else content
    made = RunOutcome("FINISHED", "", METRICS, digest(content["weights"]), lambda: content)
    return dataclasses.replace(made, **changes)


def test_equal_results_are_identical_whatever_time_they_took():
    verdict = verify(results(), results(metrics=METRICS | {"seconds": {0: 99.0}}))
    assert verdict.identical
    assert verdict.first is None
    assert (verdict.epochs, verdict.values, verdict.tensors) == (3, 10, 5)


@given(
    st.sampled_from(["train/loss", "val/loss", "val/accuracy"]),
    st.integers(1, 3),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_the_metric_that_was_changed_is_named_with_its_epoch(name, epoch, value):
    metrics = copy.deepcopy(METRICS)
    before = metrics[name][epoch]
    metrics[name][epoch] = value
    verdict = verify(results(), results(metrics=metrics))
    if before == value or (math.isnan(before) and math.isnan(value)):
        assert verdict.identical
        return
    [first] = verdict.metrics
    assert (first.name, first.step, first.then) == (name, epoch, before)
    assert [first.now] == [value]  # a list takes a NaN for itself
    if math.isfinite(before) and math.isfinite(value):
        assert first.absolute == abs(before - value)
        assert 0 < first.relative <= 2


def test_the_first_difference_is_that_of_the_earliest_epoch_and_training_comes_before_validation():
    metrics = copy.deepcopy(METRICS)
    metrics["test/accuracy"][0] = 0.6
    metrics["val/accuracy"][2] = metrics["train/loss"][2] = 0.1
    metrics["val/loss"][3] = 0.1
    verdict = verify(results(), results(metrics=metrics))
    assert [(one.name, one.step) for one in verdict.metrics] == [
        ("train/loss", 2), ("val/accuracy", 2), ("val/loss", 3), ("test/accuracy", 0),
    ]  # fmt: skip


def test_a_metric_that_one_run_lacks_is_a_difference():
    metrics = copy.deepcopy(METRICS)
    del metrics["train/loss"][3], metrics["val/accuracy"]
    verdict = verify(results(), results(metrics=metrics))
    found = [(one.name, one.step, one.then, one.now) for one in verdict.metrics]
    assert found == [("val/accuracy", 1, 0.5, None), ("train/loss", 3, 0.5, None)]
    assert math.isnan(verdict.metrics[0].relative)


def test_scores_that_an_earlier_version_did_not_record_are_no_difference():
    further = METRICS | {"test/macro_f1": {0: 0.5}}
    verdict = verify(results(), results(metrics=further))
    assert verdict.identical
    assert verdict.values == 10
    assert not verify(results(metrics=further), results()).identical  # it is missing now
    curve = METRICS | {"val/macro_f1": {1: 0.5}}
    assert not verify(results(), results(metrics=curve)).identical
    failed = results(status="FAILED", metrics={})
    assert not verify(failed, results()).identical
    assert not verify(results(), results(metrics=further), again=False).identical
    lost = RunOutcome("FINISHED", "", {}, "", lambda: None)  # of a yardstick, which has no more
    found = RunOutcome("FINISHED", "", {"test/accuracy": {0: 0.9}}, "", lambda: None)
    assert not verify(lost, found).identical


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("weights.a.weight", lambda c: c["weights"]["a.weight"][1].add_(0.25),
         "3 of 6 values, by at most 0.25"),
        ("weights.a.bias", lambda c: c["weights"]["a.bias"].neg_(),
         "2 of 2 values, by at most 0"),
        ("optimizer.state.0.exp_avg", lambda c: c["optimizer"]["state"][0]["exp_avg"].fill_(0.1),
         "1 of 2 values, NaN or not"),
        ("optimizer.lr", lambda c: c["optimizer"].update(lr=0.2), "0.1 -> 0.2"),
        ("memory.stopped", lambda c: c["memory"]["stopped"].fill_(True), "1 of 1 values"),
        ("memory.ema.shadow", lambda c: c["memory"]["ema"].pop("shadow"),
         "only the first run has it"),
        ("memory.ema.shadow", lambda c: c["memory"]["ema"].update(shadow=torch.arange(4)),
         "float32 [4] -> int64 [4]"),
        ("scheduler.rates", lambda c: c["scheduler"]["rates"].append(0.3), "2 -> 3 values"),
        ("scheduler.rates.1", lambda c: c["scheduler"].update(rates=[0.1, 0.3]), "0.2 -> 0.3"),
        ("epoch", lambda c: c.update(epoch=4), "3 -> 4"),
    ],
)  # fmt: skip
def test_what_was_changed_in_the_checkpoint_is_named(name, change, what):
    content = last()
    change(content)
    verdict = verify(results(), results(content))
    assert not verdict.identical
    assert [(one.name, one.what) for one in verdict.weights] == [(name, what)]


def test_without_a_checkpoint_the_digests_are_compared():
    original = results(load_last=lambda: None)
    assert verify(original, results()).identical
    assert verify(original, results()).digest
    assert verify(original, results()).tensors == 0
    content = last()
    content["weights"]["a.bias"] += 1e-7
    verdict = verify(original, results(content))
    assert [one.name for one in verdict.weights] == ["weights"]


def test_neither_checkpoint_nor_digest_is_no_proof():
    assert not verify(results(load_last=lambda: None, weights_sha256=""), results()).identical


def test_a_checkpoint_that_was_exchanged_is_told_by_its_digest():
    content = last()
    content["weights"]["a.bias"] += 1
    verdict = verify(results(load_last=lambda: content), results())
    assert "digest" in verdict.weights[0].what
    assert "weights.a.bias" in [one.name for one in verdict.weights]


def test_runs_that_end_otherwise_differ():
    failed = RunOutcome("FAILED", "train/loss became nan", METRICS, "", lambda: None)
    assert verify(failed, failed).identical
    verdict = verify(failed, dataclasses.replace(failed, status="FINISHED", reason=""))
    assert verdict.outcome == "FAILED (train/loss became nan) -> FINISHED"
    assert not verdict.identical


def test_what_is_said_of_runs_that_finished_is_no_result():
    assert verify(results(reason="its process ended"), results()).identical


def test_without_metrics_and_weights_there_is_nothing_to_compare():
    killed = RunOutcome("KILLED", "Ctrl-C", {}, "", lambda: None)
    assert verify(killed, killed).empty
    assert not verify(results(), results()).empty
