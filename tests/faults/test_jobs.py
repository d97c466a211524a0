"""Jobs and runs that fail: the others are kept, and the same command does only what is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import regexp.sweeps.ingredients
import regexp.sweeps.job
import regexp.training.parts
from regexp.sweeps.resume import Resume
from regexp.tracking import Tracker
from regexp.training.loop import train as train_stack
from tests import processes
from tests.processes import Forked
from tests.sandbox import SMALL, Sandbox

THREE = ("-m", "regularizer=none,l1,l2", *SMALL)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(run of a stack, epoch) of whatever is trained."""
    seen: list[tuple[int, int]] = []

    def train(stack: Any, epochs: int, report: Callable[..., None], *others: Any) -> Any:
        def told(run: int, epoch: int, metrics: dict[str, float]) -> None:
            seen.append((run, epoch))
            report(run, epoch, metrics)

        return train_stack(stack, epochs, told, *others)

    monkeypatch.setattr(regexp.training.parts, "train", train)
    return seen


def statuses(sandbox: Sandbox) -> dict[str, list[str]]:
    """Technique -> the statuses of its runs."""
    runs = sandbox.children()
    return {str(name): list(group["status"]) for name, group in runs.groupby("technique")}


def test_a_restart_does_only_the_job_that_raised(
    sandbox: Sandbox,
    trained: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        build = regexp.sweeps.ingredients.build_member

        def breaks(run: Any) -> Any:
            if run.technique == "l1":
                raise RuntimeError("the disk is on fire")
            return build(run)

        patch.setattr(regexp.sweeps.job, "build_member", breaks)
        assert sandbox.run(*THREE) == 1
    printed = capsys.readouterr().out
    assert "l1: RuntimeError: the disk is on fire" in printed.partition("1 failed")[2]
    assert statuses(sandbox) == {"none": ["FINISHED"] * 2, "l2": ["FINISHED"] * 2}
    trained.clear()

    assert sandbox.run(*THREE) == 0
    assert trained == [(0, 1), (1, 1), (0, 2), (1, 2)], "one stack of two runs"
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 2
    assert "[2/3] l1: test accuracy" in printed
    assert statuses(sandbox) == dict.fromkeys(("none", "l1", "l2"), ["FINISHED"] * 2)
    assert list(sandbox.parents().values()) == ["FINISHED"]


def test_nan_in_one_run_of_a_stack_leaves_the_others_alone(
    sandbox: Sandbox, trained: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("optimizer=sgd", *SMALL[:-1], "seeds=1")
    assert sandbox.run("grid.optimizer.lr=[0.01,1e30,0.02]", *one) == 1
    printed = capsys.readouterr().out
    assert "lr=1e+30 seed=0: val/loss became nan in epoch 1" in printed.partition("1 failed")[2]
    assert "lower optimizer.lr" in printed
    runs = sandbox.children().set_index("variant").sort_index()
    assert list(runs["status"]) == ["FINISHED", "FINISHED", "FAILED"]
    trained.clear()

    assert sandbox.run("grid.optimizer.lr=[0.01,1e30,0.02]", *one) == 1
    assert trained == [], "the same would come of it"
    again = capsys.readouterr().out
    assert "val/loss became nan in epoch 1" in again.partition("1 failed")[2], "it is said again"
    assert len(sandbox.children()) == 3

    # the oracle: a stack of the same size in which all is well
    other = Sandbox(sandbox.folder, sandbox.store, f"{sandbox.experiment} oracle")
    assert other.run("grid.optimizer.lr=[0.01,0.015,0.02]", *one) == 0
    well = other.children().set_index("variant").sort_index()
    for variant in ("lr=0.01", "lr=0.02"):
        for name in ("metrics.test/loss", "metrics.final/train_loss"):
            assert runs.loc[variant, name] == pytest.approx(well.loc[variant, name], rel=1e-5)


@pytest.mark.parametrize(
    ("number", "every"),
    [
        (signal.SIGINT, "1"),
        *((one, "1h") for one in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)),
    ],
)
def test_a_signal_leaves_a_checkpoint_from_which_the_same_command_goes_on(
    sandbox: Sandbox,
    trained: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    every: str,
) -> None:
    command = ("regularizer=ema", *SMALL, "trainer.epochs=6", f"checkpoint.every={every}")
    whole = Resume.save

    def save(resume: Resume, epoch: int, content: Any) -> None:
        whole(resume, epoch, content)
        if epoch == 3:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Resume, "save", save)
        if number == signal.SIGINT:
            assert sandbox.run(*command) == 130
        else:
            with pytest.raises(SystemExit) as ended:
                sandbox.run(*command)
            assert ended.value.code == 128 + number
    killed = sandbox.children()
    assert list(killed["status"]) == ["KILLED"] * 2
    trained.clear()

    assert sandbox.run(*command) == 0
    # Ctrl-C ends at once; the others end with the epoch they came in, and its checkpoint
    last = 3 if number == signal.SIGINT else 4
    assert trained == [(run, epoch) for epoch in range(last + 1, 7) for run in (0, 1)]
    after = sandbox.children()
    assert list(after["run_id"]) == list(killed["run_id"])
    with sandbox.tracker() as tracker:
        for run_id in after["run_id"]:
            points = tracker.client.get_metric_history(run_id, "val/loss")
            assert [point.step for point in points] == [1, 2, 3, 4, 5, 6], "each once"
            assert tracker.client.get_run(run_id).data.tags["resumed"] == "1"


def give_until_the_second_checkpoint(*arguments: str) -> None:
    """A command that SIGKILL ends."""
    whole = Resume.save

    def save(self: Resume, epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        whole(self, epoch, content)
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Resume.save = save  # type: ignore[method-assign]
    processes.give(*arguments)


@pytest.mark.slow
def test_equal_commands_at_once_share_what_is_left(sandbox: Sandbox) -> None:
    """Both find a sweep that was broken off: the runs are resumed once."""
    command = ("-m", "regularizer=none,l1", *SMALL, "trainer.epochs=4", "checkpoint.every=1")
    arguments = [*command, *sandbox.arguments]
    status, printed = Forked(give_until_the_second_checkpoint, *arguments).end()
    assert status == -signal.SIGKILL, printed
    both = [processes.regexp(*arguments) for _ in range(2)]
    ended = [process.end() for process in both]
    assert [status for status, _ in ended] == [0, 0], ended
    runs = sandbox.children()
    assert list(runs["status"]) == ["FINISHED"] * 4
    with Tracker(None, sandbox.experiment, sandbox.store) as tracker:
        resumed = [tracker.client.get_run(one).data.tags.get("resumed") for one in runs["run_id"]]
        for run_id in runs["run_id"]:
            points = tracker.client.get_metric_history(run_id, "val/loss")
            assert [point.step for point in points] == [1, 2, 3, 4]
    assert sorted(resumed, key=str) == ["1", "1", None, None]
