import io
import math
import re
from typing import Any

import numpy as np
import pytest

from regexp.compare import Comparison, show
from regexp.tracking.query import frame
from tests.compare.sources import compared, make_runs, scored

COCKTAIL = "l1+dropout+batch_norm+early_stopping+label_smoothing"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(*rows: dict[str, Any]) -> list[str]:
    """The lines that are printed of runs into a pipe."""
    file = io.StringIO()
    show(compared(make_runs(rows)), file)
    return file.getvalue().splitlines()


def test_plain_table_is_aligned() -> None:
    head, *lines = shown(
        {"technique": "none", "seed": 0, "score": 0.8},
        {"technique": "none", "seed": 1, "score": 0.9},
        {"technique": "l1", "seed": 0, "score": 0.9, "variant": "a|b=1"},
        {"technique": "l1", "seed": 1, "status": "FAILED", "variant": "a|b=1"},
        {"technique": "l1", "seed": 2, "score": 0.94, "variant": "a|b=1"},
        {"technique": "sam", "seed": 0, "status": "FAILED"},
    )
    assert head == "dataset: digits"
    assert [line.rstrip() for line in lines] == [
        "technique   runs  test/accuracy     std           vs none  verdict     epochs   time",
        "none         2/2         0.8500  0.0707                 -  -             10.0  ×1.00",
        "l1 (a|b=1)   2/3         0.9200  0.0283  +0.1000 (1 pair)  no verdict    10.0  ×1.00",
        "sam          0/1              -       -                 -  no verdict       -      -",
    ]


def test_verdicts_are_told_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    base = [0.80, 0.84, 0.79, 0.81, 0.83]
    gains = {"none": [0.0] * 5, "l1": [0.05, 0.04, 0.06, 0.05, 0.05], "l2": [0, 0.01, -0.01, 0, 0]}
    scores = {name: np.add(base, gained).tolist() for name, gained in gains.items()}
    comparison = compared(scored(scores, split="shared"))
    file = io.StringIO()
    show(comparison, file)
    lines = [re.split(r"\s{2,}", line.strip()) for line in file.getvalue().splitlines()[1:]]
    assert lines[0] == [
        "technique", "runs", "test/accuracy", "std", "vs none", "95% interval", "P(helps)",
        "p (Holm)", "verdict", "epochs", "time",
    ]  # fmt: skip
    row = comparison.table.iloc[1]
    low, high = math.floor(row["low"] * 1e4) / 1e4, math.ceil(row["high"] * 1e4) / 1e4
    assert lines[2][4:9] == [
        "+0.0500", f"{low:+.4f}, {high:+.4f}", "99%", "<0.001", "helps",
    ]  # fmt: skip
    assert lines[3][8] == "no evidence"
    monkeypatch.setenv("NO_COLOR", "1")
    spared = {100: "", 80: "epochs, p (Holm)"}
    for width, names in spared.items():
        left_out = f"(left out of this narrow terminal: {names})" if names else ""
        monkeypatch.setenv("COLUMNS", str(width))
        terminal = Terminal()
        show(comparison, terminal)
        printed = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
        assert ("left out" in printed) == bool(left_out)
        assert left_out in printed
        assert max(map(len, printed.splitlines())) <= width


@pytest.fixture
def wide() -> Comparison:
    """Long names in every column of names."""
    rows = []
    for number, technique in enumerate(("none", COCKTAIL)):
        for optimizer in ("adam", "rmsprop"):
            for seed in range(2):
                row = {"technique": technique, "setting": f"optimizer={optimizer}", "seed": seed}
                rows.append({**row, "score": 0.123 + number / 10 + seed / 100})
    return compared(make_runs(rows))


@pytest.mark.parametrize("columns", [20, 80, 120])
@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_nothing_is_cut_in_a_terminal(
    wide: Comparison, monkeypatch: pytest.MonkeyPatch, columns: int, kind: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("LINES", raising=False)  # rich heeds COLUMNS of a dumb terminal only with it
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    show(wide, file)
    printed = re.sub(r"\x1b\[\d*m", "", file.getvalue())
    numbers = ["0.1280", "0.2280", "+0.1000", "2/2"]
    if columns == 20 and kind == "xterm":
        assert "(left out of this narrow terminal: epochs, std, time)" in printed
    else:
        numbers += ["0.0071", "10.0", "×1.00"]
    for number in numbers:
        assert printed.count(number) >= 2
    for part in re.split(r"(?<=[+_])", COCKTAIL):
        assert printed.count(part) >= 2
    assert "…" not in printed
    if columns >= 80:
        assert max(map(len, printed.splitlines())) <= columns


def test_lines_of_a_pipe_are_as_long_as_they_must_be(
    wide: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    file = io.StringIO()
    show(wide, file)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2 + 4
    assert lines[-1].split()[:2] == ["optimizer=rmsprop", COCKTAIL]


@pytest.mark.parametrize(
    ("size", "scores", "interval"),
    [
        (1.0, ["0.9100", "0.8600"], r"-0\.0\d{3}, -0\.0\d{3}"),
        (1e-6, ["0.000000910", "0.000000860"], r"-0\.0{7}\d+, -0\.0{7}\d+"),
        (1e10, ["9.10e+9", "8.60e+9"], r"-\d\.\d\de\+8, -\d\.\d\de\+8"),
    ],
)
def test_numbers_have_digits_whatever_their_size(
    size: float, scores: list[str], interval: str
) -> None:
    base = np.array([0.90, 0.92, 0.91, 0.90, 0.92])
    gains = {"none": np.zeros(5), "l1": np.array([-0.05, -0.04, -0.06, -0.05, -0.05])}
    comparison = compared(scored({name: (size * (base + gain)).tolist()
                                  for name, gain in gains.items()}))  # fmt: skip
    file = io.StringIO()
    show(comparison, file)
    rows = [re.split(r"\s{2,}", line.strip()) for line in file.getvalue().splitlines()[2:4]]
    assert [row[2] for row in rows] == scores
    assert re.fullmatch(interval, rows[1][5])


def test_columns_that_say_nothing_are_left_out() -> None:
    assert shown({"technique": "none", "seed": 0, "score": 0.8})[1].split() == [
        *("technique", "runs", "test/accuracy", "epochs", "time")
    ]


def test_shared_setting_stands_above() -> None:
    lines = shown({"technique": "l1", "seed": 0, "score": 0.8, "setting": "model=cnn"})
    assert lines[:2] == ["dataset: digits", "setting: model=cnn"]


def test_name_in_brackets_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    file = Terminal()
    show(compared(make_runs([{"technique": "[bold]", "seed": 0, "score": 0.8}])), file)
    assert "[bold]" in file.getvalue()


def test_datasets_are_shown_when_there_are_several() -> None:
    row = {"technique": "none", "seed": 0, "score": 0.8}
    assert shown(row, row | {"dataset": "wine"})[2].split()[:3] == ["wine", "none", "1/1"]


def test_what_steers_a_terminal_is_shown() -> None:
    row = {"technique": "a\x1b[31m", "seed": 0, "score": 0.8, "dataset": "b\x07"}
    printed = "\n".join(shown(row))
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "a\\x1b[31m" in printed


def test_empty_table_shows_its_head() -> None:
    file = io.StringIO()
    show(compared(frame([])), file)
    assert file.getvalue().split()[:3] == ["technique", "runs", "test/accuracy"]
