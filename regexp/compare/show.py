"""Print a comparison table: in a terminal, or into a pipe."""

import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from regexp.compare import tables
from regexp.compare.baseline import FAMILY
from regexp.compare.comparison import Comparison
from regexp.errors import printable

if TYPE_CHECKING:
    import pandas as pd

GAP = 2

SPARE = ("epochs", "p (Holm)", "std", "time", "P(helps)")
"""Columns that a terminal does without if it is too narrow, the first of them first."""


def show(comparison: Comparison, file: TextIO | None = None) -> None:
    """Print a comparison's table, under the dataset and setting that its rows share.

    Args:
        comparison: from `compare.compare`.
        file: standard output if None.
    """
    file = file or sys.stdout
    rows, metric = comparison.shown, comparison.metric
    for name in FAMILY:
        values = rows[name].unique()
        if len(values) == 1 and values[0]:
            file.write(f"{name}: {printable(str(values[0]))}\n")
    columns = tables.terminal_columns(rows, metric, comparison.against, comparison.spending.level)
    spared = _spared(columns, file)
    kept = [column for column in columns if column.title not in spared]
    show_columns(
        [column.title for column in kept],
        list(zip(*(column.cells for column in kept), strict=True)),
        texts=[column.title for column in kept if column.words],
        file=file,
        bold=best_row(comparison.table, lower_is_better=metric.lower_is_better),
    )
    if spared:
        file.write(f"(left out of this narrow terminal: {', '.join(spared)})\n")


def best_row(rows: "pd.DataFrame", *, lower_is_better: bool) -> int | None:
    """Position of the best mean, at the baseline's seeds; None when several datasets share the
    table, or none has one.
    """
    means = rows["adjusted_mean"]
    if means.isna().all() or rows[FAMILY].drop_duplicates().shape[0] != 1:
        return None
    return int(means.argmin() if lower_is_better else means.argmax())


def _spared(columns: Sequence[tables.Column], file: TextIO) -> list[str]:
    """Titles of columns without which the table fits into a terminal."""
    from rich.cells import cell_len
    from rich.console import Console

    if not file.isatty():
        return []
    room = Console(file=file).width
    left = {column.title: column for column in columns}
    spared: list[str] = []
    for title in [None, *(spare for spare in SPARE if spare in left)]:
        if title:
            spared.append(title)
            del left[title]
        cells = [[column.title, *column.cells] for column in left.values()]
        folded = fit(cells, [column.words for column in left.values()], room)
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
    Console(file=file, width=room, height=25, force_jupyter=False).print(printed)


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
