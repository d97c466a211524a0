"""`regexp ls` and `regexp delete`; the oracles are MLflow and the files that are left."""

import json
import re
from pathlib import Path

import pytest

from regexp.__main__ import USAGE_ERROR, run
from regexp.tracking import Tracker
from regexp.tracking.stored import Reader
from tests.sandbox import SMALL, Sandbox
from tests.tracking.runs import start


@pytest.fixture
def store(fresh_store: Path, tmp_path: Path) -> tuple[Path, str, str]:
    """Two sweeps; the second reuses a run of the first, which has another that it does not."""
    (tmp_path / "last.pt").write_bytes(b"0" * 2**20)
    with Tracker(None, "regexp", fresh_store) as tracker:
        first, second = (tracker.sweep(key, key, {"command": f"seeds={key}"}) for key in "ab")
        for name in ("shared", "alone"):
            record = start(tracker, first.id, fingerprint=name, name=name)
            record.artifact(tmp_path / "last.pt", "checkpoints")
            record.finish("FINISHED" if name == "shared" else "FAILED")
            if name == "shared":
                tracker.reuse(second.id, {record.id: {"setting": "optimizer=adam"}})
        start(tracker, second.id, fingerprint="own", name="own").finish()
        first.finish()
        second.finish()
    plans = fresh_store / "hydra" / "then" / "plans"
    plans.mkdir(parents=True)
    (plans / "0.yaml").write_text(f"order:\n  sweep_id: {first.id}\n")
    return fresh_store, first.id, second.id


def names(folder: Path, sweep_id: str) -> set[str]:
    return set(Reader(None, folder).runs(sweep_id)["name"])


def test_sweeps_are_listed_newest_first(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, second = store
    assert run(["ls", "--json", f"paths.mlruns={folder}"]) == 0
    listed = {one["sweep_id"]: one for one in json.loads(capsys.readouterr().out)}
    assert [one["started"] for one in listed.values()] == sorted(
        (one["started"] for one in listed.values()), reverse=True
    )
    assert listed[first]["runs"] == {"FINISHED": 1, "FAILED": 1}
    assert listed[second]["runs"] == {"FINISHED": 2}
    assert (listed[first]["reused"], listed[second]["reused"]) == (0, 1)
    assert listed[first]["techniques"] == listed[second]["techniques"] == ["l1"]
    assert run(["ls", f"paths.mlruns={folder}"]) == 0
    table = capsys.readouterr().out
    assert first in table
    assert "1 finished, 1 failed" in table
    assert "2 finished, 1 reused" in table
    assert "seeds=a" in table


def test_a_deleted_sweep_leaves_what_others_reuse_and_frees_the_disk(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, second = store
    where = f"paths.mlruns={folder}"
    runs = Reader(None, folder).runs(first).set_index("name")["run_id"]
    assert run(["delete", first, where]) == USAGE_ERROR
    assert "give --yes" in capsys.readouterr().err
    assert names(folder, first) == {"shared", "alone"}, "nobody was asked"
    assert run(["delete", first, "--yes", where]) == 0
    told = capsys.readouterr().out
    # a checkpoint of 1 MB, and the diff of a tree that is not committed
    assert re.search(
        r"a: 1 run and the sweep itself, with files and checkpoints \(1\.\d MB\)", told
    )
    assert "1 run stays, which other sweeps reuse." in told
    assert names(folder, second) == {"shared", "own"}
    assert Reader(None, folder).run(runs["shared"]).sweep_id == second
    assert [path.parents[2].name for path in folder.rglob("last.pt")] == [runs["shared"]]
    assert not (folder / "hydra" / "then").exists()
    with Tracker(None, "regexp", folder) as tracker:
        left = tracker.client.search_runs([tracker.experiment_id], run_view_type=3)  # deleted too
        assert {one.info.run_name for one in left} == {"b", "own", "shared"}
    assert run(["delete", first, "--yes", where]) == USAGE_ERROR
    assert "there is no run" in capsys.readouterr().err
    assert run(["delete", second, "--yes", where]) == 0
    assert not list(folder.rglob("last.pt"))


def test_runs_of_a_stack_that_go_to_several_sweeps_have_all_their_files(sandbox: Sandbox) -> None:
    """Also when the sweep that the first of them went to is deleted too."""
    sweeps: list[str] = []
    for seeds in ("2", "[0]", "[1]"):
        assert sandbox.run("regularizer=l1", *SMALL[:-1], f"seeds={seeds}") == 0
        sweeps += sandbox.parents().keys() - {*sweeps}
    reader = Reader(None, sandbox.store)
    [last] = [run_id for run_id, seed in reader.runs(sweeps[0])[["run_id", "seed"]].values
              if seed == 1]  # fmt: skip
    shared = ("environment.json", "stack.yaml", "diagnostics.json", "test_outputs.npz")
    before = {name: reader.text(last, name) for name in shared}
    assert None not in before.values()
    for sweep_id in sweeps[:2]:
        assert run(["delete", sweep_id, "--yes", f"paths.mlruns={sandbox.store}"]) == 0
    left = Reader(None, sandbox.store)
    assert left.run(last).sweep_id == sweeps[2]
    assert {name: left.text(last, name) for name in shared} == before
    assert run(["rerun", "--sweep", sweeps[2], f"paths.mlruns={sandbox.store}"]) == 0


def test_a_sweep_that_reuses_is_deleted_without_what_it_reuses(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, second = store
    assert run(["delete", second, "--yes", f"paths.mlruns={folder}"]) == 0
    assert "1 run stays, which it reuses of others." in capsys.readouterr().out
    assert names(folder, first) == {"shared", "alone"}
    with Tracker(None, "regexp", folder) as tracker:
        for run_id in Reader(None, folder).runs(first)["run_id"]:
            assert not [tag for tag in tracker.client.get_run(run_id).data.tags if second in tag]


def test_what_another_sweep_takes_up_before_the_answer_is_not_deleted(
    store: tuple[Path, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, first, second = store
    alone = Reader(None, folder).runs(first).set_index("name")["run_id"]["alone"]

    def answered() -> bool:
        with Tracker(None, "regexp", folder) as tracker:
            tracker.reuse(second, {alone: {}})
        return True

    monkeypatch.setattr("regexp.commands.sweeps._agreed", answered)
    assert run(["delete", first, f"paths.mlruns={folder}"]) == USAGE_ERROR
    assert "nothing was deleted; give the command again" in capsys.readouterr().err
    assert names(folder, first) == {"shared", "alone"}
    assert names(folder, second) == {"shared", "alone", "own"}


def test_yardsticks_are_no_runs_of_a_list(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, _ = store
    with Tracker(None, "regexp", folder) as tracker:
        tags = {"technique": "majority", "stage": "yardstick"}
        start(tracker, first, fingerprint="y", name="majority", tags=tags).finish()
    assert run(["ls", "--json", f"paths.mlruns={folder}"]) == 0
    [listed] = [o for o in json.loads(capsys.readouterr().out) if o["sweep_id"] == first]
    assert listed["runs"] == {"FINISHED": 1, "FAILED": 1}
    assert (listed["yardsticks"], listed["techniques"]) == (1, ["l1"])


def test_what_still_runs_is_not_deleted(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, _ = store
    with Tracker(None, "regexp", folder) as tracker:
        start(tracker, first, fingerprint="new", name="new")
        assert run(["delete", first, "--yes", f"paths.mlruns={folder}"]) == USAGE_ERROR
        assert "runs of it have not ended (1)" in capsys.readouterr().err
        assert names(folder, first) == {"shared", "alone", "new"}


def test_a_run_is_no_sweep(
    store: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, _ = store
    [run_id, *_] = Reader(None, folder).runs(first)["run_id"]
    assert run(["delete", run_id, "--yes", f"paths.mlruns={folder}"]) == USAGE_ERROR
    assert "is a run, not a sweep" in capsys.readouterr().err


def test_the_folder_of_a_command_that_found_all_finished_goes_too(fresh_store: Path) -> None:
    words = [*SMALL, "figures=false", "yardsticks=false", f"paths.mlruns={fresh_store}"]
    for _ in range(2):
        assert run(["-m", "regularizer=none,l1", *words]) == 0
    assert len([*(fresh_store / "hydra").iterdir()]) == 2
    with Tracker(None, "regexp", fresh_store) as tracker:
        [parent] = tracker.client.search_runs([tracker.experiment_id], "tags.`sweep.key` != ''")
    assert run(["delete", parent.info.run_id, "--yes", f"paths.mlruns={fresh_store}"]) == 0
    assert not [*(fresh_store / "hydra").iterdir()]
