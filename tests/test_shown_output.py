"""The output that README.md and the docs show is what the commands print.

The docs include docs/outputs/; README.md has a part of it. Where a command prints something else
now, write its output to the file there, and the part into README.md.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from regexp.__main__ import run
from tests import processes
from tests.sandbox import Sandbox
from tests.shown import ROOT, assert_alike, blocks, commands

README = (ROOT / "README.md").read_text(encoding="utf-8")


def assert_shown(printed: str, name: str) -> None:
    """`assert_alike` the recorded output of that name."""
    assert_alike(printed, (ROOT / "docs" / "outputs" / name).read_text(encoding="utf-8"))


def test_the_readme_shows_a_part_of_the_recorded_output() -> None:
    [table] = blocks(README, "text")[:1]
    assert table.startswith("dataset: digits\n")
    assert table in (ROOT / "docs" / "outputs" / "first_sweep.txt").read_text(encoding="utf-8")


def test_the_conflict_is_said_as_shown(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    concepts = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    [message] = blocks(concepts, "text")
    assert sandbox.run("regularizer=[ema,swa]") == 2
    assert capsys.readouterr().err.split() == message.split()


@pytest.mark.slow
def test_the_first_sweep_prints_what_is_shown(
    tmp_path: Path,
    empty_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    command = next(words for words in commands(README) if words[0] == "regexp")
    assert run([*command[1:], "figures=false"]) == 0
    assert_shown(capsys.readouterr().out, "first_sweep.txt")


@pytest.mark.slow
def test_a_rerun_on_other_data_prints_what_is_shown(sandbox: Sandbox) -> None:
    measures = np.random.default_rng(0).normal(size=(200, 5))
    kinds = ["kidney" if row[0] > row[1] else "pinto" for row in measures]
    lines = ["length,width,weight,colour,shine,kind"]
    lines += [f"{','.join(map('{:.3f}'.format, row))},{kind}"
              for row, kind in zip(measures, kinds, strict=True)]  # fmt: skip
    Path("beans.csv").write_text("\n".join(lines))
    # in processes of their own: modules of other tests would be told as code that differs
    table = ("dataset=table", "dataset.path=beans.csv", "dataset.target=kind")
    short = ("regularizer=l1", "seeds=2", "trainer.epochs=10")
    status, printed = processes.regexp(*table, *short, *sandbox.arguments).end()
    assert status == 0, printed
    lines[20] = "9,9,9,9,9,kidney"
    Path("beans.csv").write_text("\n".join(lines))
    runs = sandbox.children().set_index("seed")
    rerun = processes.regexp("rerun", runs.loc[1, "run_id"], sandbox.arguments[0])
    status, printed = rerun.end()
    assert status == 1, printed
    assert_shown(printed, "rerun.txt")
