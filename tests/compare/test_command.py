"""`regexp compare`, on sweeps in a real store."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from regexp.__main__ import run
from regexp.tracking import Tracker

EXPERIMENT = "somebody's experiment"
GAINS = {"none": 0.0, "l1": 0.1, "l2": 0.0}


def record(tracker: Tracker, key: str, *, dataset: str = "digits", status: str = "FINISHED") -> str:
    """A sweep of three techniques and three seeds."""
    sweep = tracker.sweep(key, f"the sweep {key}", {})
    for technique, gain in GAINS.items():
        for seed in range(3):
            child = tracker.start(
                sweep.id,
                name=f"{technique} {seed}",
                fingerprint=f"{key} {technique} {seed}",
                params={},
                tags={"technique": technique, "seed": seed, "dataset": dataset, "split": "shared"},
                artifacts={},
                dataset={"name": dataset},
            )
            child.metrics({"train/loss": 1.0, "val/loss": 2.0}, 1)
            child.summary({"test/accuracy": 0.5 + gain + seed / 100 + gain * seed**2 / 100})
            child.finish(status)  # type: ignore[arg-type]
    sweep.finish()
    return sweep.id


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("store") / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="module")
def sweeps(store: Path) -> list[str]:
    """Two sweeps of other data, and one that failed."""
    with Tracker(None, EXPERIMENT, store) as tracker:
        return [
            record(tracker, "one"),
            record(tracker, "two", dataset="wine"),
            record(tracker, "failed", status="FAILED"),
        ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def give(store: Path, *arguments: str) -> int:
    return run(["compare", *arguments, f"paths.mlruns={store}", "figures=false"])


def test_a_sweep_is_written_and_recorded(
    store: Path, sweeps: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert give(store, sweeps[0]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^l1 +3/3 +0\.6117 .* helps", printed, re.MULTILINE)
    assert printed.splitlines()[-2:] == [
        f"The comparison: comparison/{sweeps[0][:8]}/comparison.html",
        f"Recorded in MLflow with the sweep ({sweeps[0]}).",
    ]
    names = {path.name for path in (folder / "comparison" / sweeps[0][:8]).iterdir()}
    assert names == {"comparison.csv", "comparison.html", "comparison.md"}
    with Tracker(None, EXPERIMENT, store) as tracker:
        parent = tracker.client.get_run(sweeps[0])
        assert parent.info.status == "FINISHED"
        note = parent.data.tags["mlflow.note.content"]
        assert note.startswith("Use l1: it helps on this split, ")
        assert "reason" not in parent.data.tags
        kept = Path(tracker.client.download_artifacts(sweeps[0], "comparison"))
        assert {path.name for path in kept.iterdir()} == names
        experiments = {one.name for one in tracker.client.search_experiments()}
    assert experiments == {"Default", EXPERIMENT}


def test_several_sweeps_go_to_the_folder_alone(
    store: Path, sweeps: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert give(store, *sweeps[:2], "--folder", "out/both", "--metric", "test/accuracy") == 0
    printed = capsys.readouterr().out
    assert "Recorded" not in printed
    saved = pd.read_csv(folder / "out" / "both" / "comparison.csv")
    assert saved["dataset"].unique().tolist() == ["digits", "wine"]
    text = (folder / "out" / "both" / "comparison.md").read_text()
    assert "## Across datasets" in text
    assert f"regexp compare {sweeps[0]} {sweeps[1]}" in text


def test_a_sweep_may_be_left_as_it_is(
    store: Path, sweeps: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert give(store, sweeps[1], "--no-record") == 0
    assert "Recorded" not in capsys.readouterr().out
    with Tracker(None, EXPERIMENT, store) as tracker:
        assert "mlflow.note.content" not in tracker.client.get_run(sweeps[1]).data.tags


def test_pictures_are_drawn(store: Path, sweeps: list[str], folder: Path) -> None:
    arguments = ["compare", sweeps[0], "--no-record", f"paths.mlruns={store}"]
    assert run(arguments) == 0
    made = folder / "comparison" / sweeps[0][:8]
    names = {path.name for path in (made / "figures").iterdir()}
    assert "forest_digits.png" in names
    assert "<figure>" in (made / "comparison.html").read_text()


def test_a_folder_never_loses_the_comparison_of_other_sweeps(
    store: Path, sweeps: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sweep_id in sweeps[:2]:  # each has its own by default
        assert give(store, sweep_id) == 0
    assert len(list((folder / "comparison").iterdir())) == 2
    page = folder / "mine" / "comparison.html"
    assert give(store, sweeps[0], "--folder", "mine") == 0
    first = page.read_bytes()
    capsys.readouterr()
    for others in ([sweeps[1]], sweeps[:2]):
        assert give(store, *others, "--folder", "mine") == 2
        told = capsys.readouterr().err
        assert f"it holds the comparison of other sweeps ({sweeps[0]})" in told
        assert "--overwrite" in told
        assert page.read_bytes() == first
    assert give(store, sweeps[0], "--folder", "mine", "--metric", "train/loss") == 0  # its own
    assert give(store, sweeps[1], "--folder", "mine", "--overwrite") == 0
    assert sweeps[1] in page.read_text()
    assert sweeps[0] not in page.read_text()
    page.write_text("a page of an earlier version, which does not tell of which sweeps it is")
    assert give(store, sweeps[1], "--folder", "mine") == 2


def test_another_baseline_is_named_in_every_word(
    store: Path, sweeps: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert give(store, sweeps[0], "--baseline", "l1", "--folder", "l1") == 0
    printed = capsys.readouterr().out
    assert "vs l1" in printed
    saved = pd.read_csv(folder / "l1" / "comparison.csv").set_index("label")
    assert saved.loc["l1", "outcome"] == "baseline"
    # the score of l1 is above that of none by 0.1 + seed^2 / 1000
    expected = -(0.1 + (0 + 1 + 4) / 3 / 1000)
    assert saved.loc["none", "difference"] == pytest.approx(expected)
    text = (folder / "l1" / "comparison.md").read_text()
    assert "Every technique is compared with l1 at equal seeds" in text
    assert "with none" not in text
    assert "of none" not in text
    assert f"regexp compare {sweeps[0]} --metric test/accuracy --baseline l1" in text


def test_a_store_that_takes_nothing_costs_no_comparison(
    store: Path,
    sweeps: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from regexp.tracking import TrackingError

    def refuse(*args: object, **options: object) -> None:
        raise TrackingError("read-only")

    monkeypatch.setattr("regexp.tracking.Tracker", refuse)
    assert give(store, sweeps[0]) == 0
    printed = capsys.readouterr()
    assert printed.err == "It is not recorded in MLflow: read-only\n"
    assert (folder / "comparison" / sweeps[0][:8] / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "regexp compare: expected SWEEP_ID; see regexp compare --help"),
        (["{one}", "--metric", "test/acuracy"], r"--metric=test/acuracy: no finished run has it\. "
         r"Did you mean test/accuracy\?"),
        (["{one}", "--baseline", "l3"], "--baseline=l3: no run has it. Valid: l1, l2, none"),
        (["{one}", "--factor", "optimizer"], "--factor=optimizer: no run has it; expected what "),
        (["{one}", "--factor", "dataset"], "--factor=dataset: techniques are compared on each "),
        (["{one}", "--folder", "taken"], r"--folder taken: cannot be written \(.*\)"),
        (["{one}", "--folder", "taken/deep"], r"--folder taken/deep: cannot be written \(.*\)"),
        (["{one}", "--fodler", "x"], "unrecognized arguments: --fodler.*; see regexp compare"),
        (["{one}", "seeds=3"], "seeds=3: what is compared has been trained, so that only .*"),
        (["0" * 32], f"there is no run {'0' * 32} in .*"),
        (["no-such-id"], "there is no run no-such-id in .*"),
        (["{run}"], r"{run} is a run, not a sweep; its sweep is {one}: regexp compare {one}"),
        (["{failed}"], r"no run of the sweep {failed} has finished yet \(9 FAILED\)"),
        (["{one}", "{run}"], "{run} is a run, not a sweep.*"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_message(
    store: Path,
    sweeps: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with Tracker(None, EXPERIMENT, store) as tracker:
        child = str(tracker.runs(sweeps[0])["run_id"].iloc[0])
    ids = {"one": sweeps[0], "failed": sweeps[2], "run": child}
    (folder / "taken").write_text("a file")
    given = [argument.format(**ids) for argument in arguments]
    capsys.readouterr()
    assert give(store, *given) == 2
    printed = capsys.readouterr()
    assert re.search(message.format(**ids), printed.err), printed.err
    assert len(printed.err.strip().splitlines()) <= 2
    assert {path.name for path in folder.iterdir()} == {"taken"}


def test_no_store_is_no_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "0" * 32, "paths.mlruns=nowhere"]) == 2
    assert "there is no store of runs at" in capsys.readouterr().err
    assert not list(folder.iterdir())
