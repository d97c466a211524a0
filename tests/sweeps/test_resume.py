"""A broken job goes on from its checkpoint, in the same runs, and ends with the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.config.values import every_of
from regexp.errors import ConfigError
from regexp.sweeps import job, launched, recording
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan
from regexp.sweeps.resume import Every, Point, Resume, _is_newer
from regexp.tracking import CheckpointCopy, TakenOverError, Tracker, delivery, environment
from regexp.tracking.names import WORKING
from regexp.training import checkpoint
from regexp.training.state import TrainingState

SMALL = ("dataset=iris", "model.hidden=[6]", "trainer.epochs=6", "trainer.device=cpu",
         "optimizer.lr=0.05", "seeds=3", "checkpoint.every=1", "reuse=false")  # fmt: skip
MEMORY = ("regularizer=[dropout,ema,early_stopping]", "regularizer.early_stopping.patience=2")


def config(folder: Path, *overrides: str) -> DictConfig:
    if not any(one.startswith("regularizer=") for one in overrides):
        overrides = (*MEMORY, *overrides)
    return compose(parse([*SMALL, f"paths.mlruns={folder}", *overrides])[0]).jobs[0].config


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Each test has an experiment of its own in it."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture
def tracker(store: Path, request: pytest.FixtureRequest) -> Iterator[Tracker]:
    with Tracker(None, request.node.name, store) as opened:
        yield opened


class Interrupted(BaseException):
    """As Ctrl-C: nothing catches it."""


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int, error: BaseException) -> None:
    """Break the training after the checkpoint of an epoch, once."""
    whole = Resume.save

    def save(self: Resume, at: int, content: Any) -> None:
        whole(self, at, content)
        if at == epoch:
            monkeypatch.setattr(Resume, "save", whole)
            raise error

    monkeypatch.setattr(Resume, "save", save)


def train(tracker: Tracker, one: DictConfig, key: str = "key") -> tuple[Any, list[Outcome]]:
    sweep = tracker.sweep(key, key, {})
    return sweep, job.train(plan(one), one, tracker, sweep.id)


def recorded(tracker: Tracker, sweep: Any) -> dict[Any, Any]:
    """Run's name -> what the store has of it: all points of the curves, tags and weights."""
    found = {}
    for row in tracker.runs(sweep.id).itertuples():
        run = tracker.client.get_run(row.run_id)
        points = {
            name: [(m.step, m.value) for m in tracker.client.get_metric_history(row.run_id, name)]
            for name in run.data.metrics
            if name != "seconds"
        }
        tags = {key: run.data.tags.get(key) for key in ("weights.sha256", "fingerprint")}
        found[row.name] = (row.status, points, tags)
    return found


Expected = Callable[..., dict[Any, Any]]
"""`expected(stack=False)`: what `recorded` gives of the runs where nothing disturbs them."""


@pytest.fixture(scope="module")
def expected(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    @cache
    def undisturbed(*, stack: bool = True) -> dict[Any, Any]:
        one = config(tmp_path_factory.mktemp("undisturbed"), f"stack={stack}".lower())
        with Tracker(None, f"undisturbed {stack}", store) as opened:
            sweep, outcomes = train(opened, one)
            assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
            return recorded(opened, sweep)

    return undisturbed


@pytest.mark.parametrize("stack", [True, False])
@pytest.mark.parametrize("error", [Interrupted(), RuntimeError("out of memory")])
def test_a_broken_job_ends_as_if_nothing_had_happened(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Expected,
    stack: bool, error: BaseException,
) -> None:  # fmt: skip
    one = config(tmp_path, f"stack={stack}".lower())
    undisturbed = expected(stack=stack)
    interrupt(monkeypatch, 3, error)
    if isinstance(error, Interrupted):
        with pytest.raises(Interrupted):
            train(tracker, one, "broken")
        for record in list(tracker._open.values()):
            record.finish("KILLED")
    else:
        _, outcomes = train(tracker, one, "broken")
        assert "out of memory" in outcomes[0].reason
    (file,) = (tmp_path / "checkpoints").rglob("*.pt")
    assert checkpoint.load(file, holds="training")["training"]["stack"]["epoch"] == 3
    before = set(tracker.runs(tracker.sweep("broken", "broken", {}).id)["run_id"])

    broken, outcomes = train(tracker, one, "broken")
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
    assert recorded(tracker, broken) == undisturbed
    assert before <= set(tracker.runs(broken.id)["run_id"])
    assert len(tracker.runs(broken.id)) == 3
    assert not list((tmp_path / "checkpoints").rglob("*"))


def test_a_run_alone_of_a_stack_is_made_again_with_the_stacks_bits(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Expected
) -> None:
    """Killed while runs are recorded: two are finished, the third is not."""
    one = config(tmp_path, "checkpoint.every=null")
    undisturbed = expected()
    whole, calls = recording.record_result, []

    def record_result(*given: Any) -> Outcome:
        calls.append(given)
        if len(calls) == 3:
            raise Interrupted
        return whole(*given)

    monkeypatch.setattr(job, "record_result", record_result)
    with pytest.raises(Interrupted):
        train(tracker, one, "broken")
    monkeypatch.setattr(job, "record_result", whole)
    for record in list(tracker._open.values()):
        record.finish("KILLED")
    broken, _ = train(tracker, one, "broken")
    assert recorded(tracker, broken) == undisturbed


@pytest.mark.parametrize("stack", [True, False])
def test_a_kill_leaves_no_file_for_ever(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: bool
) -> None:
    """It came while a checkpoint was written, then when all runs of a stack had been recorded."""
    one = config(tmp_path, f"stack={stack}".lower(), "seeds=2", "trainer.epochs=2")
    folder = tmp_path / "checkpoints"

    def half(self: Resume, epoch: int, content: Any) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.with_name(f"{self.path.name}.123.partial").write_bytes(b"half")
        raise Interrupted

    def killed(self: Resume) -> None:
        raise Interrupted

    for name, broken, left in (("save", half, "*.partial"), ("remove", killed, "*.pt")):
        with monkeypatch.context() as patched:
            patched.setattr(Resume, name, broken)
            with pytest.raises(Interrupted):
                train(tracker, one)
        assert list(folder.rglob("*.*")) == list(folder.rglob(left)) != []
    _, outcomes = train(tracker, one)
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 2
    assert not list(folder.rglob("*"))


@pytest.mark.parametrize("damage", ["half", "empty", "foreign", "fewer", "other"])
def test_a_bad_checkpoint_is_told_of_and_the_runs_start_again(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, expected: Expected, damage: str,
) -> None:  # fmt: skip
    one = config(tmp_path)
    undisturbed = expected()
    interrupt(monkeypatch, 2, RuntimeError("broken"))
    train(tracker, one, "broken")
    (file,) = (tmp_path / "checkpoints").rglob("*.pt")
    if damage == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "foreign":
        torch.save(torch.load(file, weights_only=True) | {"training": {"stack": 3}}, file)
    elif damage == "fewer":
        torch.save(torch.load(file, weights_only=True) | {"history": []}, file)
    else:
        content = torch.load(file, weights_only=True)
        content["training"]["stack"]["parameters"].popitem()
        torch.save(content, file)
    broken, outcomes = train(tracker, one, "broken")
    assert f"{file} cannot be used" in caplog.text
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
    assert recorded(tracker, broken) == undisturbed


def test_a_full_disk_is_told_of_once_and_training_goes_on(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    whole = checkpoint.save

    def full(path: Path, content: dict[str, Any]) -> None:
        if "checkpoints" in path.parts:
            raise OSError(28, "No space left on device")
        whole(path, content)

    monkeypatch.setattr(checkpoint, "save", full)
    _, outcomes = train(tracker, config(tmp_path))
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
    assert caplog.text.count("No space left on device") == 1


def test_a_run_whose_last_checkpoint_cannot_be_stored_fails_alone_and_is_made_again(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Expected
) -> None:
    one = config(tmp_path)
    undisturbed = expected()
    whole, calls = checkpoint.save, []

    def full(path: Path, content: dict[str, Any]) -> None:
        if "checkpoints" not in path.parts:
            calls.append(path.name)
            if len(calls) == 3:  # the best of the second run
                raise OSError(28, "No space left on device")
        whole(path, content)

    monkeypatch.setattr(checkpoint, "save", full)
    _, outcomes = train(tracker, one, "broken")
    assert [outcome.status for outcome in outcomes] == ["FINISHED", "FAILED", "FINISHED"]
    reason = "what it ended with cannot be stored: [Errno 28] No space left on device"
    assert reason in outcomes[1].reason
    broken, _ = train(tracker, one, "broken")
    assert recorded(tracker, broken) == undisturbed


def test_a_diverged_run_is_not_trained_again(tracker: Tracker, tmp_path: Path) -> None:
    one = config(tmp_path, "regularizer=none", "optimizer=sgd", "grid.optimizer.lr=[1e-2,1e30]")
    sweep, outcomes = train(tracker, one)
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3 + ["FAILED"] * 3
    _, again = train(tracker, one)
    assert [(o.status, o.reason) for o in again] == [(o.status, o.reason) for o in outcomes]
    assert [o.metrics for o in again[3:]] == [o.metrics for o in outcomes[3:]]
    assert all({*o.metrics} == {"seconds"} and o.metrics["seconds"] > 0 for o in again[3:])
    assert len(tracker.runs(sweep.id)) == 6


def test_another_machine_makes_new_runs(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = config(tmp_path)
    interrupt(monkeypatch, 2, RuntimeError("broken"))
    train(tracker, one)
    other = dict.fromkeys(environment.arithmetic(), "another")
    monkeypatch.setattr(environment, "arithmetic", lambda: other)
    sweep, outcomes = train(tracker, one)
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 3
    assert sorted(tracker.runs(sweep.id)["status"]) == ["FAILED"] * 3 + ["FINISHED"] * 3


def test_a_job_that_another_process_has_taken_over_stops_and_waits_for_it(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = config(tmp_path, "seeds=2")
    monkeypatch.setattr(tracker._claims, "has", lambda run_id: len(told) < 3)
    told: list[int] = []
    sweep = tracker.sweep("key", "key", {})
    with pytest.raises(TakenOverError):
        job.train(plan(one), one, tracker, sweep.id, advance=told.append)
    runs = tracker.client.search_runs([tracker.experiment_id], "tags.fingerprint != ''")
    assert [run.info.status for run in runs] == ["RUNNING"] * 2, "how they end is the other's"
    assert len(told) == 4, "it stops after the epoch"
    assert not [record for record in tracker._open.values() if record.id != sweep.id]

    order = launched.Order(sweep.id, 1, [], str(tmp_path))
    waited: list[Tracker] = []

    @contextmanager
    def by_itself(opened: Tracker) -> Iterator[None]:
        waited.append(opened)
        if len(waited) == 2:  # the other has done with it
            monkeypatch.setattr(tracker._claims, "has", lambda run_id: True)
        yield

    monkeypatch.setattr(launched, "_tracker", tracker)
    planned = {"runs": [run.as_plain() for run in plan(one)], "known": []}
    outcomes, _ = launched._train(one, planned, order, "", told.append, by_itself)
    assert [outcome.status for outcome in outcomes] == ["FINISHED"] * 2
    assert waited == [tracker] * 2


# --- when ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "expected"),
    [(Every(2), [2, 4, 6]), (Every(seconds=2.5), [3, 6]), (Every(), [])],
)
def test_writes_every_few_epochs_or_seconds(
    tmp_path: Path, every: Every, expected: list[int]
) -> None:
    moments = iter(range(100))
    written = []

    def content() -> dict[str, Any]:
        written.append(epoch)
        return {}

    now = next(moments)
    one = Resume(tmp_path, ["a"], {}, every, clock=lambda: now)
    for epoch in range(1, 7):
        now = next(moments)
        one.save(epoch, content)
    assert written == expected


def test_history_comes_back(tmp_path: Path) -> None:
    points = [Point(epoch, 1000 + epoch, {"a": epoch / 3, "b": float("inf")}) for epoch in (1, 2)]
    one = Resume(tmp_path, ["a", "b"], {}, Every(1))
    for point in points:
        one.note(0, point)
    one.save(1, lambda: {"x": 1})
    two = Resume(tmp_path, ["a", "b"], {}, Every(1))
    assert two.load(torch.device("cpu")) == {"x": 1}
    assert two.history == [points, []]
    for names, arithmetic in ((["a", "c"], {}), (["a", "b"], {"torch": "2"})):
        other = Resume(tmp_path, names, arithmetic, Every(1))
        assert other.load(torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("every", "expected"),
    [("10", (10, None)), ("30s", (None, 30)), ("5min", (None, 300)), ("1.5h", (None, 5400)),
     ("null", (None, None))],
)  # fmt: skip
def test_every(tmp_path: Path, every: str, expected: Any) -> None:
    assert every_of(config(tmp_path, f"checkpoint.every={every}")) == expected


@pytest.mark.parametrize("every", ["0", "-1", "soon", "0s", "true", "[1]", "1.5", "5 years"])
def test_every_is_checked(tmp_path: Path, every: str) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint\.every=.*expected a number of epochs"):
        config(tmp_path, f"checkpoint.every={every}")


# --- what makes a run again ------------------------------------------------------------------


def test_a_run_leaves_all_that_makes_it_again(tracker: Tracker, tmp_path: Path) -> None:
    from regexp.sweeps.plan import from_resolved

    one = config(tmp_path, "regularizer=l1", "grid.regularizer.l1.strength=[1e-4,1e-3]", "seeds=2")
    sweep, _ = train(tracker, one)
    runs = plan(one)
    for position, row in enumerate(tracker.runs(sweep.id).itertuples()):
        folder = tracker.client.download_artifacts(row.run_id, "", str(tmp_path / "down"))
        left = OmegaConf.to_container(OmegaConf.load(Path(folder) / "config.yaml"))
        text = tracker.text(str(row.run_id), "stack.yaml")
        assert text is not None
        stack = OmegaConf.to_container(OmegaConf.create(text.decode()))
        assert isinstance(left, dict)
        assert isinstance(stack, dict)
        assert stack["position"] == position
        assert stack["members"] == [
            {"seed": seed, "regularizer.l1.strength": strength}
            for strength in (1e-4, 1e-3)
            for seed in (0, 1)
        ]
        again = from_resolved(left, one.paths.data, stack["variants"][position])  # type: ignore[arg-type]
        assert again == runs[position]
        weights = checkpoint.load(Path(folder) / "checkpoints" / "last.pt")["weights"]
        tags = tracker.client.get_run(row.run_id).data.tags
        assert tags["weights.sha256"] == checkpoint.digest(weights)
        assert tags["data.checksum"] == again.checksum
        changed = {name: value + 1e-7 for name, value in weights.items()}
        assert checkpoint.digest(changed) != tags["weights.sha256"]


# --- elsewhere -------------------------------------------------------------------------------


def copies(tracker: Tracker, sweep: Any) -> list[str]:
    """The working checkpoints that the store has of a sweep's runs."""
    runs = tracker.runs(sweep.id)["run_id"]
    return [one.path for run in runs for one in tracker.client.list_artifacts(run, WORKING)]


def copy_of(tracker: Tracker, sweep: Any) -> CheckpointCopy:
    [run_id] = [run for run in tracker.runs(sweep.id)["run_id"]
                if tracker.client.list_artifacts(run, WORKING)]  # fmt: skip
    return CheckpointCopy(tracker.places, run_id, tracker.queue)


def test_a_stack_goes_on_where_its_checkpoint_is_in_the_store_alone(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Expected
) -> None:
    undisturbed = expected()
    here = config(tmp_path / "here", "checkpoint.store=true")
    interrupt(monkeypatch, 3, RuntimeError("broken"))
    broken, _ = train(tracker, here, "broken")
    assert len(copies(tracker, broken)) == 1, "one a stack"
    seen = []
    resumed = TrainingState.resumed

    def noting(stack: Any, content: Any) -> TrainingState:
        seen.append(content["stack"]["epoch"])
        return resumed(stack, content)

    monkeypatch.setattr(TrainingState, "resumed", noting)
    train(tracker, config(tmp_path / "there", "checkpoint.store=true"), "broken")
    assert seen == [3]
    assert recorded(tracker, broken) == undisturbed
    assert not copies(tracker, broken)
    assert not list((tmp_path / "there").glob("**/checkpoints/*"))


def test_a_stack_goes_on_from_the_store_where_another_machine_was_further(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Expected
) -> None:
    undisturbed = expected()
    here, there = (config(tmp_path / name, "checkpoint.store=true") for name in ("here", "there"))
    for machine, epoch in ((here, 2), (there, 4)):
        interrupt(monkeypatch, epoch, RuntimeError("broken"))
        broken, _ = train(tracker, machine, "broken")
    [file] = (tmp_path / "here").glob("checkpoints/*/*.pt")
    whole = file.read_bytes()
    for content in (whole, b"damaged"):
        file.write_bytes(content)
        resume = Resume(file.parent, ["a"], {}, Every(1), copy=copy_of(tracker, broken))
        resume.path, resume._wanted = file, file.name
        assert resume._found() == file
        [run] = checkpoint.load(file, holds="training")["history"][:1]
        assert int(run["epoch"][-1]) == 4
    later = file.read_bytes()
    resume._found()
    assert file.read_bytes() == later
    train(tracker, here, "broken")
    assert recorded(tracker, broken) == undisturbed


def test_of_runs_that_train_after_one_another_the_further_is_newer(tmp_path: Path) -> None:
    """The first of them has all of its epochs in both."""
    for name, epochs in (("one", (9, 1)), ("other", (9, 4))):
        history = [{"epoch": list(range(1, last + 1))} for last in epochs]
        checkpoint.save(tmp_path / name, {"training": {}, "history": history})
    (tmp_path / "damaged").write_bytes(b"damaged")
    files = [tmp_path / name for name in ("damaged", "one", "other")]
    assert [[_is_newer(one, other) for other in files] for one in files] == [
        [False, False, False], [True, False, False], [True, True, False],
    ]  # fmt: skip


def test_a_copy_that_goes_while_the_store_is_away_goes_later(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by `python -m tests.kills.real`: one was left for good."""
    whole, away = delivery._send, list[str]()

    def send(store: Any, run_id: str, records: Any) -> None:
        if records[0]["kind"] == "removal" and not away:
            away.append(run_id)
            raise ConnectionError("the server is killed")
        whole(store, run_id, records)

    monkeypatch.setattr(delivery, "_send", send)
    sweep, _ = train(tracker, config(tmp_path, "checkpoint.store=true"))
    tracker._outbox.drain()
    [run_id] = away
    assert tracker.client.list_artifacts(run_id, WORKING)
    assert copies(tracker, sweep) == []


def test_a_store_that_takes_no_checkpoint_is_told_of_once_and_left_alone(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[float] = []
    copy = CheckpointCopy(tracker.places, "0" * 32, tracker.queue, clock=lambda: times[-1])
    for time, told in [(0.0, 1), (1.0, 1), (599.0, 1), (601.0, 2)]:
        times.append(time)
        copy.put(tmp_path)
        assert caplog.text.count("does not take or give checkpoints") == told


def test_on_another_machine_a_stack_goes_on_with_a_note_if_it_is_asked_to(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = config(tmp_path, "checkpoint.elsewhere=continue", "seeds=2")
    interrupt(monkeypatch, 2, RuntimeError("broken"))
    sweep, _ = train(tracker, one)
    before = set(tracker.runs(sweep.id)["run_id"])
    other = dict.fromkeys(environment.arithmetic(), "another")
    monkeypatch.setattr(environment, "arithmetic", lambda: other)
    train(tracker, one)
    runs = tracker.runs(sweep.id)
    assert set(runs["run_id"]) == before
    assert list(runs["status"]) == ["FINISHED"] * 2
    for run in runs.itertuples():
        assert f"{run.name} was begun by other arithmetic" in str(run.remarks)
        points = tracker.client.get_metric_history(run.run_id, "val/loss")
        assert [point.step for point in points] == [1, 2, 3, 4, 5, 6][: len(points)]
