"""The learning rates that a sweep's pictures and the documentation show."""

import math
import warnings
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.stack.optimizers import Stepper, simulate
from regexp.sweeps.illustrate.schedules import distinct, learning_rate, names, steps
from regexp.sweeps.ingredients import build_stepper
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun
from tests.shown import load_module

DOCS = Path(__file__).parents[2] / "docs"


def runs(*overrides: str) -> list[PlannedRun]:
    sweep = compose(
        parse(["dataset=iris", "trainer.epochs=6", "trainer.batch_size=15", *overrides])[0]
    )
    return [run for job in sweep.jobs for run in plan(job.config)]


def test_learning_rates_of_a_cosine_and_of_a_plateau() -> None:
    [run] = runs("scheduler=cosine_annealing_lr", "optimizer.lr=0.1")
    counts = steps(run)
    assert counts == [6] * 6
    rates, blind = simulate(build_stepper(run.config), counts)
    assert not blind
    expected = [0.05 * (1 + math.cos(math.pi * epoch / 6)) for epoch in range(6) for _ in range(6)]
    np.testing.assert_allclose(rates, expected)
    [run] = runs("scheduler=reduce_lr_on_plateau", "scheduler.patience=1", "optimizer.lr=0.1")
    rates, blind = simulate(build_stepper(run.config), counts)
    assert blind
    # the first epoch is the best, two more are suffered, then it falls
    np.testing.assert_allclose(rates[::6], [0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize("optimizer", ["muon", "rprop", "adafactor", "sgd"])
def test_optimizers_step_without_gradients(optimizer: str) -> None:
    [run] = runs("scheduler=linear_lr", f"optimizer={optimizer}", "optimizer.lr=0.1")
    rates, _ = simulate(build_stepper(run.config), [6] * 6)
    np.testing.assert_allclose(rates, [0.1 * (1 - step / 36) for step in range(36)])


class NeedsGradients(torch.optim.Optimizer):
    """As people write them."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(parameter.grad, alpha=-group["lr"])


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_rates_are_known_of_an_optimizer_that_steps_by_gradients_alone(interval: str) -> None:
    optimizer = partial(NeedsGradients, defaults={"lr": 0.1})
    halve = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates, _ = simulate(Stepper(optimizer, halve, interval), [2, 2])
    assert rates == ([0.1, 0.05, 0.025, 0.0125] if interval == "step" else [0.1, 0.1, 0.05, 0.05])


def test_a_line_for_each_schedule_of_a_sweep() -> None:
    jobs = runs("-m", "scheduler=constant,warmup", "optimizer.lr=0.1,0.2", "regularizer=none,l1",
                "seeds=2")  # fmt: skip
    assert len(jobs) == 16
    found = distinct(jobs)
    assert len(found) == 4
    assert names([(run.config, sum(counts)) for run, counts in found]) == [
        "ConstantLR lr=0.1", "ConstantLR lr=0.2", "LinearLR lr=0.1", "LinearLR lr=0.2",
    ]  # fmt: skip
    figure = learning_rate(jobs)
    lines = figure.axes[0].lines
    assert len(lines) == 4
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata()), np.full(36, 0.1))
    np.testing.assert_array_equal(lines[0].get_xdata(), range(1, 37))
    assert np.asarray(lines[3].get_ydata())[-1] == pytest.approx(0.2)


def test_lines_are_told_apart_by_whatever_differs() -> None:
    jobs = runs("-m", "optimizer=adam,sgd", "optimizer.lr=0.1", "dataset.train_size=40,80")
    found = names([(run.config, sum(counts)) for run, counts in distinct(jobs)])
    assert [name.partition(", ")[0] for name in found] == ["ConstantLR"] * 4
    assert {name.split(", ")[1] for name in found} == {"Adam", "SGD"}
    assert len(set(found)) == 4


def test_a_technique_that_changes_the_batch_changes_the_steps() -> None:
    [run] = runs(
        "regularizer=batch_growth", "regularizer.batch_growth.every=2", "scheduler=linear_lr"
    )
    assert len(set(steps(run))) > 1
    rates, _ = simulate(build_stepper(run.config), steps(run))
    lr = run.config["optimizer"]["lr"]
    assert rates[0] == pytest.approx(lr)
    assert rates[-1] == pytest.approx(lr / sum(steps(run)))


def test_a_plateau_says_that_it_is_blind() -> None:
    figure = learning_rate(runs("scheduler=reduce_lr_on_plateau"))
    [label] = [text.get_text() for text in figure.legends[0].get_texts()]
    assert label == "ReduceLROnPlateau, if the validation loss never improves"


@pytest.fixture(scope="module")
def schedules() -> ModuleType:
    return load_module(DOCS / "schedules.py")


def test_the_documentation_shows_every_schedule(schedules: ModuleType, tmp_path: Path) -> None:
    choices = {path.stem for path in (DOCS.parent / "conf" / "scheduler").glob("*.yaml")}
    drawn = {one.get_title(): one for one in schedules.figure().axes if one.get_visible()}
    assert set(drawn) == choices
    line = np.asarray(drawn["linear_lr"].lines[0].get_ydata())
    np.testing.assert_allclose(line, 1 - np.arange(400) / 400)
    schedules.write(tmp_path)
    assert (tmp_path / "figures" / "schedules.svg").read_text().startswith("<svg")
    assert "figures/schedules.svg" in (DOCS / "models.md").read_text()
