"""Yardsticks, held against scikit-learn's own estimators and scores on the same arrays."""

from __future__ import annotations

import importlib
import pickle
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    log_loss,
    root_mean_squared_error,
)

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.dataset import limits
from regexp.dataset.base import MULTILABEL, Data
from regexp.dataset.lazy import LazyInputs
from regexp.metrics import names
from regexp.random import derive
from regexp.sweeps import yardstick_runs
from regexp.sweeps.estimators import FITS
from regexp.sweeps.final_metrics import metrics_of
from regexp.sweeps.ingredients import load_data
from regexp.sweeps.plan import plan_all
from regexp.sweeps.yardstick_runs import record_yardsticks
from regexp.sweeps.yardsticks import Yardstick, planned_yardsticks
from regexp.tracking import Tracker
from regexp.tracking.stored import Reader
from tests.dataset.made import write_image_folder
from tests.sandbox import Sandbox
from tests.support import make_data

SMALL = ("model.hidden=[4]", "trainer.epochs=1", "figures=false")


def sticks(*overrides: str) -> tuple[list[Yardstick], list[str]]:
    """The yardsticks of a command, and what is said of those that are left out."""
    sweep = compose(parse(["-m", *SMALL, *overrides])[0])
    return planned_yardsticks(sweep.config, plan_all(sweep.jobs)[0])


@cache
def fitted(*overrides: str) -> dict[str, tuple[dict[str, float], Data, int]]:
    """Name -> metrics, data and random state of each yardstick of one seed."""
    made, _ = sticks(*overrides, "seeds=[3]", "yardsticks=true")
    return {
        one.name: (one.fit(), one.data, derive(3, "yardstick", one.name) % 2**32) for one in made
    }


def arrays(data: Data, split: str) -> tuple[Any, Any]:
    part = getattr(data, split)
    return part.inputs[:].flatten(1).numpy(), part.targets.numpy()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("majority", lambda state: DummyClassifier(strategy="prior")),
        ("logistic_regression", lambda state: LogisticRegression(max_iter=1000)),
        ("hist_gradient_boosting",
         lambda state: HistGradientBoostingClassifier(random_state=state)),
    ],
)  # fmt: skip
def test_classifiers_are_scikit_learns_on_the_same_rows(name: str, make: Any) -> None:
    metrics, data, state = fitted("dataset=wine")[name]
    model = make(state).fit(*arrays(data, "train"))
    for split, prefix in (("validation", "final/val_"), ("test", "test/")):
        inputs, targets = arrays(data, split)
        probabilities, classes = model.predict_proba(inputs), range(3)
        accuracy = accuracy_score(targets, model.predict(inputs))
        assert metrics[f"{prefix}accuracy"] == pytest.approx(accuracy)
        balanced = balanced_accuracy_score(targets, model.predict(inputs))
        assert metrics[f"{prefix}balanced_accuracy"] == pytest.approx(balanced)
        loss = log_loss(targets, probabilities, labels=classes)
        assert metrics[f"{prefix}loss"] == pytest.approx(loss, rel=1e-4)
    assert metrics["seconds"] > 0


def test_an_edited_function_of_ones_own_makes_other_yardsticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    prints = []
    for factor in (1, 100, 1):
        (tmp_path / "own_scores.py").write_text(
            f"def right(outputs, targets):\n"
            f"    return {factor} * (outputs.argmax(1) == targets).double().mean()\n"
        )
        sys.modules.pop("own_scores", None)
        importlib.invalidate_caches()
        metrics = "trainer.metrics={right: {_target_: own_scores.right}}"
        made, _ = sticks("dataset=iris", metrics, "seeds=1", "yardsticks=true")
        prints.append([one.fingerprint for one in made])
    sys.modules.pop("own_scores", None)
    assert prints[0] == prints[2]
    assert not {*prints[0]} & {*prints[1]}


def test_boosting_fits_many_rows_of_which_a_class_has_one() -> None:
    """Of more than 10,000 it holds some out by class, and one row cannot be shared."""
    data = make_data(rows=10_100)
    data.train.targets[:] %= 2
    data.train.targets[0] = 2
    settings: dict[str, Any] = {"max_iter": 1}
    outputs = FITS["hist_gradient_boosting"](data, settings, None, 0)(data.test)
    assert outputs.shape == (30, 3)
    assert outputs.isfinite().all()


@pytest.fixture
def photos(tmp_path: Path) -> tuple[str, ...]:
    """A folder of few images, which memory holds as bytes."""
    write_image_folder(tmp_path)
    return "dataset=image_folder", f"dataset.path={tmp_path / 'photos'}", "dataset.size=4"


def test_images_are_fitted_as_the_numbers_that_they_are(photos: tuple[str, ...]) -> None:
    asked = (*photos, "trainer.batch_size=16")
    metrics, data, _ = fitted(*asked)["logistic_regression"]
    assert not isinstance(data.train.inputs, torch.Tensor)
    inputs, targets = arrays(data, "train")
    assert inputs.shape == (len(targets), 3 * 4 * 4)
    model = LogisticRegression(max_iter=1000).fit(inputs, targets)
    inputs, targets = arrays(data, "test")
    loss = log_loss(targets, model.predict_proba(inputs), labels=range(3))
    assert metrics["test/loss"] == pytest.approx(loss, rel=1e-4)
    metrics, _, state = fitted(*asked)["hist_gradient_boosting"]
    boosted = HistGradientBoostingClassifier(random_state=state).fit(*arrays(data, "train"))
    accuracy = accuracy_score(targets, boosted.predict(inputs))
    assert metrics["test/accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("elsewhere", "reason"),
    [
        (False, r"as numbers its 36 images take 0\.0 GB, more than the 0\.0 GB of memory"),
        (True, "its images are read when they are needed, and memory does not hold them"),
    ],
)
def test_images_that_memory_does_not_hold_have_the_majority_alone(
    photos: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, elsewhere: bool, reason: str
) -> None:
    if elsewhere:
        monkeypatch.setattr(LazyInputs, "in_memory", False)
    else:
        monkeypatch.setattr(limits, "memory", lambda: 36 * 48 * 4)
    made, said = sticks(*photos, "trainer.batch_size=16", "seeds=1", "yardsticks=true")
    assert [one.name for one in made] == ["majority"]
    assert made[0].fit()["test/loss"] > 0
    assert len(said) == 2
    for line in said:
        assert re.search(f"is left out on photos: {reason}", line)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mean", lambda state: DummyRegressor()),
        ("ridge", lambda state: Ridge()),
        ("hist_gradient_boosting", lambda state: HistGradientBoostingRegressor(random_state=state)),
    ],
)
def test_regressions_are_scikit_learns_on_the_same_rows(name: str, make: Any) -> None:
    metrics, data, state = fitted("dataset=diabetes")[name]
    inputs, targets = arrays(data, "train")
    model = make(state).fit(inputs, targets[:, 0])
    inputs, targets = arrays(data, "test")
    error = root_mean_squared_error(targets[:, 0], model.predict(inputs))
    assert metrics["test/rmse"] == pytest.approx(error, rel=1e-4)
    assert data.target_scale is not None
    own_unit = error * data.target_scale.scale[0]
    assert metrics["test/rmse_unscaled"] == pytest.approx(own_unit, rel=1e-4)


def weighted() -> tuple[Data, Any]:
    """Data whose training rows count differently, and their weights."""
    data = make_data()
    weights = np.random.default_rng(0).uniform(0.1, 5, len(data.train)).astype(np.float32)
    return replace(data, train=replace(data.train, weights=torch.tensor(weights))), weights


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("majority", DummyClassifier(strategy="prior")),
        ("logistic_regression", LogisticRegression()),
        ("hist_gradient_boosting", HistGradientBoostingClassifier(random_state=0)),
    ],
)
def test_rows_count_by_their_weights(name: str, model: Any) -> None:
    data, weights = weighted()
    outputs = FITS[name](data, {}, weights, 0)(data.test)
    model.fit(*arrays(data, "train"), sample_weight=weights)
    expected = model.predict_proba(arrays(data, "test")[0])
    torch.testing.assert_close(
        outputs.softmax(-1), torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-5
    )


def test_classes_count_by_their_weights_but_in_the_majority(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 2))
    rare = inputs[:, 0] + rng.normal(size=300) > 1.8
    lines = [
        f"{a:.4f},{b:.4f},{'yes' if one else 'no'}"
        for (a, b), one in zip(inputs, rare, strict=True)
    ]
    (tmp_path / "rare.csv").write_text("\n".join(["a,b,y", *lines]))
    table = ("dataset=table", f"dataset.path={tmp_path / 'rare.csv'}", "dataset.target=y")
    found = fitted(*table, "trainer.class_weight=balanced", "trainer.batch_size=32")
    metrics, data, _ = found["logistic_regression"]
    model = LogisticRegression(max_iter=1000, class_weight="balanced").fit(*arrays(data, "train"))
    inputs, targets = arrays(data, "test")
    accuracy = balanced_accuracy_score(targets, model.predict(inputs))
    assert metrics["test/balanced_accuracy"] == pytest.approx(accuracy)
    metrics, data, _ = found["majority"]
    assert metrics["test/accuracy"] == pytest.approx((arrays(data, "test")[1] == 0).mean())


def test_each_label_has_an_estimator_of_its_own() -> None:
    data = make_data(task="regression")
    labels = {
        name: replace(
            part, targets=torch.cat([part.targets > 0, part.inputs[:, 1:2] > 0.5], 1).float()
        )
        for name in ("train", "validation", "test")
        for part in [getattr(data, name)]
    }  # fmt: skip
    data = replace(data, **labels, task=MULTILABEL, classes=("one", "two"))
    outputs = FITS["logistic_regression"](data, {}, None, 0)(data.test)
    inputs, targets = arrays(data, "train")
    for label in range(2):
        model = LogisticRegression().fit(inputs, targets[:, label])
        logits = model.decision_function(arrays(data, "test")[0])
        np.testing.assert_allclose(outputs[:, label].numpy(), logits, rtol=1e-3, atol=1e-3)
    shares = FITS["majority"](data, {}, None, 0)(data.test).sigmoid()
    np.testing.assert_allclose(shares.numpy(), np.tile(targets.mean(0), (30, 1)), rtol=1e-5)


def test_a_class_without_training_rows_is_no_infinite_loss() -> None:
    data = make_data()
    known = data.train.targets != 2
    assert isinstance(data.train.inputs, torch.Tensor)
    part = replace(data.train, inputs=data.train.inputs[known], targets=data.train.targets[known])
    data = replace(data, train=part)
    for name in ("majority", "logistic_regression"):
        predict = FITS[name](data, {}, None, 0)
        outputs = {split: predict(getattr(data, split))
                   for split in ("train", "validation", "test")}  # fmt: skip
        assert not (outputs["test"].argmax(-1) == 2).any()
        assert np.isfinite(metrics_of(data, outputs)["test/loss"])


def test_those_that_take_long_are_left_out_unless_asked_for() -> None:
    few, said = sticks("dataset=digits", "seeds=10")
    assert {one.name for one in few} == {"majority", "logistic_regression"}
    [line] = said
    assert "hist_gradient_boosting is left out on digits: 10 fits to 1,0" in line
    assert "yardsticks=true has it all the same" in line
    everything, said = sticks("dataset=digits", "seeds=10", "yardsticks=true")
    assert len(everything) == 30
    assert said == []
    assert sticks("dataset=digits", "yardsticks=false") == ([], [])


def test_each_is_fitted_once_for_its_rows() -> None:
    made, _ = sticks("dataset=iris", "regularizer=none,l1", "optimizer=sgd,adam",
                     "dataset.train_size=40,60", "trainer.batch_size=20", "seeds=2")  # fmt: skip
    assert len(made) == 3 * 2 * 2  # yardsticks, sizes, seeds
    assert len({one.fingerprint for one in made}) == len(made)


def test_jobs_that_differ_in_threads_have_the_same(sandbox: Sandbox) -> None:
    made, _ = sticks("dataset=iris", "trainer.threads=1,2", "trainer.batch_size=20", "seeds=2")
    with sandbox.tracker() as tracker:
        parent = tracker.sweep("key", "sweep", {})
        record_yardsticks(made, [], tracker, parent, reuse=True, each=map)
    runs = Reader(None, sandbox.store).runs(parent.id)
    recorded = runs[runs["stage"] == "yardstick"]
    assert len(recorded)
    assert not recorded.duplicated(["technique", "seed"]).any()


def test_trials_have_none() -> None:
    made, _ = sticks("dataset=iris", "dataset.split_seed=0", "tune.budget=3", "seeds=[4,5]")
    assert {one.seed for one in made} == {4, 5}


def test_another_process_reads_the_rows_for_itself() -> None:
    [one, *_] = sticks("dataset=iris", "trainer.batch_size=20")[0]
    assert len(one.data.train)
    sent = pickle.dumps(one)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert again == one
    assert "data" not in vars(again)
    assert again.fingerprint == one.fingerprint


def test_its_seconds_begin_when_the_rows_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that reads them for itself would take longer than the fit."""
    [majority] = [one for one in sticks("seeds=[3]")[0] if one.name == "majority"]
    moved = pickle.loads(pickle.dumps(majority))
    events: list[str] = []

    def told(event: str, function: Any) -> Any:
        def tell(*arguments: Any) -> Any:
            events.append(event)
            return function(*arguments)

        return tell

    monkeypatch.setattr("regexp.sweeps.yardsticks.load_data", told("read", load_data))
    monkeypatch.setattr("time.perf_counter", told("clock", time.perf_counter))
    moved.fit()
    assert events[:2] == ["read", "clock"]
    assert events.count("read") == 1


def test_those_of_a_worker_that_was_ended_have_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """What came before is kept, and what comes after is said once of each kind."""
    made, _ = sticks("dataset=iris", "trainer.batch_size=20", "seeds=2")

    def each(function: Any, items: Any) -> Iterator[Any]:
        yield from map(function, items[:3])
        raise RuntimeError("a worker ended")

    tracker = Mock()
    tracker.tries.return_value = []
    records = tracker.start.side_effect = [Mock() for _ in made]
    record_yardsticks(made, [], tracker, Mock(), reuse=True, each=each)
    started = [(one.kwargs["tags"]["technique"], one.kwargs["tags"]["seed"])
               for one in tracker.start.call_args_list]  # fmt: skip
    assert started == [(one.name, str(one.seed)) for one in made]
    for record, one in zip(records[:3], made, strict=False):
        record.finish.assert_called_once_with()
        [kept] = record.summary.call_args.args
        assert _untimed(kept) == _untimed(one.fit())
    for record in records[3:]:
        record.summary.assert_not_called()
        status, why = record.finish.call_args.args
        assert status == "FAILED"
        assert "RuntimeError: a worker ended" in why
    said = capsys.readouterr().out
    assert said.count("yardsticks: hist_gradient_boosting: RuntimeError: a worker ended") == 1


def test_what_is_left_out_is_told_again_where_all_others_exist(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, _ = sticks("dataset=iris", "trainer.batch_size=20", "seeds=1")
    line = "yardsticks: logistic_regression is left out on iris: so and so"
    for fitted_now in (True, False):
        with Tracker(None, "regexp", fresh_store) as tracker:
            parent = tracker.sweep("key", "sweep", {})
            record_yardsticks(made, [line], tracker, parent, reuse=True)
        said = capsys.readouterr().out
        assert said.count(line) == 1
        assert ("fit" in said) == fitted_now


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_that_was_broken_off_goes_on_in_its_run(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """Begun on another kind of processor it stays as it is, as the numbers are others."""
    made, _ = sticks("dataset=iris", "trainer.batch_size=20", "seeds=1")

    def interrupted(function: Any, items: Any) -> Iterator[Any]:
        yield function(items[0])
        raise KeyboardInterrupt

    with Tracker(None, "regexp", fresh_store) as tracker:
        parent = tracker.sweep("key", "sweep", {})
        with pytest.raises(KeyboardInterrupt):
            record_yardsticks(made, [], tracker, parent, reuse=True, each=interrupted)
    with Tracker(None, "regexp", fresh_store) as tracker:
        parent = tracker.sweep("key", "sweep", {})
        before = tracker.runs(parent.id)
        if elsewhere:
            monkeypatch.setattr(yardstick_runs, "_arithmetic", lambda: "another kind")
        record_yardsticks(made, [], tracker, parent, reuse=True)
        runs = tracker.runs(parent.id)
    assert list(before["status"]) == ["FINISHED", "FAILED"]
    assert list(runs["status"]) == ["FINISHED", *(["FAILED"] * elsewhere), *["FINISHED"] * 2]
    assert set(before["run_id"]) <= set(runs["run_id"])


def _untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != names.SECONDS}


def test_a_sweep_records_them_once(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.arguments.remove("yardsticks=false")
    command = ("-m", "regularizer=none,l1", "dataset=iris", "seeds=2", *SMALL)
    assert sandbox.run(*command) == 0
    said = capsys.readouterr().out
    assert "yardsticks: majority, logistic_regression, hist_gradient_boosting: 6 fits" in said
    assert said.index("\nl1 ") < said.index("\nmajority ")
    runs = sandbox.children()
    own = runs[runs["stage"] == "yardstick"]
    assert len(own) == 6
    assert (own["status"] == "FINISHED").all()
    assert own["metrics.test/accuracy"].between(0, 1).all()
    [parent] = sandbox.parents()
    assert sandbox.run(*command) == 0
    said = capsys.readouterr().out
    assert "yardsticks:" not in said
    assert "\nmajority " in said
    assert len(sandbox.children()) == len(runs) == 10
    # a sweep of more seeds fits those that are new
    assert sandbox.run("-m", "regularizer=none", "dataset=iris", *SMALL, "seeds=3") == 0
    said = capsys.readouterr().out
    assert "hist_gradient_boosting: 3 fits" in said
    assert re.search(r"^majority +3/3 ", said, re.MULTILINE)
    # made again from what is recorded, to the bit
    assert sandbox.run("rerun", "--sweep", parent) != 0  # figures is no key of it
    capsys.readouterr()
    sandbox.arguments.remove("figures=false")
    assert sandbox.run("rerun", "--sweep", parent) == 0
    said = capsys.readouterr().out
    assert "4 runs and 6 yardsticks of" in said
    assert "10 runs: 10 identical" in said
