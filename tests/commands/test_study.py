"""`regexp study`: an experiment, run and written up."""

import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from regexp.commands.study import Cost, worth_keeping
from regexp.compare.figures import Picture
from tests.sandbox import SMALL, Sandbox

CLAIM = (
    "study.claims={l1_is_better: {paper: 'l1 90%, none 80% (Table 1)', metric: test/accuracy, "
    "arm: {regularizer: l1}, against: {regularizer: none}, expected: higher}}"
)
ARGUMENTS = ("study", "digits_mlp", "regularizer=none,l1", *SMALL, "trainer.batch_size=32", CLAIM)


def test_a_study_is_run_and_written_up(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sandbox.folder / "experiments" / "digits_mlp"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "old.png").touch()
    sandbox.arguments.remove("figures=false")
    assert sandbox.run(*ARGUMENTS) == 0
    printed = capsys.readouterr().out
    assert "The study is written up: experiments/digits_mlp/README.md" in printed
    assert "  paper: l1 90%, none 80% (Table 1)\n  ours:  test/accuracy: " in printed

    results = pd.read_csv(folder / "results.csv").set_index("technique")
    runs = sandbox.children()
    l1 = runs[runs["technique"] == "l1"]
    assert results.loc["l1", "mean"] == pytest.approx(l1["metrics.test/accuracy"].mean())

    written = (folder / "README.md").read_text(encoding="utf-8")
    assert written.startswith("# digits_mlp\n\n**Question.** Which technique helps")
    assert "regexp study digits_mlp regularizer=none,l1" in written
    assert str(sandbox.store) not in written, "a folder of this machine"
    assert "4 runs:" in written
    [answer] = re.findall(r"^\*\*Answer\.\*\* (.*)$", written, re.MULTILINE)
    assert " l1 is not shown to help. l1: " in answer  # of two seeds
    assert "| l1 |" in written
    assert "| l1 is better | l1 90%, none 80% (Table 1) | test/accuracy: " in written
    assert "it takes 3 seeds or more" in written
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert "forest_digits.png" in figures
    assert "old.png" not in figures
    with Image.open(folder / "figures" / "forest_digits.png") as image:
        assert image.mode == "P"
    for name in figures:
        assert f"](figures/{name})" in written

    [parent] = sandbox.parents()
    with sandbox.tracker() as tracker:
        first = float(tracker.client.get_run(parent).data.tags["wall_seconds"])
    assert sandbox.run(*ARGUMENTS, "figures=false") == 0  # nothing is run again
    with sandbox.tracker() as tracker:
        assert float(tracker.client.get_run(parent).data.tags["wall_seconds"]) > first
    assert len(sandbox.children()) == 4
    assert not (folder / "figures").exists()


def test_a_dry_run_trains_and_writes_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = sandbox.folder / "experiments" / "digits_mlp" / "README.md"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    assert sandbox.run(*ARGUMENTS, "dry_run=true") == 0
    assert "Nothing was written" in capsys.readouterr().out
    assert kept.read_text() == "kept"
    assert [path.name for path in kept.parent.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected as its first word the name of an experiment"),
        (["seeds=3", "wine_mlp"], "got seeds=3"),
        (["wine_mlp", "digits_mlp"], "digits_mlp: expected key=value"),
        (["wine_mpl"], "wine_mlp"),
    ],
)
def test_what_is_no_study_is_told(
    arguments: list[str], words: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("study", *arguments) == 2
    assert words in capsys.readouterr().err
    assert not Path("experiments").exists()


@pytest.mark.parametrize("name", ["README.md", "results.csv"])
def test_what_is_no_study_of_ours_is_not_written_over(
    name: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sandbox.folder / "experiments" / "digits_mlp"
    (folder / "figures").mkdir(parents=True)
    (folder / name).write_text("mine")
    (folder / "figures" / "mine.txt").write_text("mine")
    assert sandbox.run(*ARGUMENTS) == 2
    told = capsys.readouterr().err
    assert f"{name}: no study wrote it" in told
    assert "--overwrite" in told
    assert (folder / name).read_text() == "mine"
    assert not sandbox.parents()
    for _ in range(2):  # the second time it is a study's
        assert sandbox.run(*ARGUMENTS, *(["--overwrite"] if name in told else [])) == 0
        told = ""
    assert (folder / "README.md").read_text().startswith("# digits_mlp")
    assert (folder / "figures" / "mine.txt").read_text() == "mine"


def test_of_many_datasets_and_settings_the_pictures_that_sum_up_are_kept() -> None:
    kinds = ("heat_map", "settings", "forest", "weights", "reliability")
    pictures = [Picture(f"{kind}_a", "", "", b"", "", kind) for kind in kinds]
    assert worth_keeping(pictures, 1) == pictures
    kept = [picture.name for picture in worth_keeping(pictures, 6)]
    assert kept == ["heat_map_a", "settings_a", "forest_a"]


def test_cost_in_words() -> None:
    on = {"processor": "A CPU", "torch": "2.13.0"}
    assert str(Cost(59.7, on, 2)) == "60 seconds on 2 cores (A CPU, torch 2.13.0)"
    assert str(Cost(600, on, 4)) == "10 minutes on 4 cores (A CPU, torch 2.13.0)"
