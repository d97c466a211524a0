"""Steps that are replayed against those that are not: the same bits, whatever changes between."""

from __future__ import annotations

import copy
import gc
import weakref
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.metrics.evaluate import metrics
from regexp.regularizer.base import (
    Memory,
    ParameterKinds,
    PenaltyView,
    Regularizer,
    Step,
    Tensors,
)
from regexp.regularizer.l1 import L1
from regexp.stack.member import PARAMETER_TYPES, Member
from regexp.stack.objective import Objective
from regexp.stack.stack import Stack
from regexp.training import replay, steps
from regexp.training.loop import train
from regexp.training.replay import Replay, is_recordable
from regexp.training.state import TrainingState
from regexp.training.train_step import train_step
from tests.support import NAMES, NETWORKS, Gain, make_data, make_member
from tests.technique_runs import Mix, assert_same_tree, before, home, mix

ROWS, BATCH_SIZE, EPOCHS = 28, 8, 5  # an epoch has three batches of 8 rows and one of 4
SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
FALLING = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.9)


@pytest.fixture(autouse=True)
def any_number_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "WORTH", 0)


def make_stack(
    network: str,
    techniques: Mix,
    runs: int,
    interval: str = "epoch",
    objective: Objective | None = None,
    rows: int = ROWS,
) -> Stack:
    """A stack of one of `NETWORKS`, or of an `mlp` in the precision of this name."""
    precision = network if network in PARAMETER_TYPES else "float32"
    shape, task, build = NETWORKS["mlp" if network in PARAMETER_TYPES else network]

    def member(seed: int) -> Member:
        data = make_data(seed, rows, shape, task)
        made = make_member(seed, dict(techniques), SGD, FALLING, interval, build, data)
        return replace(made, objective=objective or Objective())

    return Stack([member(seed) for seed in range(runs)], EPOCHS, BATCH_SIZE, precision=precision)


def train_epoch(stack: Stack, step: Any) -> list[Any]:
    """An epoch; what every step left behind."""
    seen: list[Any] = []
    for batch in stack.batches():
        loss = step(*batch)
        seen.append([loss, stack.state(), stack.counts(), stack.memory])
        seen[-1] = pytree.tree_map(Tensor.clone, seen[-1])
    weights = stack.evaluated()
    predicted = stack.predict("validation", weights)
    scores = metrics(*predicted, stack.task)
    seconds = stack.per_run([0.0] * len(stack.runs))
    seen.append([scores, stack.observe(weights, scores, scores["loss"], seconds, *predicted)])
    stack.end_epoch(scores["loss"])
    return seen


def compare(ours: Stack, theirs: Stack) -> Replay:
    """Train one with replays and the other without, and let half of the runs leave."""
    fast = Replay(ours)
    for epoch in range(EPOCHS):
        assert_same_tree(train_epoch(ours, fast), train_epoch(theirs, partial(train_step, theirs)))
        if epoch == 2 and len(ours.runs) > 1:
            for stack in (ours, theirs):
                stack.keep(range(0, len(stack.runs), 2))
    return fast


def replayed(fast: Replay) -> tuple[bool, bool]:
    """Whether the parts before and after the optimizer's step were replayed."""
    before, after = (
        [program is not None and program.checked for program in part._programs.values()]
        for part in (fast._before, fast._after)
    )
    return any(before), any(after)


NOT_REPLAYED = {
    "gradient_noise": (False, False),  # its size is Python's power of the number of the step
    "look_sam": (False, False),  # takes its second gradient in some steps alone
    # by torch's own LSTM
    **dict.fromkeys(
        ("activation_regularization", "c_mixup", "jitter", "scaling", "time_mask", "window_warp"),
        (False, False),
    ),
    **dict.fromkeys(
        ("budget", "lawa", "lookahead", "pruning", "shrink_and_perturb", "snapshot", "swa", "swag"),
        (True, False),
    ),
}
"""What is replayed before and after the optimizers' step, if not all: the last of these depend on
the number of the step in Python."""


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_technique_has_the_same_bits(name: str, runs: int) -> None:
    network, techniques = home(name), mix(*before(name), name)
    # no smaller batch at the end, which has to be recorded by itself: networks have it below
    ours, theirs = (make_stack(network, techniques, runs, rows=24) for _ in range(2))
    assert is_recordable(ours)
    fast = compare(ours, theirs)
    if name != "accumulation":  # which makes a batch of four, so that there is one an epoch
        assert replayed(fast) == NOT_REPLAYED.get(name, (True, fast._follows))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize(
    "network", ["selu", "logistic", "resnet_mlp", "cnn", "lstm", "gru", "float64", "bfloat16"]
)
def test_every_network_has_the_same_bits(network: str, runs: int) -> None:
    techniques = mix("weight_decay") if network == "logistic" else mix("dropout", "sam", "ema")
    ours, theirs = (make_stack(network, techniques, runs) for _ in range(2))
    assert replayed(compare(ours, theirs)) == (network != "lstm", True)


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize(("name", "once"), [("sam", True), ("l1", False), ("jacobian", False)])
def test_steps_are_differentiated_once_but_for_penalties(name: str, once: bool, runs: int) -> None:
    ours, theirs = (make_stack("lstm", mix("dropout", name), runs) for _ in range(2))
    fast = steps.Steps(ours)
    assert ours.differentiates_once == once
    plain = train_epoch(theirs, partial(train_step, theirs))
    assert_same_tree(train_epoch(ours, fast._step), plain)


@pytest.mark.parametrize("runs", [1, 3])
def test_rates_of_each_step_and_weights_of_rows(runs: int) -> None:
    objective = Objective(class_weight="balanced")
    techniques = mix("mixup", "weight_decay", "proximal_l1")
    stacks = [
        make_stack("mlp", techniques, runs, interval="step", objective=objective) for _ in range(2)
    ]
    # a single run's rate is a number, and each needs a program of its own
    assert replayed(compare(*stacks)) == (True, runs > 1)


@pytest.mark.parametrize("runs", [1, 3])
def test_a_run_that_is_resumed_has_the_same_bits(
    runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stack() -> Stack:
        return make_stack("mlp", mix("dropout", "ema", "early_stopping", "vat"), runs)

    contents: dict[int, dict[str, Any]] = {}

    def save(epoch: int, content: Any) -> None:
        contents[epoch] = copy.deepcopy(content())

    silent = lambda run, epoch, metrics: None
    whole = train(stack(), EPOCHS, silent, save)
    again = stack()
    resumed = train(again, EPOCHS, silent, state=TrainingState.resumed(again, contents[3]))
    monkeypatch.setattr(steps, "is_recordable", lambda stack: False)
    plain = train(stack(), EPOCHS, silent)
    for results in (whole, resumed):
        assert_same_tree(
            [[r.run, r.last, r.best] for r in results], [[r.run, r.last, r.best] for r in plain]
        )


# --- what must not be recorded ---------------------------------------------------------------


@dataclass(frozen=True)
class Own(Regularizer, kind="penalty"):
    """A technique of a user's, which does not say that it is capturable."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return 0.1 * view.outputs.square().mean()


@dataclass(frozen=True)
class Late(Own, kind="penalty", capturable=True):
    """Says that it is, and is not: it begins late."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return super().penalty(step, view) if step.index > 9 else 0.0


@dataclass(frozen=True)
class Looking(Own, kind="penalty", capturable=True):
    """Looks at the values of tensors."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return super().penalty(step, view) if bool(view.batch.targets[0, 0] > 0) else 0.0


@dataclass(frozen=True)
class ByEpoch(Own, kind="penalty", capturable=True):
    """Draws from a stream of the epoch."""

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return step.rng.fold(step.epoch).uniform(()) * super().penalty(step, view)


@dataclass(frozen=True)
class Guessing(Own, kind="penalty", capturable=True):
    """Draws from a distribution that its memory tells."""

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {"a": torch.tensor(1.0)}

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return step.rng.beta(step.memory["a"], 1.0, ()) * super().penalty(step, view)

    def track(self, step: Step, state: Tensors) -> Memory:
        return {"a": step.memory["a"] * 0.7}


@dataclass(frozen=True)
class Alternating(Own, kind="penalty", capturable=True):
    """Says that it is, and is not: it has a state of its own."""

    calls: ClassVar[list[int]] = []

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        self.calls.append(1)
        return float(len(self.calls) % 2) * super().penalty(step, view)


class OwnOfOurs(L1, kind="penalty"):
    """What is made of one of ours is not ours."""


@pytest.mark.parametrize("technique", [Late(), ByEpoch()])
def test_a_technique_that_depends_on_the_step_is_not_replayed(technique: Regularizer) -> None:
    ours, theirs = (make_stack("mlp", (("own", technique),), 1) for _ in range(2))
    assert is_recordable(ours)
    assert replayed(compare(ours, theirs)) == (False, False)


def test_a_technique_that_looks_at_values_is_not_replayed() -> None:
    ours, theirs = (make_stack("mlp", (("own", Looking()),), 1) for _ in range(2))
    assert replayed(compare(ours, theirs)) == (False, False)


@pytest.mark.parametrize("runs", [1, 3])
def test_the_numbers_of_a_distribution_are_those_of_the_step(runs: int) -> None:
    ours, theirs = (make_stack("mlp", (("own", Guessing()),), runs) for _ in range(2))
    assert replayed(compare(ours, theirs)) == (True, True)


def test_a_program_that_gives_other_bits_than_the_step_is_not_used() -> None:
    stack = make_stack("mlp", (("own", Alternating()),), 1)
    fast = Replay(stack)
    train_epoch(stack, fast)
    assert replayed(fast) == (False, False)
    assert list(fast._before._programs.values()) == [None]


def test_what_is_somebody_elses_has_to_say_that_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def recordable(network: str, **techniques: Regularizer) -> bool:
        return is_recordable(make_stack(network, tuple(techniques.items()), 2))

    assert recordable("mlp")
    assert recordable("mlp", late=Late())
    assert not recordable("mlp", own=Own())
    assert not recordable("mlp", own=OwnOfOurs(strength=0.1, include="weights"))
    assert not recordable("odd")
    assert not recordable("mixed")  # it draws by torch's own dropout, too
    monkeypatch.setattr(Gain, "capturable", True, raising=False)
    assert recordable("odd")
    ours, theirs = (make_stack("odd", (), 2) for _ in range(2))
    assert replayed(compare(ours, theirs)) == (True, False)


def test_a_hook_or_a_function_of_somebody_elses_is_seen() -> None:
    def hook(module: nn.Module, inputs: Any) -> None: ...

    stack = make_stack("mlp", (), 1)
    assert is_recordable(stack)
    handle = stack.model.register_forward_pre_hook(hook)
    assert not is_recordable(stack)
    handle.remove()
    stack.model.forward = lambda x: x
    assert not is_recordable(stack)


def test_a_short_run_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "WORTH", 15)
    stack = make_stack("mlp", (), 1)
    fast = Replay(stack)
    for _ in range(EPOCHS):
        train_epoch(stack, fast)
    kinds = fast._before._programs
    assert len(kinds) == 1  # that of the full batches, and not that of the last of an epoch
    assert [kind[1] for kind in kinds] == [torch.Size([BATCH_SIZE, 5])]


def test_programs_end_with_their_stack() -> None:
    stack = make_stack("mlp", mix("dropout"), 2)
    fast = Replay(stack)
    train_epoch(stack, fast)
    parts = [weakref.ref(part) for part in (fast, fast._before, stack)]
    assert replayed(fast)[0]
    del fast, stack
    gc.collect()
    assert [part() for part in parts] == [None, None, None]
