"""What users are told of numbers that do not suit a run: runs followed step by step, in which the
technique cannot do what it is for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from regexp.random import Rng
from regexp.regularizer.base import Course, Step
from regexp.regularizer.snapshot import count_cycles
from tests.support import BY_NAME, NAMES, make_evaluation, technique

STATE = {"w": torch.zeros(2, 2)}


def course(epochs: int, per_epoch: int = 5, rates: Sequence[float] = ()) -> Course:
    return Course(list(accumulate([per_epoch] * epochs)), lambda: rates)


def advised(name: str, course: Course, **changes: object) -> str:
    return " ".join(technique(name, **changes).advise(course))


def steps_of(course: Course, memory: object) -> list[Step]:
    """The steps of a run, but for their memory."""
    rng = Rng(0)
    return [
        Step(rng, rng, index, course.steps, 0, index + 1 in course.ends, 0.1, memory, BY_NAME)
        for index in range(course.steps)
    ]


def ends_after(name: str, course: Course, losses: Sequence[float], **changes: object) -> int:
    """The epoch after which a run with these validation losses ends."""
    made = technique(name, **changes)
    memory = made.init(STATE, BY_NAME)
    epoch = 0
    for step in steps_of(course, memory):
        step = Step(**{**vars(step), "memory": memory})
        memory = made.track(step, STATE)
        if not step.ends_epoch:
            continue
        scores = {"loss": losses[epoch], "train_loss": 1.0, "seconds": 0.0}
        tensors = {key: torch.tensor(value).double() for key, value in scores.items()}
        memory = made.observe(memory, make_evaluation(tensors, STATE))
        epoch += 1
        if made.stop(memory):
            break
    return epoch


# Losses that rise from the start: no run can end earlier.
RISING = [1.0 + epoch for epoch in range(30)]


@pytest.mark.parametrize("epochs", range(1, 13))
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("early_stopping", {"patience": 5}),
        ("early_stopping", {"patience": 0}),
        ("early_stopping", {"patience": 3, "start_from_epoch": 4}),
        ("prechelt", {"criterion": "UP", "rises": 2, "strip": 3}),
        ("prechelt", {"criterion": "PQ", "strip": 4, "alpha": 0.5}),
        ("budget", {"share": 0.7}),
        ("budget", {"share": 0.9, "steps": 23}),
        ("budget", {"share": 1.0, "steps": 1000}),
    ],
)
def test_stopping_rules_are_advised_where_they_cannot_end_a_run_early(name, changes, epochs):
    run = course(epochs)
    early = ends_after(name, run, RISING, **changes) < epochs
    assert bool(advised(name, run, **changes)) == (not early)


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 20])
@pytest.mark.parametrize("start", [0.0, 0.29, 0.75, 0.95])
@pytest.mark.parametrize("name", ["swa", "swag"])
def test_averages_are_advised_where_there_are_not_two_epochs_to_average(name, start, epochs):
    run, made = course(epochs), technique(name, start=start)
    memory = made.init(STATE, BY_NAME)
    for step in steps_of(run, memory):
        memory = made.track(Step(**{**vars(step), "memory": memory}), STATE)
    averaged = int(memory["count"])
    told = advised(name, run, start=start)
    assert told.startswith(f"start={start:g} leaves {averaged} of") == (averaged < 2)
    assert bool(told) == (averaged < 2)


def test_averages_are_advised_where_the_rate_falls_to_nothing():
    cosine = [(1 + math.cos(math.pi * t / 100)) / 2 for t in range(100)]
    high, restarts = [1.0] * 75 + [0.5] * 25, (cosine[::4] * 4)
    for name in ("swa", "swag"):
        assert "falls to 0.0% of its highest" in advised(name, course(20, rates=cosine))
        for rates in (high, [0.1] * 100, ()):  # the last of a schedule that follows the loss
            assert not advised(name, course(20, rates=rates))
        # cycles in the tail are the other form of the method
        assert not advised(name, course(20, rates=restarts), start=0.4)
        assert not advised(name, course(20, rates=cosine), start=1.0)


@pytest.mark.parametrize(("steps", "decay"), [(850, 0.999), (850, 0.99), (50, 0.99), (40, 0.9)])
def test_ema_says_how_far_its_average_reaches(steps, decay):
    """1 / (1 - d) of the d that its last step has, seen on an impulse at that step."""
    ema = technique("ema", decay=decay)
    memory = {"w": torch.zeros(1).double()}
    [*_, last] = steps_of(course(1, steps), memory)
    newest = float(ema.track(last, {"w": torch.ones(1).double()})["w"])
    told = advised("ema", course(1, steps), decay=decay)
    assert bool(told) == (1 / (1 - decay) > steps)
    if told:
        assert f"an average over about {1 / newest:.0f} steps" in told


@pytest.mark.parametrize(("steps", "k"), [(5, 5), (5, 6), (6, 5), (1, 1)])
def test_lookahead_is_advised_where_it_synchronizes_at_the_end_alone(steps, k):
    assert bool(advised("lookahead", course(1, steps), k=k)) == (k >= steps > 1)


@pytest.mark.parametrize(("name", "kind"), [("batch_norm", nn.BatchNorm1d)])
@pytest.mark.parametrize(("steps", "momentum"), [(50, 0.01), (50, 0.1), (5, 0.1), (3, 0.0)])
def test_momentum_is_advised_by_what_is_left_of_the_first_statistics(name, kind, steps, momentum):
    """The running variance begins at one; of constant features it has nothing but that."""
    norm = kind(1, momentum=momentum).double()
    for _ in range(steps):
        norm(torch.zeros(4, 1).double())
    for name in ("batch_norm", "ghost_batch_norm"):
        told = advised(name, course(1, steps), momentum=momentum)
        assert bool(told) == (float(norm.running_var) > math.exp(-1))
        if told:
            assert f"end {float(norm.running_var):.0%} of the running statistics" in told


@pytest.mark.parametrize(("steps", "cycles"), [(100, 4), (100, 1), (97, 5), (12, 5), (3, 10)])
def test_cycles_are_counted_as_those_of_torchs_restarts(steps, cycles):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    length = -(-steps // cycles)
    schedule, rates, restarts = CosineAnnealingWarmRestarts(optimizer, length), [], 0
    for _ in range(steps):
        rates.append(float(schedule.get_last_lr()[0]))
        restarts += len(rates) > 1 and schedule.T_cur == 0 and length > 1
        optimizer.step()
        schedule.step()
    assert count_cycles(rates) == 1 + restarts
    assert count_cycles([0.1, 0.5, *rates]) == 1 + restarts, "a warm-up is no cycle"
    told = advised("snapshot", course(1, steps, rates), snapshots=cycles) if cycles > 1 else ""
    taken = sum(
        technique("snapshot", snapshots=cycles).keeps(s) for s in steps_of(course(1, steps), {})
    )
    assert ("snapshots, not" in told) == (1 < cycles != taken)
    if steps == 100:
        assert not told


def test_snapshots_without_cycles_are_much_alike():
    run = course(20, rates=[0.1] * 100)
    told = advised("snapshot", run)
    assert "1 cycle for 5 snapshots, which so are stages of one descent" in told
    assert "scheduler.T_0.share=0.2" in told
    assert not advised("snapshot", run, snapshots=1)
    assert not advised("snapshot", course(20), snapshots=5), "nothing is known of the schedule"


@pytest.mark.parametrize("name", NAMES)
def test_neutral_numbers_are_no_ones_worry(name):
    neutral = technique(name).neutral
    if neutral is not None:
        assert not advised(name, course(3, 2, [0.1, 0.2, 0.1, 0.2, 0.0, 0.0]), **neutral)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_the_files_suit_an_ordinary_run(name):
    """digits in 50 epochs of 17 steps; of snapshots the schedule without cycles is told."""
    told = advised(name, course(50, 17, [1e-3] * 850))
    assert bool(told) == (name == "snapshot")
