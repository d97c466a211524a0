"""What a dry run says of the time that runs may take, where it can be measured and where not."""

from typing import Any

import pytest

from regexp.commands import dry_run
from regexp.commands.arguments import parse
from regexp.commands.dry_run import Stopwatch, UnmeasuredError, show_dry_run
from regexp.config.jobs import Sweep, compose
from regexp.errors import ConfigError
from regexp.sweeps import plan as planning
from regexp.sweeps import stacks
from regexp.training import loop
from tests.sandbox import SMALL, Sandbox


def broken(error: Exception) -> Any:
    """A function that raises an error, whatever it is given."""

    def function(*_: object, **__: object) -> None:
        raise error

    return function


@pytest.fixture
def sweep(sandbox: Sandbox) -> Sweep:
    """Of a single job."""
    return compose(parse([*SMALL, f"paths.mlruns={sandbox.store}"])[0])


def test_a_metric_that_no_run_will_have_is_refused(sandbox: Sandbox) -> None:
    words = [*SMALL, "compare.metric=test/foo", f"paths.mlruns={sandbox.store}"]
    with pytest.raises(ConfigError, match=r"compare\.metric=test/foo"):
        show_dry_run(compose(parse(words)[0]))


@pytest.mark.parametrize("error", [TypeError("a string has no norm\nat all"), MemoryError("4 GB")])
def test_a_job_whose_training_breaks_says_why(
    error: Exception,
    sweep: Sweep,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loop, "train", broken(error))
    show_dry_run(sweep)
    printed = capsys.readouterr().out
    said = str(error).splitlines()[0]
    assert f"unknown  (training raised {type(error).__name__}: {said})" in printed
    assert "in an unknown time of training" in printed


def test_a_job_that_a_few_epochs_do_not_fit_says_so(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "plan", broken(ConfigError("too short", key="scheduler")))
    with pytest.raises(UnmeasuredError, match=r"^not measured in \d epochs: scheduler: too short$"):
        Stopwatch().seconds(sweep.jobs[0].config)


def test_a_fault_of_the_measurement_itself_is_not_hidden(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "group_by_structure", broken(AttributeError("a slip")))
    with pytest.raises(AttributeError, match="a slip"):
        Stopwatch().seconds(sweep.jobs[0].config)


def test_epochs_of_a_grid_are_those_that_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a run has where these are few, and the time is that of its own."""
    asked: list[tuple[int, int]] = []
    before = dry_run._seconds_of

    def noted(members: Any, runs: Any, device: Any, epochs: int, some: int) -> float:
        asked.append((epochs, some))
        return before(members, runs, device, epochs, some)

    monkeypatch.setattr(dry_run, "_seconds_of", noted)
    words = ["dataset=iris", "regularizer=l1", "trainer.epochs=900", "grid.trainer.epochs=[1,40]"]
    [job] = compose(parse(words)[0]).jobs
    assert Stopwatch(0).seconds(job.config) > 0
    assert asked == [(1, 1), (40, dry_run.EPOCHS)] * 2
    asked.clear()
    [job] = compose(parse(words[:3])[0]).jobs
    Stopwatch(0).seconds(job.config)
    assert asked == [(900, dry_run.EPOCHS)] * 2
