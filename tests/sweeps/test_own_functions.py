"""Losses and metrics of the user's own, by whole commands; the oracle is torch or scikit-learn."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from regexp.config.functions import as_class_weight, check_trainer
from regexp.config.schema import EARLIER_TRAINER
from regexp.dataset.data import TargetScale
from regexp.errors import ConfigError, NotApplicable
from regexp.metrics.outputs import RowOutputs, read
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import check_data
from regexp.stack.objective import class_weights
from regexp.sweeps.objective import build_objective
from regexp.sweeps.own_metrics import check_metrics, taken
from tests.sandbox import Sandbox
from tests.support import make_data, technique

FUNCTIONS = '''
import torch
import torch.nn.functional as F
from torch import nn
from regexp.regularizer.base import Batch, Regularizer


def generalized(outputs, targets, q):
    """Of classes alone (Zhang and Sabuncu 2018)."""
    right = outputs.softmax(1).gather(1, targets[:, None])[:, 0]
    return (1 - right ** q) / q


def mean(outputs, targets):
    return F.cross_entropy(outputs, targets)


def constant(outputs, targets):
    return torch.zeros(len(outputs))


def across(outputs, targets):
    rows = F.cross_entropy(outputs, targets, reduction="none")
    return rows / rows.sum()


def decides(outputs, targets):
    """By values, which no `vmap` lifts; a stack calls it for all rows at once."""
    rows = F.cross_entropy(outputs, targets, reduction="none")
    return 2 * rows if bool((outputs > 1e9).any()) else rows


def clips(outputs, targets):
    targets.clamp_(max=1)
    return F.cross_entropy(outputs, targets, reduction="none")


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, outputs, targets):
        return self.scale * F.cross_entropy(outputs, targets, reduction="none")


class NoCall:
    pass


def cost(outputs, targets, missed=1.0):
    wrong = outputs.argmax(1) != targets
    return float((wrong * torch.where(targets == 0, missed, 1.0)).mean())


def percent(outputs, targets):
    assert outputs.dtype == torch.float64
    return ((outputs - targets) / targets).abs().mean()


def once(outputs, targets):
    """Fails where it is not called on the made outputs of the trial."""
    if set(outputs.unique().tolist()) != {0.0, 2.0}:
        raise RuntimeError("no such luck")
    return 1.0


def rows(outputs, targets):
    return outputs.argmax(1)


def drawn(outputs, targets):
    return float(torch.rand(()))


class Counted:
    """Remembers how often it was called."""

    def __init__(self):
        self.times = 0

    def __call__(self, outputs, targets):
        self.times += 1
        return self.times


from dataclasses import dataclass


@dataclass(frozen=True)
class Soften(Regularizer):
    """Says nothing of what it provides."""

    def batch(self, step, batch):
        return batch._replace(targets=0.9 * batch.targets + 0.05)
'''
SMALL = ("dataset=iris", "model=logistic", "trainer.epochs=2", "seeds=2")


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_functions", None)


def trained(sandbox: Sandbox, *arguments: str) -> list[tuple[dict[str, Any], RowOutputs]]:
    """Of every run its row in the frame of runs, and its test outputs."""
    assert sandbox.run(*SMALL, *arguments) == 0
    rows = sandbox.children().to_dict("records")
    return [(row, read(sandbox.test_outputs(row["run_id"]))) for row in rows]


def own(name: str, **arguments: Any) -> dict[str, Any]:
    """The node of one of the functions."""
    return {"_target_": f"my_functions.{name}", **arguments}


def checked(techniques: dict[str, Any] | None = None, **trainer: Any) -> None:
    """All checks of settings of `trainer`, in the order in which a command has them."""
    trainer = {**EARLIER_TRAINER, **trainer}
    check_trainer(OmegaConf.create({"trainer": trainer}))
    data, regularizer = make_data(), Cocktail(techniques or {})
    own_loss = trainer["loss"] is not None
    check_data(regularizer.techniques, "made", data.task, (5,), own_loss=own_loss)
    build_objective(trainer, data, regularizer)
    check_metrics(trainer, data)


# --- losses -----------------------------------------------------------------------------------


def test_a_function_is_the_loss_of_training_and_of_every_split(sandbox: Sandbox) -> None:
    loss = "trainer.loss={_target_: my_functions.generalized, q: 0.5}"
    for row, test in trained(sandbox, loss, "regularizer=[input_noise,sam,l2]"):
        chance = np.exp(test.outputs - test.outputs.max(1, keepdims=True))
        right = (chance / chance.sum(1, keepdims=True))[np.arange(len(chance)), test.targets]
        wanted = ((1 - right**0.5) / 0.5).mean()
        assert row["metrics.test/loss"] == pytest.approx(wanted, rel=1e-5)
        log_loss = sklearn.metrics.log_loss(test.targets, chance / chance.sum(1, keepdims=True))
        assert row["metrics.test/log_loss"] == pytest.approx(log_loss, rel=1e-5)
        assert row["metrics.val/loss"] == row["metrics.final/val_loss"] < 2  # (1 - p^q) / q
        assert row["params.trainer.loss._target_"] == "my_functions.generalized"


def test_the_plain_loss_as_ones_own_gives_the_same_bits(sandbox: Sandbox) -> None:
    plain = trained(sandbox, "regularizer=mixup")
    own = "trainer.loss={_target_: torch.nn.CrossEntropyLoss, reduction: none}"
    assert sandbox.run(*SMALL, "regularizer=mixup", own) == 0
    [first, second] = sandbox.parents()
    with sandbox.tracker() as tracker:
        runs = [
            {row["seed"]: tracker.client.get_run(row["run_id"]).data
             for row in tracker.runs(one).to_dict("records")}
            for one in (first, second)
        ]  # fmt: skip
    assert len(plain) == len(runs[0]) == 2
    for seed, run in runs[0].items():
        other = runs[1][seed]
        assert run.tags["weights.sha256"] == other.tags["weights.sha256"] != ""
        assert run.metrics["val/loss"] == other.metrics["val/loss"]


def test_a_loss_of_every_output_is_averaged(sandbox: Sandbox) -> None:
    loss = "trainer.loss={_target_: torch.nn.HuberLoss, reduction: none, delta: 0.5}"
    for row, test in trained(sandbox, loss, "dataset=diabetes"):
        outputs, targets = torch.from_numpy(test.outputs), torch.from_numpy(test.targets)
        wanted = F.huber_loss(outputs, targets, delta=0.5)
        assert row["metrics.test/loss"] == pytest.approx(float(wanted), rel=1e-5)
        rmse = float(F.mse_loss(outputs, targets).sqrt())
        assert row["metrics.test/rmse"] == pytest.approx(rmse, rel=1e-5)


def test_what_decides_by_values_trains_in_a_stack(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(sandbox, "trainer.loss={_target_: my_functions.decides}")
    assert "one after another" not in capsys.readouterr().out
    # a penalty calls the loss inside `vmap`
    assert (
        sandbox.run(*SMALL, "trainer.loss={_target_: my_functions.decides}", "regularizer=fgsm")
        == 0
    )
    assert "one after another" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (own("mean"), "expected the loss of each row, of shape [6]"),
        (own("constant"), "no gradient"),
        (own("across"), "differs with the rows beside it"),
        (own("clips"), "writes into its targets"),
        (own("Learned"), "has parameters"),
        (own("NoCall"), "cannot be called"),
        (own("generalized"), "trainer.loss.q: my_functions.generalized needs"),
        (own("generalized", q=1, p=2), "trainer.loss.p: my_functions"),
        (own("generalised"), "Did you mean generalized"),
        (own("mean", outputs=3), "outputs and targets, which every call"),
        ({"_target_": "torch.nn.PoissonNLLLoss", "reduction": "none"}, "classes, int64"),
        ("huber", "expected a function or class, named by _target_"),
    ],
)
def test_what_is_no_loss_is_told(loss: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        checked(loss=loss)
    assert words in str(error.value)
    assert str(error.value).startswith("trainer.loss")


def test_nothing_is_written_where_a_loss_is_none(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    cross_entropy = "_target_: torch.nn.CrossEntropyLoss"
    assert sandbox.run(*SMALL, f"trainer.loss={{{cross_entropy}}}") == 2
    assert capsys.readouterr().err.endswith("got []; give it reduction: none\n")
    assert not sandbox.parents()
    assert sandbox.run(*SMALL, f"trainer.loss={{{cross_entropy}, reduction: none}}") == 0


@pytest.mark.parametrize("name", ["mixup", "label_smoothing", "focal_loss", "bootstrapping"])
def test_techniques_that_a_loss_of_classes_cannot_bear(name: str) -> None:
    with pytest.raises(NotApplicable, match=rf"^regularizer\.{name}: "):
        checked(loss=own("generalized", q=0.5), techniques={name: technique(name)})


def test_a_technique_of_ones_own_that_softens_classes_is_found_out(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:

    hard = "trainer.loss={_target_: my_functions.generalized, q: 0.5}"
    folder = sandbox.folder / "conf" / "regularizer"
    folder.mkdir(parents=True)
    (folder / "soften.yaml").write_text(
        "# @package regularizer.soften\n_target_: my_functions.Soften\n"
    )
    arguments = (*SMALL, "--config-dir", "conf", "regularizer=soften")
    assert sandbox.run(*arguments, hard) == 2
    assert "makes probabilities of classes" in capsys.readouterr().err
    soft = "trainer.loss={_target_: torch.nn.CrossEntropyLoss, reduction: none}"
    assert sandbox.run(*arguments, soft) == 0


# --- metrics ----------------------------------------------------------------------------------


def test_metrics_of_ones_own_are_taken_of_validation_and_test_rows(sandbox: Sandbox) -> None:
    metrics = (
        "trainer.metrics={cost: {_target_: my_functions.cost, missed: 5, lower_is_better: true},"
        "plain: {_target_: my_functions.cost}}"
    )
    for row, test in trained(sandbox, metrics):
        wrong = test.outputs.argmax(1) != test.targets
        wanted = (wrong * np.where(test.targets == 0, 5, 1)).mean()
        assert row["metrics.test/cost"] == pytest.approx(wanted)
        assert row["metrics.test/plain"] == pytest.approx(1 - row["metrics.test/accuracy"])
        for name in ("cost", "plain"):
            assert np.isfinite(row[f"metrics.final/val_{name}"])
        assert row["params.trainer.metrics.cost.lower_is_better"] == "true"


def test_a_metric_that_remembers_is_a_new_one_each_time(sandbox: Sandbox) -> None:
    for row, _ in trained(sandbox, "trainer.metrics={n: {_target_: my_functions.Counted}}"):
        assert row["metrics.final/val_n"] == row["metrics.test/n"] == 1


def test_a_sweep_is_compared_and_searched_by_ones_own_metric(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cost of what the loss makes of it: the configuration that is chosen has the least."""
    metrics = "trainer.metrics={cost: {_target_: my_functions.cost, lower_is_better: true}}"
    search = ("tune.budget=3", "dataset.split_seed=0", "seeds=1", "regularizer=l2")
    assert sandbox.run(*SMALL[:3], metrics, *search, "compare.metric=test/cost") == 0
    assert "test/cost" in capsys.readouterr().out
    runs = sandbox.children()
    trials, final = runs[runs["stage"] == "tuning"], runs[runs["stage"] == "final"]
    assert len(trials) == 3
    assert len(final) == 1
    strength = "params.regularizer.l2.strength"
    best = trials.sort_values(["metrics.final/val_cost", "metrics.final/val_loss"]).iloc[0]
    assert final.iloc[0][strength] == best[strength]
    assert sandbox.run(*SMALL, metrics, "compare.metric=test/costs") == 2
    assert "Did you mean test/cost" in capsys.readouterr().err


def test_metrics_of_a_regression_are_in_the_targets_own_unit(sandbox: Sandbox) -> None:
    metrics = "trainer.metrics={percent: {_target_: my_functions.percent}}"
    for row, test in trained(sandbox, metrics, "dataset=diabetes"):
        wanted = sklearn.metrics.mean_absolute_percentage_error(test.truth, test.values)
        assert row["metrics.test/percent"] == pytest.approx(wanted, rel=1e-5)


def test_own_units_are_those_of_double_precision() -> None:
    """A mean of 1,700,000,049.5 is 50 less in float32."""
    data = replace(
        make_data(task="regression"), target_scale=TargetScale((1_700_000_049.5,), (2.0,))
    )
    outputs = torch.zeros(30, 1)
    found, _ = taken({"mean": lambda outputs, targets: outputs.mean()}, data, data.test, outputs)
    assert found == {"mean": 1_700_000_049.5}


def test_which_way_is_better_is_told_where_nothing_says_it(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = "trainer.metrics={percent: {_target_: my_functions.percent}}"
    dry = (*SMALL, "dataset=diabetes", metrics, "dry_run=true")
    assert sandbox.run(*dry) == 0
    told = "large values of the metric percent count as good ones"
    shown = " ".join(capsys.readouterr().out.split())
    assert told in shown
    (cure,) = re.findall(r"if small ones are: (\S+)", shown)
    assert sandbox.run(*dry, *shlex.split(cure)) == 0
    assert told not in " ".join(capsys.readouterr().out.split())


def test_a_metric_that_fails_at_the_end_takes_no_run_with_it(sandbox: Sandbox) -> None:
    metrics = "{once: {_target_: my_functions.once}, plain: {_target_: my_functions.cost}}"
    for row, _ in trained(sandbox, f"trainer.metrics={metrics}"):
        assert row["status"] == "FINISHED"
        assert "metrics.test/once" not in row
        assert "metrics.test/plain" in row
        with sandbox.tracker() as tracker:
            told = tracker.client.get_run(row["run_id"]).data.tags["metrics.failed"]
        assert "test/once: RuntimeError: no such luck" in told.splitlines()


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"all": own("rows")}, "trainer.metrics.all._target_=my_functions.rows: called with"),
        ({"accuracy": own("cost")}, "every run has a metric of this name"),
        ({"a/b": own("cost")}, "expected a name of letters"),
        ({"drawn": own("drawn")}, "_target_=my_functions.drawn: it draws from torch's global"),
        ({"cost": own("costs")}, "Did you mean cost"),
        ({"cost": own("cost", mist=1)}, "trainer.metrics.cost.mist"),
        ({"cost": own("cost", lower_is_better=1)}, "expected true or false"),
        ({"cost": "my_functions.cost"}, "expected a function or class, named by _target_"),
        ("cost", "expected null, or names with what each is"),
    ],
)
def test_what_is_no_metric_is_told(metrics: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        checked(metrics=metrics)
    assert words in str(error.value)


# --- weights of classes -----------------------------------------------------------------------


def test_weights_of_classes_move_what_is_predicted(sandbox: Sandbox) -> None:
    lines = ["x,y", *(f"{row % 10 + 3 * (row % 8 == 0)},{'rare' if row % 8 == 0 else 'usual'}"
                      for row in range(240))]  # fmt: skip
    Path("t.csv").write_text("\n".join(lines))
    table = ("dataset=table", "dataset.path=t.csv", "dataset.target=y", "trainer.epochs=30",
             "dataset.repeats=apart", "optimizer.lr=0.05")  # fmt: skip
    weights = ("null", "balanced", "{rare: 30}")
    recalls = []
    for weight in weights:
        before = set(sandbox.parents())
        assert sandbox.run(*SMALL, *table, f"trainer.class_weight={weight}") == 0
        [sweep] = set(sandbox.parents()) - before
        with sandbox.tracker() as tracker:
            recalls.append(tracker.runs(sweep)["metrics.test/recall/rare"].mean())
    assert recalls[0] < recalls[1] <= recalls[2]


@pytest.mark.parametrize(
    ("classes", "text", "weights"),
    [
        (("no", "yes"), "{yes: 5, no: 2}", [2, 5]),  # YAML reads true and false
        (("Off", "On"), "{on: 5}", [1, 5]),
        (("False", "True"), "{true: 5}", [1, 5]),
        (("true", "yes"), "{'yes': 5}", [1, 5]),
        (("A", "a"), "{a: 5}", [1, 5]),
        (("1", "2"), "{2: 5}", [1, 5]),
    ],
)
def test_classes_are_named_as_yaml_reads_them(
    classes: tuple[str, ...], text: str, weights: list[float]
) -> None:
    asked = OmegaConf.to_container(OmegaConf.create(text))
    data = replace(make_data(), classes=classes)
    assert class_weights(as_class_weight(asked), data).tolist() == weights


def test_a_word_that_may_be_two_classes_is_refused() -> None:
    data = replace(make_data(), classes=("on", "yes"))
    with pytest.raises(ConfigError, match="no class 'True'"):
        class_weights(as_class_weight({True: 5}), data)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("even", "expected null, balanced, or the weight of each class"),
        ({"a": -1}, "trainer.class_weight.a=-1: expected a number >= 0"),
        ({"a": "many"}, "expected a number"),
        ({"first": 2}, "made has no class 'first'"),
    ],
)
def test_weights_that_are_none_are_told(weight: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        checked(class_weight=weight)
    assert words in str(error.value)
