"""`regexp rerun`: the same bits are found identical, and whatever was changed is named."""

import json
import sys
from pathlib import Path

import pytest
import torch

from regexp.__main__ import USAGE_ERROR
from regexp.rerun.original import Original
from regexp.sweeps import ingredients
from regexp.tracking.shared import ENVIRONMENT, STACK, where
from regexp.training import checkpoint

from .conftest import SMALL, Store, Trained


def named(runs: list[Original], name: str) -> Original:
    [found] = [run for run in runs if run.name == name]
    return found


def forget_data() -> None:
    """Make this process like another one, which has not read the file before."""
    ingredients._load.cache_clear()
    ingredients._dataset.cache_clear()
    ingredients._alive.clear()


def test_a_whole_sweep_is_identical_and_recorded_beside_the_first(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    assert store.run("rerun", "--sweep", originals[0].sweep_id) == 0
    told = capsys.readouterr().out
    assert told.count(": identical (") == len(originals) == 10
    assert "10 runs: 10 identical" in told
    assert "Data, code, libraries and processor are the same" in told
    again = store.runs(store.sweeps()[-1])
    assert {one.tags["rerun.of"] for one in again} == {one.run_id for one in originals}
    assert any("\nregularizer.ema: " in one.tags["remarks"] for one in again)
    for one in again:
        first = named(originals, one.name)
        assert one.tags["rerun.identical"] == "true"
        assert one.tags["fingerprint"] == first.tags["fingerprint"]
        assert one.tags["remarks"] == first.tags["remarks"]
        assert one.weights_sha256 == first.weights_sha256 != ""
        assert one.stack == first.stack
    assert not list(elsewhere.iterdir())  # nothing is written but the store


def test_a_run_of_a_stack_is_made_again_with_its_stack_and_recorded_alone(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    original = named(originals, "l1+ema seed=1")
    assert store.run("rerun", original.run_id) == 0
    assert "1 run of a stack of 2" in capsys.readouterr().out
    [again] = store.runs(store.sweeps()[-1])
    assert again.tags["rerun.of"] == original.run_id
    # and that one can be made again in turn
    assert store.run("rerun", again.run_id) == 0


def test_a_grid_and_runs_that_are_not_stacked(trained: Trained, elsewhere: Path) -> None:
    store, _ = trained
    grid = "grid.regularizer.l1.strength=[1e-3,1e-2]"
    for arguments in ([grid, "regularizer=l1", "seeds=2"], ["stack=false", "seeds=[4,2]"]):
        runs = store.sweep(*arguments, *SMALL)
        assert store.run("rerun", "--sweep", runs[0].sweep_id) == 0
        assert len(store.runs(store.sweeps()[-1])) == len(runs)


def test_a_stack_in_parts_is_made_again_in_the_same_parts(
    trained: Trained, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there would be others now: of more memory, of another version."""
    store, _ = trained
    monkeypatch.setattr("regexp.sweeps.stacks.runs_at_once", lambda *_: 2)
    runs = store.sweep("seeds=[11,12,13]", *SMALL)
    assert [run.stack["at_once"] for run in runs] == [2, 2, 2]
    monkeypatch.setattr("regexp.sweeps.stacks.runs_at_once", lambda members, *_: len(members))
    assert store.run("rerun", "--sweep", runs[0].sweep_id) == 0
    assert [run.stack for run in store.runs(store.sweeps()[-1])] == [run.stack for run in runs]


def test_a_run_that_diverged_diverges_again(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = trained
    runs = store.sweep("optimizer=sgd", "grid.optimizer.lr=[1e-2,1e30]", *SMALL)
    assert [run.status for run in runs] == ["FINISHED", "FAILED"]
    assert store.run("rerun", "--sweep", runs[0].sweep_id) == 0
    assert "2 runs: 2 identical" in capsys.readouterr().out
    assert [run.status for run in store.runs(store.sweeps()[-1])] == ["FINISHED", "FAILED"]


def test_a_changed_metric_is_named_with_its_epoch(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    original = named(originals, "none seed=0")
    client = store.client()
    before = original.metrics["val/loss"][2]
    client.log_metric(original.run_id, "val/loss", before + 0.25, step=2)
    try:
        assert store.run("rerun", original.run_id) == 1
        told = capsys.readouterr().out
        assert f"first in epoch 2: val/loss {before + 0.25!r} -> {before!r} (by 0.25" in told
        assert "the final weights are identical" in told
        assert "likely cause: nothing that is recorded of the environment explains it" in told
        assert "a recorded value was probably changed" in told
        [again] = store.runs(store.sweeps()[-1])
        assert again.tags["rerun.identical"] == "false"
    finally:
        client.log_metric(original.run_id, "val/loss", before, step=2)


def test_changed_weights_are_named(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    original = named(originals, "none seed=1")
    content = original.load_last()
    assert content is not None
    last = elsewhere / "last.pt"
    kept = elsewhere / "kept" / "last.pt"
    kept.parent.mkdir()
    checkpoint.save(kept, content)
    name = next(iter(content["weights"]))
    content["weights"][name] = content["weights"][name] + 0.5
    checkpoint.save(last, content)
    store.client().log_artifact(original.run_id, str(last), "checkpoints")
    try:
        assert store.run("rerun", original.run_id) == 1
        told = capsys.readouterr().out
        assert f"weights.{name}: " in told
        assert "by at most 0.5" in told
        assert "does not have the digest that was recorded" in told
        last.write_bytes(b"no checkpoint")
        store.client().log_artifact(original.run_id, str(last), "checkpoints")
        assert store.run("rerun", original.run_id) == 1
        told = capsys.readouterr().out
        assert "DIFFERS" in told
        assert "last.pt: of the first run: " in told
        assert "cannot be read" in told
    finally:
        store.client().log_artifact(original.run_id, str(kept), "checkpoints")


def test_another_version_of_a_library_is_named(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    original = named(originals, "dropout seed=0")
    environment = json.loads(json.dumps(original.environment))
    environment["packages"]["scikit-learn"] = "0.1"
    client = store.client()
    first = original.tags.get(STACK, original.run_id)
    client.log_text(first, json.dumps(environment), where(ENVIRONMENT))
    before = original.metrics["train/loss"][1]
    client.log_metric(original.run_id, "train/loss", before * (1 + 1e-7), step=1)
    try:
        assert store.run("rerun", original.run_id) == 1
        told = capsys.readouterr().out
        line = next(line for line in told.splitlines() if line.startswith("scikit-learn"))
        assert line.split() == [
            "scikit-learn",
            "0.1",
            original.environment["packages"]["scikit-learn"],
        ]
        assert "first in epoch 1: train/loss" in told
        assert "likely cause: the libraries: scikit-learn" in told
    finally:
        client.log_text(first, json.dumps(original.environment), where(ENVIRONMENT))
        client.log_metric(original.run_id, "train/loss", before, step=1)


def test_one_changed_row_of_data_is_named(
    trained: Trained,
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, _ = trained
    data = elsewhere / "data"
    data.mkdir()
    rows = torch.randn(80, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = ["a,b,c,target"]
    lines += [f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a + b > 0 else 'no'}" for a, b, c in rows]
    (data / "mine.csv").write_text("\n".join(lines))
    # in the folder where it is trained the file has another place than later
    (elsewhere / "tables").mkdir()
    (data / "mine.csv").rename(elsewhere / "tables" / "mine.csv")
    monkeypatch.chdir(elsewhere)
    table = ("dataset=table", "dataset.path=tables/mine.csv", "dataset.target=target")
    runs = store.sweep(*table, "seeds=2", "regularizer=none,l1", *SMALL[1:], f"paths.data={data}")
    (elsewhere / "tables" / "mine.csv").rename(data / "mine.csv")
    monkeypatch.chdir(data)  # wherever the command is given
    assert store.run("rerun", "--sweep", runs[0].sweep_id, f"paths.data={data}") == 0
    lines[40] = "9,9,9,yes"
    (data / "mine.csv").write_text("\n".join(lines))
    forget_data()
    capsys.readouterr()
    assert store.run("rerun", "--sweep", runs[0].sweep_id, f"paths.data={data}") == 1
    told = capsys.readouterr().out
    table_line = next(line for line in told.splitlines() if line.startswith("the data mine"))
    assert runs[0].tags["data.checksum"][:12] in table_line
    assert told.count("DIFFERS") == 4
    assert told.count("first in epoch 1: train/loss") == 4
    assert told.count("likely cause: the data mine") == 4
    (data / "mine.csv").unlink()
    forget_data()
    assert store.run("rerun", runs[0].run_id, f"paths.data={data}") == 1
    assert "COULD NOT BE MADE AGAIN: dataset.path: no 'tables/mine.csv'" in capsys.readouterr().out


def test_a_job_that_raises_leaves_the_others_alone(
    trained: Trained,
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from regexp.regularizer.sam import SAM

    def broken(*_: object) -> None:
        raise ArithmeticError("no ascent")

    store, originals = trained
    monkeypatch.setattr(SAM, "gradient", broken)
    assert store.run("rerun", "--sweep", originals[0].sweep_id) == 1
    told = capsys.readouterr().out
    assert told.count("COULD NOT BE MADE AGAIN: ArithmeticError: no ascent") == 2
    assert "10 runs: 8 identical, 2 could not be made again" in told
    again = store.runs(store.sweeps()[-1])
    assert sorted(run.status for run in again) == ["FAILED"] * 2 + ["FINISHED"] * 8
    assert all("rerun.identical" not in run.tags for run in again if run.status == "FAILED")


def test_what_cannot_be_made_again_is_said_in_one_message(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    sweep_id = originals[0].sweep_id
    before = store.sweeps()
    for arguments, message in (
        (["0" * 32], f"there is no run {'0' * 32}"),
        ([sweep_id], f"regexp rerun --sweep {sweep_id}"),
        (["--sweep", originals[0].run_id], f"it belongs to the sweep {sweep_id}"),
        ([], "expected one of RUN_ID"),
        ([originals[0].run_id, "trainer.epochs=4"], "trainer.epochs=4: the configuration is"),
        ([originals[0].run_id, "--swep", "x"], "--swep"),
        (["missing.zip"], "missing.zip"),
    ):
        assert store.run("rerun", *arguments) == USAGE_ERROR
        assert message in capsys.readouterr().err
    assert store.sweeps() == before
    empty = Store(elsewhere / "empty")
    assert empty.run("rerun", "0" * 32) == USAGE_ERROR
    assert "there is no store of runs" in capsys.readouterr().err
    assert not empty.folder.exists()


def test_runs_that_did_not_end_by_themselves_are_left_out(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = trained
    runs = store.sweep("seeds=3", "reuse=false", *SMALL)
    client = store.client()
    client.set_terminated(runs[1].run_id, "KILLED")
    assert store.run("rerun", runs[1].run_id) == USAGE_ERROR
    assert "KILLED" in capsys.readouterr().err
    assert store.run("rerun", "--sweep", runs[0].sweep_id) == 1
    told = capsys.readouterr().out
    assert "left out: none seed=1" in told
    assert "3 runs: 2 identical, 1 left out" in told


def test_a_target_of_elsewhere_is_not_called(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    run_id = originals[0].run_id
    client = store.client()
    config = Path(client.download_artifacts(run_id, "config.yaml", str(elsewhere))).read_text()
    client.log_text(run_id, config.replace("regexp.model.mlp.MLP", "os.system"), "config.yaml")
    before = store.sweeps()
    try:
        assert store.run("rerun", run_id) == USAGE_ERROR
    finally:
        client.log_text(run_id, config, "config.yaml")
    told = capsys.readouterr().err
    assert "calls os.system" in told
    assert "--allow os.system" in told
    assert store.sweeps() == before


NET = """\
from regexp.model.mlp import MLP


class Net(MLP):
    def forward(self, inputs):
        return super().forward(inputs) * {factor}
"""


def test_code_of_ones_own_is_asked_for_and_its_change_is_named(
    trained: Trained,
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, _ = trained
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = elsewhere / "net_of_mine.py"
    file.write_text(NET.format(factor=1))
    [original] = store.sweep("model._target_=net_of_mine.Net", "seeds=1", *SMALL)
    assert store.run("rerun", original.run_id) == USAGE_ERROR
    assert "--allow net_of_mine.Net" in capsys.readouterr().err
    assert store.run("rerun", original.run_id, "--allow", "net_of_mine.") == 0
    file.write_text(NET.format(factor=1.5))
    del sys.modules["net_of_mine"]  # as in another process
    assert store.run("rerun", original.run_id, "--allow", "net_of_mine.Net") == 1
    told = capsys.readouterr().out
    assert "likely cause: the code of net_of_mine" in told


def test_an_interrupted_rerun_leaves_nothing_running(
    trained: Trained,
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    store, originals = trained
    monkeypatch.setattr("regexp.rerun.remake.run_stack", interrupted)
    assert store.run("rerun", originals[0].run_id) == 130
    assert "Interrupted" in capsys.readouterr().out
    assert [run.status for run in store.runs(store.sweeps()[-1])] == ["KILLED"]
