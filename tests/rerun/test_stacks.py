"""The stack of a recorded run; the oracle is what `stack_of` wrote."""

import copy
import dataclasses
from typing import Any

import pytest

from regexp.errors import ConfigError
from regexp.rerun.original import Original
from regexp.rerun.stacks import members_of, stacks_of
from regexp.sweeps.planned_run import PlannedRun, stack_of

CONFIG: dict[str, Any] = {
    "seed": 0,
    "dataset": {"_target_": "regexp.dataset.bundled.Iris", "levels": {"a.b": 1}},
    "model": {"_target_": "regexp.model.mlp.MLP", "hidden": [8]},
    "regularizer": {"l1": {"strength": 0.1}},
    "optimizer": {"lr": 0.1, "betas": [0.9, 0.99]},
    "scheduler": {},
    "trainer": {"epochs": 3},
    "stack": True,
    "paths": {"data": "data"},
}


def planned(seed: int, strength: float) -> PlannedRun:
    config = copy.deepcopy(CONFIG)
    config["seed"] = seed
    config["regularizer"]["l1"]["strength"] = strength
    config["dataset"]["levels"]["a.b"] = seed
    return PlannedRun(
        "l1", "l1", f"strength={strength:g}", seed, "", config, "iris", "ab", "scikit-learn", False
    )


def original(runs: list[PlannedRun], position: int) -> Original:
    return Original(
        run_id=f"id{position}", sweep_id="s", name="l1", status="FINISHED", reason="",
        config=runs[position].config, stack={"position": position, **stack_of(runs)},
        environment={}, tags={}, metrics={}, weights_sha256="", load_last=lambda: None,
    )  # fmt: skip


RUNS = [planned(seed, strength) for strength in (0.1, 0.2) for seed in (0, 1)]


@pytest.mark.parametrize("position", range(4))
def test_every_run_knows_the_configurations_of_its_stack(position):
    members, variants, found = members_of(original(RUNS, position))
    assert members == [run.config for run in RUNS]
    assert variants == [run.variant for run in RUNS]
    assert found == position


def test_a_stack_trains_as_many_at_once_as_it_did():
    def at_once(recorded: int | None) -> int:
        described = {"position": 1, **stack_of(RUNS, recorded)}
        [stack], _ = stacks_of([dataclasses.replace(original(RUNS, 1), stack=described)])
        return stack.at_once

    assert at_once(2) == 2
    assert at_once(None) == at_once(4) == 4  # as stacks did that have no such number
    assert "at_once" not in stack_of(RUNS, 4)


def test_a_run_alone_is_a_stack():
    [stack], _ = stacks_of([original(RUNS[2:3], 0)])
    assert stack.members == [RUNS[2].config]


def test_runs_of_one_stack_are_trained_once_wherever_their_data_lay():
    moved = [
        dataclasses.replace(run, config=run.config | {"paths": {"data": "/elsewhere"}})
        for run in RUNS
    ]
    first, other, alone = original(RUNS, 3), original(moved, 1), original(RUNS[:1], 0)
    stacks, _ = stacks_of([first, alone, other])
    assert [[position for _, position in stack.runs] for stack in stacks] == [[3, 1], [0]]
    assert stacks[0].runs[0][0] is first


def test_the_order_of_techniques_makes_another_stack():
    def cocktail(*names: str) -> Original:
        config = CONFIG | {"regularizer": {name: {} for name in names}}
        return original([dataclasses.replace(RUNS[0], config=config)], 0)

    stacks, _ = stacks_of([cocktail("l1", "sam"), cocktail("sam", "l1")])
    assert len(stacks) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.stack["members"][1].update({"model.depth": 3}), "model.depth"),
        (lambda run: run.stack["members"][1].update({"seed": 9}), "position 1"),
        (lambda run: run.config.pop("optimizer"), "no proper optimizer"),
        (lambda run: run.config.update(seed={}, model=3), "no proper seed, model"),
    ],
)
def test_records_that_do_not_fit_together_are_refused(change, message):
    broken = original(copy.deepcopy(RUNS), 1)
    change(broken)
    with pytest.raises(ConfigError, match=message):
        members_of(broken)
