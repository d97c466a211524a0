import io
from collections.abc import Callable

import pandas as pd
import pytest

from regexp.compare import markdown, show, table

MakeRuns = Callable[..., pd.DataFrame]


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
        "technique   runs  test/accuracy mean     std  difference to none  val/loss  epochs"
        "  seconds\n"
        "none         2/2              0.8500  0.0707                   -    0.5000    10.0"
        "      2.0\n"
        "l1 (a|b=1)   2/3              0.9200  0.0283   +0.1000 (1 pairs)    0.5000    10.0"
        "      2.0\n"
        "sam          0/1                   -       -                   -         -       -"
        "        -\n"
    )


def test_terminal_gets_the_same_numbers(
    compared: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    file = Terminal()
    show(compared, file)
    for cell in ("l1 (a|b=1)", "0.9200", "+0.1000 (1 pairs)", "2/3"):
        assert cell in file.getvalue()


def test_name_in_brackets_is_no_markup(
    make_runs: MakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    file = Terminal()
    show(table(make_runs([{"technique": "[bold]", "seed": 0, "score": 0.8}])), file)
    assert "[bold]" in file.getvalue()


def test_markdown_marks_the_best_and_escapes(compared: pd.DataFrame) -> None:
    lines = markdown(compared).splitlines()
    assert lines[0].startswith("| technique | runs | test/accuracy mean | std |")
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
    assert file.getvalue().startswith("technique")
    assert len(markdown(compared.iloc[:0]).splitlines()) == 2
