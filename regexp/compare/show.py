"""Print a comparison table: in a terminal, or into a pipe."""

import math
import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from regexp.compare import written
from regexp.compare.table import BASELINE
from regexp.errors import printable

if TYPE_CHECKING:
    import pandas as pd


# The columns that begin on the left, and are broken where there is no room; all others hold
# numbers.
TEXTS = ("dataset", "setting", "technique", "95% interval", "outcome")
GAP = 2

SPARE = ("epochs", "time", "std", "p (Holm)")
"""Columns that a terminal does without if it is too narrow, the first of them first."""


def show(table: "pd.DataFrame", file: TextIO | None = None) -> None:
    """Print a table from `compare.table`, under the dataset and setting that its rows share.

    Args:
        table: from `compare.table`.
        file: standard output if None.
    """
    file = file or sys.stdout
    for name in ("dataset", "setting"):
        values = table[name].unique()
        if len(values) == 1 and values[0]:
            file.write(f"{name}: {printable(str(values[0]))}\n")
    head, *rows = cells(table)
    spared = _spared(head, rows, file)
    if spared:
        kept = [index for index, title in enumerate(head) if title not in spared]
        head, *rows = ([line[index] for index in kept] for line in [head, *rows])
    show_columns(head, rows, texts=TEXTS, file=file, bold=best_row(table))
    if spared:
        file.write(f"(left out of this narrow terminal: {', '.join(spared)})\n")


def _spared(head: Sequence[str], rows: Sequence[Sequence[str]], file: TextIO) -> list[str]:
    """Titles of columns without which the table fits into a terminal."""
    from rich.cells import cell_len
    from rich.console import Console

    if not file.isatty():
        return []
    room = Console(file=file).width
    columns = {title: [title, *column] for title, *column in zip(head, *rows, strict=True)}
    spared: list[str] = []
    for title in [None, *(one for one in SPARE if one in columns)]:
        if title:
            spared.append(title)
            del columns[title]
        folded = fit(list(columns.values()), [one in TEXTS for one in columns], room)
        lines = ((line for cell in column for line in cell.split("\n")) for column in folded)
        if sum(max(map(cell_len, each)) + GAP for each in lines) - GAP <= room:
            return spared
    return spared


def show_columns(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Collection[str],
    file: TextIO,
    bold: int | None = None,
) -> None:
    """Print columns; nothing is ever cut.

    Where a terminal is too narrow, names are broken into lines. Numbers never are: below some
    width lines become longer than the terminal, which then wraps them.

    Args:
        head: titles.
        rows: one cell a title.
        texts: titles of the columns of names; numbers are aligned on the right.
        file: where to.
        bold: position of a row to print in bold.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = [list(column) for column in zip(head, *rows, strict=True)]
    if file.isatty():
        columns = fit(columns, [title in texts for title in head], Console(file=file).width)
    printed = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for title, (folded, *_) in zip(head, columns, strict=True):
        justify: Literal["left", "right"] = "left" if title in texts else "right"
        # Text, because a name in brackets would be read as markup.
        printed.add_column(Text(folded), justify=justify, no_wrap=True)
    for index, row in enumerate(zip(*(column[1:] for column in columns), strict=True)):
        printed.add_row(*map(Text, row), style="bold" if index == bold else "")
    # Room for all: rich cuts what does not fit. (It heeds the width only with a height.)
    room = sum(max(map(cell_len, column)) + GAP for column in columns)
    Console(file=file, width=room, height=25).print(printed)


def fit(columns: Sequence[list[str]], texts: Sequence[bool], room: int) -> list[list[str]]:
    """Break cells into lines, for a table no wider than `room` as far as that is possible.

    Args:
        columns: their cells, the title first.
        texts: whether a column holds names; of numbers only the title is broken.
        room: characters in a line.
    """
    from rich.cells import cell_len

    widths, least = [], []
    for column, text in zip(columns, texts, strict=True):
        pieces = [piece for cell in (column if text else column[:1]) for piece in _pieces(cell)]
        widths.append(max(map(cell_len, column)))
        least.append(max(map(cell_len, (*map(str.rstrip, pieces), *(() if text else column[1:])))))
    room -= GAP * (len(columns) - 1)
    if sum(widths) > room:  # titles first: that costs a line of the table, not one of each row
        widths = [w if text else low for w, low, text in zip(widths, least, texts, strict=True)]
    while sum(widths) > room:
        shrinkable = [index for index, width in enumerate(widths) if width > least[index]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=lambda index: widths[index])] -= 1
    return [
        [_fold(cell, width) for cell in column]
        for column, width in zip(columns, widths, strict=True)
    ]


def _pieces(cell: str) -> list[str]:
    """A name in parts that stay whole: `l1+`, `dropout`; no number is broken."""
    return re.split(r"(?<=[ ,=_/])|(?<=\+)(?!\d)|(?<=\.)(?=[a-z])", cell)


def _fold(cell: str, width: int) -> str:
    """A cell in lines of at most `width` characters, unless one of its parts is longer."""
    from rich.cells import cell_len

    if cell_len(cell) <= width:
        return cell
    lines = [""]
    for piece in _pieces(cell):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def cells(table: "pd.DataFrame") -> list[list[str]]:
    """The table as text, its head first; columns that say nothing are left out."""
    metric = table.attrs.get("metric", "metric")
    named = [name for name in ("dataset", "setting") if table[name].nunique() > 1]
    head = [
        *named,
        "technique",
        "runs",
        metric,
        "std",
        f"vs {BASELINE}",
        "95% interval",
        "p (Holm)",
        "outcome",
        "epochs",
        "time",
    ]
    rows = []
    for _, row in table.iterrows():
        rows.append(
            [
                *(printable(str(row[name])) for name in named),
                printable(row["label"]),
                f"{row['finished']}/{row['runs']}",
                _number(row["mean"], ".4f"),
                _number(row["std"], ".4f"),
                _difference(row),
                _interval(row),
                "-" if math.isnan(row["p_holm"]) else written.p_value(row["p_holm"]),
                "-" if row["outcome"] == "baseline" else row["outcome"],
                _number(row["epochs"], ".1f"),
                _number(row["relative_seconds"], ".2f", "×"),
            ]
        )
    # such as the spread of a single seed
    silent = {
        title
        for title, *column in zip(head, *rows, strict=True)
        if title != metric and column and set(column) == {"-"}
    }
    return [
        [cell for title, cell in zip(head, row, strict=True) if title not in silent]
        for row in [head, *rows]
    ]


def best_row(table: "pd.DataFrame") -> int | None:
    """Position of the best mean; None when several datasets share the table, or none has one."""
    means = table["mean"]
    if means.isna().all() or table[["dataset", "setting"]].drop_duplicates().shape[0] != 1:
        return None
    return int(means.argmin() if table.attrs.get("lower_is_better") else means.argmax())


def _difference(row: "pd.Series") -> str:
    text = _number(row["difference"], "+.4f")
    if 0 < row["pairs"] < row["finished"]:
        text += f" ({row['pairs']} pair{'s' if row['pairs'] != 1 else ''})"
    return text


def _interval(row: "pd.Series") -> str:
    return "-" if math.isnan(row["low"]) else f"{row['low']:+.4f}, {row['high']:+.4f}"


def _number(value: float, form: str, before: str = "") -> str:
    return "-" if math.isnan(value) else before + format(value, form)
