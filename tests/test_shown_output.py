"""The output that README.md and the docs show is what the commands print.

The docs include docs/outputs/; README.md has a part of it. Where a command prints something else
now, write its output to the file there, and the part into README.md.
"""

import re
import shutil
from pathlib import Path

import pytest

from regexp.__main__ import run
from tests.shown import ROOT, blocks, commands

README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTPUTS = ROOT / "docs" / "outputs"

# Another at each time: ids, where the runs lie, seconds, and the relative time of a technique.
VOLATILE = re.compile(r"\b[0-9a-f]{32}\b|http://\S+/experiments/\d+|\d+\.\d s\b|×\d+\.\d\d")
NUMBER = re.compile(r"[-+]?\d+\.\d+")


def recorded(name: str) -> str:
    return (OUTPUTS / name).read_text(encoding="utf-8")


def words(text: str) -> list[str]:
    return NUMBER.sub("NUMBER", VOLATILE.sub("VOLATILE", text)).split()


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(VOLATILE.sub("", text))]


def test_the_readme_shows_a_part_of_the_recorded_output() -> None:
    [table] = blocks(README, "text")[:1]
    assert table.startswith("dataset: digits\n")
    assert table in recorded("first_sweep.txt")


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
    printed, shown = capsys.readouterr().out, recorded("first_sweep.txt")
    assert words(printed) == words(shown)
    # the same to the bit on one machine; on another, rounding may turn a few of 3,600 test rows
    assert numbers(printed) == pytest.approx(numbers(shown), abs=0.01)
