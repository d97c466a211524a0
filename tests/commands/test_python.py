"""`import regexp`: sweeps from Python, held against the command line's."""

import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import regexp
from regexp.errors import ConfigError
from regexp.metrics.names import column
from regexp.tracking import Tracker, TrackingError
from tests.sandbox import SMALL, Sandbox

ROOT = Path(__file__).parents[2]
SWEEP = ["regularizer=none,l1,dropout", *SMALL]


def test_importing_it_imports_nothing_else() -> None:
    code = (
        "import sys, regexp; known = {*sys.modules}; dir(regexp); "
        "print(sorted(known & {'torch', 'mlflow', 'hydra', 'omegaconf', 'numpy', 'pandas'})); "
        "print(sorted(regexp.__all__) == sorted(n for n in dir(regexp) if n in regexp.__all__))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
    for name in regexp.__all__:
        assert callable(getattr(regexp, name)), name
    with pytest.raises(AttributeError, match="no attribute 'sweeep'"):
        regexp.sweeep  # noqa: B018


def test_it_is_the_sweep_of_the_command(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("-m", *SWEEP) == 0
    capsys.readouterr()
    sweep = regexp.sweep([*SWEEP, *sandbox.arguments])
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 3
    assert list(sandbox.parents()) == [sweep.id]
    pd.testing.assert_frame_equal(sweep.runs(), sandbox.children())
    assert sweep.name == " ".join([*SWEEP, *sandbox.arguments])
    assert sweep.id in repr(sweep)

    table, runs = sweep.table().set_index("technique"), sweep.runs()
    assert set(table["metric"]) == {"test/accuracy"}
    for technique in ("none", "l1", "dropout"):
        own = runs[runs["technique"] == technique]
        scores = own[column("test/accuracy")].to_numpy()
        assert table.loc[technique, "mean"] == pytest.approx(np.mean(scores), rel=1e-12)
        assert table.loc[technique, "std"] == pytest.approx(np.std(scores, ddof=1), rel=1e-12)
    by_loss = sweep.table("test/loss").set_index("technique")
    none = runs[runs["technique"] == "none"]
    assert by_loss.loc["none", "mean"] == pytest.approx(none[column("test/loss")].mean())

    html = sweep._repr_html_()
    assert f"6 of 6 runs finished ({sweep.id})" in html
    assert html.count("<tr>") == len(table)
    assert all(f"<td>{technique}</td>" in html for technique in table.index)

    again = regexp.open_sweep(sweep.id, mlruns=sandbox.store)
    assert again.best == sweep.best
    pd.testing.assert_frame_equal(again.table(), sweep.table())


def test_the_best_is_chosen_on_validation_rows(sandbox: Sandbox) -> None:
    sweep = regexp.sweep([*SWEEP, *sandbox.arguments], quiet=True)
    runs = sweep.runs()
    score = column("final/val_accuracy")
    means = runs.groupby("technique")[score].mean()
    winners = runs[runs["technique"].isin(means.index[means == means.max()])]
    [best] = runs.index[runs["run_id"] == sweep.best]
    assert best in winners.index
    own = winners[winners["technique"] == runs.loc[best, "technique"]]
    assert runs.loc[best, score] == own[score].max()


def test_figures_are_matplotlibs(sandbox: Sandbox) -> None:
    sweep = regexp.sweep([*SWEEP, *sandbox.arguments], quiet=True)
    assert {"forest_digits", "cost_digits", "overfitting_digits"} <= set(sweep.figures)
    forest = sweep.figure("forest")
    labels = [text.get_text() for axes in forest.axes for text in axes.get_yticklabels()]
    assert {"l1", "dropout"} <= {label.strip() for label in labels}
    with pytest.raises(ConfigError) as wrong:
        sweep.figure("florest")
    assert all(name in str(wrong.value) for name in sweep.figures)


def test_nothing_is_printed_where_that_is_asked(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    regexp.sweep(["regularizer=l1", *SMALL, *sandbox.arguments], quiet=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("regularizer=l1", "expected a list of overrides, got one text"),
        (["regularizer=l2,l1", 5], "expected texts key=value, got 5"),
        (["--help"], "options are for the command line"),
        (["-m", "seeds=2"], "options are for the command line"),
        (["dry_run=true"], "dry_run=true: a plan is printed by the command alone"),
        (["seeeds=2"], "seeeds: there is no such key. Did you mean seeds?"),
        (["compare"], "compare: expected key=value"),
        (["trainer.batch_size=5000"], "expected at most the"),
        (["tracking.uri=/tmp/somewhere"], "is a folder"),
    ],
)
def test_mistakes_are_exceptions_and_nothing_is_written(
    overrides: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, TrackingError), match=message):
        regexp.sweep(overrides)
    assert not list(tmp_path.glob("*/artifacts"))
    assert not list(tmp_path.glob("*/hydra"))


def test_ids_that_are_none(sandbox: Sandbox) -> None:
    sweep = regexp.sweep(["regularizer=l1", *SMALL, *sandbox.arguments], quiet=True)
    run_id = sweep.runs()["run_id"][0]
    with pytest.raises(ConfigError, match=f"{run_id} is a run, not a sweep; its sweep is"):
        regexp.open_sweep(run_id, mlruns=sandbox.store)
    with pytest.raises(TrackingError, match="there is no run nobody in"):
        regexp.open_sweep("nobody", mlruns=sandbox.store)
    with pytest.raises(TrackingError, match="there is no store of runs at"):
        regexp.open_sweep(sweep.id, mlruns=sandbox.folder / "none")


def test_a_run_that_fails_is_warned_of(sandbox: Sandbox) -> None:
    with pytest.warns(RuntimeWarning, match="something of the sweep failed"):
        sweep = regexp.sweep(
            ["optimizer.lr=0.01,1e30", "seeds=1", *SMALL[:-1], *sandbox.arguments], quiet=True
        )
    assert sorted(sweep.runs()["status"]) == ["FAILED", "FINISHED"]
    assert "1 of 2 runs finished" in sweep._repr_html_()


def test_a_sweep_without_a_finished_run_has_no_best(sandbox: Sandbox) -> None:
    with pytest.warns(RuntimeWarning):
        sweep = regexp.sweep(["optimizer.lr=1e30", *SMALL, *sandbox.arguments], quiet=True)
    with pytest.raises(ConfigError, match="no run of the sweep has finished"):
        _ = sweep.best
    assert "0 of 2 runs finished" in sweep._repr_html_()


def test_ctrl_c_is_an_exception_and_the_same_call_goes_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = Tracker.start

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        start(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGINT)

    command = [*SWEEP, *sandbox.arguments]
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            regexp.sweep(command)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "Interrupted. The same command again goes on from here." in capsys.readouterr().out
    assert set(regexp.sweep(command, quiet=True).runs()["status"]) == {"FINISHED"}


def test_within_an_event_loop_and_in_a_thread(sandbox: Sandbox) -> None:
    """A notebook's cells run inside of a loop; some of its front ends run them in threads."""
    command = ["regularizer=l1", *SMALL, *sandbox.arguments]

    async def cell() -> regexp.Sweep:
        return regexp.sweep(command, quiet=True)

    first = asyncio.run(cell())
    made: list[regexp.Sweep] = []
    thread = threading.Thread(target=lambda: made.append(regexp.sweep(command, quiet=True)))
    thread.start()
    thread.join()
    assert [sweep.id for sweep in made] == [first.id]


def test_a_callers_hydra_and_logging_are_left_as_they_were(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("x: 1\n")
    root, handler = logging.getLogger(), logging.StreamHandler(io.StringIO())
    root.addHandler(handler)
    try:
        handlers, level = list(root.handlers), root.level
        with hydra.initialize_config_dir(str(tmp_path / "mine"), version_base="1.2"):
            for technique in ("l1", "l2"):
                sweep = regexp.sweep(
                    [f"regularizer={technique}", *SMALL, *sandbox.arguments], quiet=True
                )
                assert set(sweep.runs()["technique"]) == {technique}
            assert OmegaConf.to_container(hydra.compose("config", ["x=2"])) == {"x": 2}
        assert GlobalHydra.instance().hydra is None
        assert (list(root.handlers), root.level) == (handlers, level)
    finally:
        root.removeHandler(handler)
