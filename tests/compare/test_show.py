import io
import re
from collections.abc import Callable

import pandas as pd
import pytest

from regexp.compare import markdown, show, table

MakeRuns = Callable[..., pd.DataFrame]
COCKTAIL = "l1+dropout+batch_norm+early_stopping+label_smoothing"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def compared(make_runs: MakeRuns) -> pd.DataFrame:
    return table(
        make_runs(
            [
                {"technique": "none", "seed": 0, "score": 0.8},
                {"technique": "none", "seed": 1, "score": 0.9},
                {"technique": "l1", "seed": 0, "score": 0.9, "variant": "a|b=1"},
                {"technique": "l1", "seed": 1, "status": "FAILED", "variant": "a|b=1"},
                {"technique": "l1", "seed": 2, "score": 0.94, "variant": "a|b=1"},
                {"technique": "sam", "seed": 0, "status": "FAILED"},
            ]
        )
    )


def test_plain_table_is_aligned(compared: pd.DataFrame) -> None:
    file = io.StringIO()
    show(compared, file)
    assert file.getvalue() == (
        "dataset: digits\n"
        "technique   runs  test/accuracy     std           vs none  val/loss  epochs    s\n"
        "none         2/2         0.8500  0.0707                 -    0.5000    10.0  2.0\n"
        "l1 (a|b=1)   2/3         0.9200  0.0283  +0.1000 (1 pair)    0.5000    10.0  2.0\n"
        "sam          0/1              -       -                 -         -       -    -\n"
    )


def test_terminal_gets_the_same_numbers(
    compared: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    file = Terminal()
    show(compared, file)
    for cell in ("l1 (a|b=1)", "0.9200", "+0.1000 (1 pair)", "2/3"):
        assert cell in file.getvalue()


@pytest.fixture
def wide(make_runs: MakeRuns) -> pd.DataFrame:
    """Long names in every column of names."""
    rows = []
    for number, technique in enumerate(("none", COCKTAIL)):
        for optimizer in ("adam", "rmsprop"):
            for seed in range(2):
                row = {"technique": technique, "setting": f"optimizer={optimizer}", "seed": seed}
                rows.append({**row, "score": 0.123 + number / 10 + seed / 100})
    return table(make_runs(rows))


@pytest.mark.parametrize("columns", [20, 80, 120])
@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_nothing_is_cut_in_a_terminal(
    wide: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, columns: int, kind: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    show(wide, file)
    printed = re.sub(r"\x1b\[\d*m", "", file.getvalue())
    for number in ("0.1280", "0.2280", "0.0071", "+0.1000", "0.5000", "10.0", "2.0", "2/2"):
        assert printed.count(number) >= 2
    for part in re.split(r"(?<=[+_])", COCKTAIL):
        assert printed.count(part) >= 2
    assert "…" not in printed
    if columns >= 80:
        assert max(map(len, printed.splitlines())) <= columns


def test_lines_of_a_pipe_are_as_long_as_they_must_be(
    wide: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    file = io.StringIO()
    show(wide, file)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2 + 4
    assert lines[-1].split()[:2] == ["optimizer=rmsprop", COCKTAIL]


def test_columns_that_say_nothing_are_left_out(make_runs: MakeRuns) -> None:
    file = io.StringIO()
    show(table(make_runs([{"technique": "none", "seed": 0, "score": 0.8}])), file)
    assert file.getvalue().splitlines()[1].split() == [
        *("technique", "runs", "test/accuracy", "val/loss", "epochs", "s")
    ]


def test_shared_setting_stands_above(make_runs: MakeRuns) -> None:
    file = io.StringIO()
    runs = make_runs([{"technique": "l1", "seed": 0, "score": 0.8, "setting": "model=cnn"}])
    show(table(runs), file)
    assert file.getvalue().splitlines()[:2] == ["dataset: digits", "setting: model=cnn"]


def test_name_in_brackets_is_no_markup(
    make_runs: MakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    file = Terminal()
    show(table(make_runs([{"technique": "[bold]", "seed": 0, "score": 0.8}])), file)
    assert "[bold]" in file.getvalue()


def test_markdown_marks_the_best_and_escapes(compared: pd.DataFrame) -> None:
    lines = markdown(compared).splitlines()
    assert lines[0].startswith("| technique | runs | test/accuracy | std |")
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert "| l1 (a\\|b=1) | 2/3 | **0.9200** |" in lines[3]
    assert "**" not in lines[2]


def test_datasets_are_shown_when_there_are_several_and_none_is_best(make_runs: MakeRuns) -> None:
    compared = table(
        make_runs(
            [
                {"technique": "none", "seed": 0, "score": 0.8},
                {"technique": "none", "seed": 0, "score": 0.9, "dataset": "wine"},
            ]
        )
    )
    assert markdown(compared).startswith("| dataset | technique |")
    assert "**" not in markdown(compared)
    file = io.StringIO()
    show(compared, file)
    assert file.getvalue().splitlines()[2].split()[:3] == ["wine", "none", "1/1"]


def test_empty_table_shows_its_head(compared: pd.DataFrame) -> None:
    file = io.StringIO()
    show(compared.iloc[:0], file)
    assert file.getvalue().split()[:3] == ["technique", "runs", "test/accuracy"]
    assert len(markdown(compared.iloc[:0]).splitlines()) == 2
