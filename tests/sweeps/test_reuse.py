"""Runs that exist are not trained again; the oracles are the ids and the bits in MLflow."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from regexp.__main__ import run as run_command
from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.sweeps import job, launched
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.reuse import arithmetic_of, choose, existing_lines, in_words
from regexp.tracking import Earlier, Tracker, environment
from regexp.tracking.stored import Reader
from tests.sandbox import Sandbox

SMALL = ("dataset=iris", "model.hidden=[6]", "trainer.epochs=2", "optimizer.lr=0.05")

pytestmark = pytest.mark.usefixtures("no_table")


class Store(Sandbox):
    """Counts which runs a command has trained."""

    def trained(self, *arguments: str) -> tuple[set[str], str]:
        """Give a command; (the ids of the runs that it made, the id of its sweep)."""
        before, parents = self._ids(), self.parents()
        assert self.run(*arguments) == 0
        new = [*self.parents().keys() - parents.keys()]
        return self._ids() - before, new[0] if new else ""

    def runs(self, sweep_id: str) -> Any:
        return Reader(None, self.store).runs(sweep_id)

    def keeps_weights(self, run_id: str) -> bool:
        with Reader(None, self.store).file(run_id, "checkpoints/last.pt") as path:
            return path is not None

    def _ids(self) -> set[str]:
        with self.tracker() as tracker:
            return {
                run.info.run_id
                for run in tracker.client.search_runs(
                    [tracker.experiment_id], "tags.fingerprint != ''", max_results=1000
                )
            }


@pytest.fixture
def store(sandbox: Sandbox) -> Store:
    return Store(sandbox.folder, sandbox.store, sandbox.experiment)


def test_more_seeds_a_technique_more_and_a_subset_train_only_what_is_new(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    few, first = store.trained("-m", "regularizer=none,l1", "seeds=2", *SMALL)
    assert len(few) == 4
    capsys.readouterr()
    more, second = store.trained("-m", "regularizer=none,l1", "seeds=3", *SMALL)
    said = capsys.readouterr().out
    assert "4 of 6 runs exist already, 4 of them in other sweeps; 2 to train." in said
    assert sorted(store.runs(second)["run_id"]) == sorted(few | more)
    assert len(more) == 2
    assert sorted(store.runs(first)["run_id"]) == sorted(few), "the other sweep is as it was"
    new, third = store.trained("-m", "regularizer=none,l1,l2", "seeds=3", *SMALL)
    assert set(store.runs(third)["run_id"]) == few | more | new
    assert set(store.runs(third).set_index("run_id").loc[sorted(new), "technique"]) == {"l2"}
    capsys.readouterr()
    none, fourth = store.trained("-m", "regularizer=l1,none", "seeds=[2,1]", *SMALL)
    assert none == set()
    assert "4 of 4 runs exist already, 4 of them in other sweeps; none to train." in (
        capsys.readouterr().out
    )
    assert sorted(store.runs(fourth)["seed"]) == [1, 1, 2, 2]
    assert store.trained("-m", "regularizer=l1,none", "seeds=[2,1]", *SMALL) == (set(), "")
    assert len(store.runs(fourth)) == 4, "linked once"


def test_whatever_reads_a_sweep_reads_what_it_reuses(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _ = store.trained("-m", "regularizer=none", "seeds=2", *SMALL)
    two, sweep_id = store.trained("-m", "regularizer=none,l1", "seeds=2", *SMALL)
    where = (f"paths.mlruns={store.store}",)
    from regexp.__main__ import run

    capsys.readouterr()
    assert run(["compare", sweep_id, "--no-record", "figures=false", *where]) == 0
    assert "none" in capsys.readouterr().out
    assert run(["export", sweep_id, "sweep.zip", *where]) == 0
    assert "4 runs" in capsys.readouterr().out
    assert run(["rerun", "--sweep", sweep_id, *store.arguments[:2]]) == 0
    assert "4 runs: 4 identical" in capsys.readouterr().out
    with store.tracker() as tracker:
        link = tracker.link(sweep_id)
        assert sweep_id in link
        tags = tracker.client.get_experiment(tracker.experiment_id).tags
        import json

        state = json.loads(tags[f"mlflow.sharedViewState.{sweep_id}"])
        found = tracker.client.search_runs([tracker.experiment_id], state["searchFilter"])
        assert {run.info.run_id for run in found} == one | two


LABELS = ["technique", "variant", "setting", "stage", "tuned", "label", "seed"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("optimizer.lr=0.05,0.1",), ("trainer.batch_size=32,64",)),
        (("regularizer=l1",), ("regularizer=l1", "grid.regularizer.l1.strength=[1e-4,1e-2]")),
        (("regularizer=l1",), ("regularizer=l1", "tune.budget=2", "tune.seeds=2", "seeds=[2]")),
    ],
    ids=["setting", "grid", "as trials"],
)
def test_runs_of_another_sweep_are_called_what_this_one_calls_them(
    store: Store, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """The oracle is the sweep that trains all of its runs itself."""
    base = (*SMALL, "trainer.epochs=1", "trainer.batch_size=64", "dataset.split_seed=0", "seeds=2")
    store.trained("-m", *base, *first)
    new, reusing = store.trained("-m", *base, *second)
    found = store.runs(reusing)
    assert len(new) < len(found), "it reuses some"
    _, afresh = store.trained("-m", *base, *second, "reuse=false")
    expected = store.runs(afresh).sort_values(LABELS)[LABELS]
    assert found.sort_values(LABELS)[LABELS].to_numpy().tolist() == expected.to_numpy().tolist()


def test_a_grid_is_another_sweep_than_jobs_with_the_same_runs(store: Store) -> None:
    """It was the same one, with the settings of the jobs, and without a baseline if they broke."""
    base = ("-m", "regularizer=none,l1", *SMALL[:3], "seeds=2")
    first, settings = store.trained(*base, "optimizer.lr=0.01,0.1")
    new, grid = store.trained(*base, "grid.optimizer.lr=[0.01,0.1]")
    assert len(first) == 8
    assert not new
    assert grid not in ("", settings)
    runs = store.runs(grid)
    assert not runs["setting"].any()
    assert set(runs["variant"]) == {"lr=0.01", "lr=0.1"}


def test_a_job_is_locked_by_what_it_trains(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sweep may have its jobs in another order, in two commands at once."""
    names: list[str] = []

    def alone(tracker: Any, name: str, head: str) -> Any:
        names.append(name)
        return nullcontext()

    def train(*given: Any) -> tuple[list[Any], str]:
        *_, by_itself = given
        with by_itself(None):
            return [], "nothing is trained here"

    monkeypatch.setattr(launched, "alone", alone)
    monkeypatch.setattr(launched, "_train", train)
    for techniques in ("none,l1", "l1,none"):
        assert store.run("-m", f"regularizer={techniques}", "seeds=2", *SMALL) == 1
    assert len(names) == 4
    assert names[2:] == names[1::-1]


def test_a_run_that_a_sweep_inherits_is_one_that_it_did_not_train(store: Store) -> None:
    """What trains together in a sweep that was broken off must not change by a deletion."""
    _, first = store.trained("regularizer=l1", "seeds=2", *SMALL)
    _, second = store.trained("regularizer=l1", "seeds=3", *SMALL)
    for deleted in (False, True):
        if deleted:
            assert run_command(["delete", first, "--yes", f"paths.mlruns={store.store}"]) == 0
        with store.tracker() as tracker:
            found = tracker.tries({"technique": "l1"})
        own = [one for one in found if not job._is_of_another(one, second)]
        assert len(own) == 1


def test_a_dry_run_counts_what_exists(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("-m", "regularizer=none,l1", "seeds=2", *SMALL)
    store.trained("regularizer=l1", "seeds=3", *SMALL)
    capsys.readouterr()
    assert store.run(*asked, "dry_run=true") == 0
    assert "2 jobs, 4 runs: 2 finished, 2 to run" in capsys.readouterr().out
    assert store.run(*asked, "dry_run=true", "reuse=false") == 0
    assert "2 jobs, 4 runs: 0 finished, 4 to run" in capsys.readouterr().out


def test_reuse_false_trains_afresh_each_time_it_has_finished(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("regularizer=l1", "seeds=2", *SMALL)
    first, _ = store.trained(*asked)
    for _ in range(2):
        again, sweep_id = store.trained(*asked, "reuse=false")
        assert len(again) == 2
        assert set(store.runs(sweep_id)["run_id"]) == again
    capsys.readouterr()
    assert store.run(*asked, "reuse=false", "dry_run=true") == 0
    assert "2 runs: 0 finished, 2 to run" in capsys.readouterr().out, "as the next command does"
    last, sweep_id = store.trained("regularizer=l1", "seeds=3", *SMALL)
    assert len(last) == 1
    assert set(store.runs(sweep_id)["run_id"]) == again | last, "the latest of equal ones"
    assert not first & set(store.runs(sweep_id)["run_id"])


def test_reuse_false_trains_afresh_also_where_a_run_has_diverged(store: Store) -> None:
    asked = ("regularizer=none", "optimizer=sgd", "grid.optimizer.lr=[0.1,1e30]", *SMALL[:3])
    before: set[str] = set()
    for _ in range(2):
        known = store._ids()
        assert store.run(*asked, "seeds=1", "reuse=false") == 1
        new = store._ids() - known
        assert len(new) == 2
        assert not new & before
        before = new


def test_trials_and_the_runs_that_follow_from_them_are_found(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = ("tune.budget=3", "seeds=[5,6]", "dataset.split_seed=0", *SMALL)
    first, _ = store.trained("-m", "regularizer=l1", *tuned)
    assert len(first) == 5
    second, sweep_id = store.trained("-m", "regularizer=l1,l2", *tuned)
    assert len(second) == 5
    told = "3 of 6 runs exist already, 3 of them in other sweeps; 3 to train, beside those that "
    assert told in capsys.readouterr().out
    runs = store.runs(sweep_id)
    assert set(runs["run_id"]) == first | second
    assert sorted(runs["stage"]) == ["final"] * 4 + ["tuning"] * 6


def test_a_trial_of_the_same_sweep_is_no_run_that_counts_either(store: Store) -> None:
    """The first configuration of a search is that of the file, and its seed may be a job's."""
    asked = ("seeds=[0],[1]", "regularizer=none", "tune.budget=2", "dataset.split_seed=0", *SMALL)
    _, sweep_id = store.trained("-m", *asked)
    runs = store.runs(sweep_id)
    final = runs[runs["stage"] != "tuning"]
    assert sorted(final["seed"]) == [0, 1]


def test_two_choices_that_read_one_file_are_two_settings(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comparison knows data by their name, and showed the last of them alone."""
    group = store.folder / "conf" / "dataset"
    group.mkdir(parents=True)
    for target in ("bought", "left"):
        lines = ["defaults: [table]", f"target: {target}", "columns: [a]", "path: cust.csv"]
        (group / f"{target}.yaml").write_text("\n".join(lines))
    rows = [f"{row / 7},{'yn'[row % 2]},{'abc'[row % 3]}" for row in range(120)]
    (store.folder / "cust.csv").write_text("\n".join(["a,bought,left", *rows]))
    words = ("-m", "--config-dir", str(store.folder / "conf"), "dataset=bought,left")
    small = ("model.hidden=[6]", "trainer.epochs=2", "seeds=2", "trainer.batch_size=16")
    _, sweep_id = store.trained(*words, "regularizer=none", *small)
    runs = store.runs(sweep_id)
    assert set(runs["dataset"]) == {"cust"}
    assert sorted(runs["setting"]) == [*["dataset=bought"] * 2, *["dataset=left"] * 2]


def test_trials_keep_no_weights_and_are_no_runs_that_have_some(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("regularizer=l1", "dataset.split_seed=0", *SMALL)
    tried, sweep_id = store.trained(*small, "seeds=[7]", "tune.budget=2")
    runs = store.runs(sweep_id).set_index("run_id")
    kept = {one for one in tried if store.keeps_weights(one)}
    assert kept == {*runs.index[runs["stage"] == "final"]}
    assert run_command(["rerun", "--sweep", sweep_id, f"paths.mlruns={store.store}"]) == 0
    assert "3 runs: 3 identical" in capsys.readouterr().out
    counted, sweep_id = store.trained(*small)  # the seed and numbers of the first trial
    [run] = store.runs(sweep_id).to_dict("records")
    assert run["fingerprint"] in {*runs["fingerprint"]}
    assert counted == {run["run_id"]}
    assert store.keeps_weights(run["run_id"])


def test_a_diverged_run_is_reused_and_a_failed_one_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging = ("dataset=iris", "model.hidden=[6]", "trainer.epochs=2", "optimizer=sgd",
                 "optimizer.lr=1e30")  # fmt: skip
    assert store.run("seeds=2", *diverging) == 1
    with store.tracker() as tracker:
        before = {run.id for run in tracker.tries({"technique": "none"})}
    assert store.run("seeds=[1,0,2]", *diverging) == 1
    with store.tracker() as tracker:
        assert len({run.id for run in tracker.tries({"technique": "none"})} - before) == 1
    with monkeypatch.context() as patched:
        patched.setattr(job, "make_parts", lambda *_: 1 / 0)
        assert store.run("seeds=1", *SMALL) == 1
    assert len(store.trained("seeds=2", *SMALL)[0]) == 2


def test_runs_of_another_arithmetic_are_not_mixed_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.trained("seeds=2", *SMALL)
    other = dict.fromkeys(environment.arithmetic(), "another")
    monkeypatch.setattr(environment, "arithmetic", lambda: other)
    assert len(store.trained("seeds=3", *SMALL)[0]) == 3


@pytest.mark.parametrize(
    ("recorded", "counts"),
    [
        (["device cpu"], []),
        (["device NVIDIA H200"], ["0"]),
        (["device NVIDIA L4", "device NVIDIA H200"], ["1"]),  # of one kind, the last
        (["device NVIDIA L4", "torch 1.0, device NVIDIA H200"], ["0"]),
        (["torch 1.0, device NVIDIA L4"], []),
    ],
)
def test_where_no_gpu_is_those_of_one_kind_count(recorded: list[str], counts: list[str]) -> None:
    """Its kind is known where jobs train alone, as on the nodes of a cluster."""
    missing = {"device": f"cuda:{torch.cuda.device_count()}"}
    runs = [
        replace(run, config=run.config | {"trainer": run.config["trainer"] | missing})
        for run in planned(2)
    ]
    here = in_words(arithmetic_of(runs[0].config["trainer"])).removesuffix("device ")
    found = [
        earlier(number, sweep="b", fingerprint=runs[number].fingerprint,
                arithmetic=one if one.startswith("torch") else f"{here}gpus some, {one}")
        for number, one in enumerate(recorded)
    ]  # fmt: skip
    chosen = choose(found, "a", runs, reuse=True)
    assert [one.id for one in chosen.values()] == counts


TECHNIQUE = """
from dataclasses import dataclass
from regexp.regularizer.base import Regularizer
@dataclass(frozen=True)
class Mine(Regularizer, kind="penalty"):
    def penalty(self, step, view):
        return {strength} * sum(value.square().sum() for value in view.parameters.values())
"""


def test_an_edited_technique_shows_no_old_results(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(store.folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    command = ("+regularizer.mine={_target_: reused_technique.Mine}", "seeds=1", *SMALL)
    losses = []
    for strength in (0.0, 1.0, 0.0):
        (store.folder / "reused_technique.py").write_text(TECHNIQUE.format(strength=strength))
        sys.modules.pop("reused_technique", None)  # as a new process
        importlib.invalidate_caches()
        _, sweep_id = store.trained(*command)
        if sweep_id:
            losses.append(store.runs(sweep_id)["metrics.test/loss"].item())
    sys.modules.pop("reused_technique", None)
    assert len(losses) == 2, "back at the first code, its runs are found"
    assert not math.isclose(*losses, rel_tol=1e-3)


# --- which of several --------------------------------------------------------------------------


@cache
def planned(seeds: int) -> Sequence[PlannedRun]:
    return plan(compose(parse([*SMALL, f"seeds={seeds}"])[0]).jobs[0].config)


def earlier(number: int, *, sweep: str, status: str = "FINISHED", **changes: Any) -> Earlier:
    [run] = planned(1)
    values: dict[str, Any] = {
        "id": str(number),
        "fingerprint": run.fingerprint,
        "status": status,
        "reason": "",
        "ended": status == "FINISHED",
        "arithmetic": in_words(arithmetic_of(run.config["trainer"])),
        "metrics": {"test/loss": 0.5},
        "sweep_id": sweep,
        "sweeps": frozenset({sweep}),
    }
    return Earlier(**values | changes)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([("a", "FAILED"), ("a", "FINISHED"), ("a", "FINISHED")], "1"),
        ([("a", "KILLED"), ("a", "FAILED")], "1"),
        ([("b", "FINISHED"), ("b", "FINISHED")], "1"),
        ([("b", "FAILED")], None),
        ([("b", "FINISHED"), ("b", "KILLED")], "0"),
        ([("b", "FINISHED"), ("a", "KILLED"), ("b", "FINISHED")], "1"),  # its checkpoint is here
        ([("a", "KILLED"), ("ba", "FINISHED")], "1"),  # that it reuses already
        ([("ba", "FINISHED"), ("b", "FINISHED")], "0"),
    ],
)
def test_what_a_sweep_goes_on_from(found: list[tuple[str, str]], expected: str | None) -> None:
    """Of the sweep "a"; "ba" is a run of "b" that "a" reuses."""
    runs = planned(1)
    tries = [
        earlier(number, sweep=sweep[0], status=status, sweeps=frozenset(sweep))
        for number, (sweep, status) in enumerate(found)
    ]
    chosen = choose(tries, "a", runs, reuse=True)
    assert [one.id for one in chosen.values()] == [expected] * (expected is not None)
    assert [Earlier.from_plain(one.as_plain()) for one in tries] == tries
    own = choose(tries, "a", runs, reuse=False)
    assert all("a" in one.sweeps for one in own.values())


def test_nothing_is_said_of_nothing() -> None:
    runs = planned(2)
    assert existing_lines([runs], {}, "a") == []
    broken = earlier(0, sweep="a", status="KILLED")
    assert existing_lines([runs], {broken.fingerprint: broken}, "a") == []
    done = earlier(0, sweep="a")
    [line] = existing_lines([runs, runs], {done.fingerprint: done}, "a")
    assert line == "1 of 2 runs exist already; 1 to train."


def test_a_tag_says_to_which_sweeps_a_run_belongs(fresh_store: Path) -> None:
    from tests.tracking.runs import start

    with Tracker(None, "regexp", fresh_store) as tracker:
        first, second = (tracker.sweep(key, key, {}) for key in "ab")
        record = start(tracker, first.id)
        record.finish()
        tracker.reuse(second.id, {record.id: {}})
        [one] = tracker.tries({"fingerprint": "f0"})
        assert one.sweeps == {first.id, second.id}
        assert one.sweep_id == first.id
        assert tracker.tries({}, second.id) == []
        assert list(tracker.runs(second.id)["run_id"]) == [record.id]
        for reader in (tracker, Reader(None, fresh_store)):
            assert list(reader.runs(first.id)["run_id"]) == [record.id]
