"""Print a comparison table: in a terminal, into a pipe, as Markdown."""

import math
import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    import pandas as pd


# The columns of names; all others hold numbers.
TEXTS = ("dataset", "setting", "technique")
GAP = 2


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
            file.write(f"{name}: {values[0]}\n")
    head, *rows = cells(table)
    show_columns(head, rows, texts=TEXTS, file=file, bold=best_row(table))


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
    return re.split(r"(?<=[ ,=+_/])|(?<=\.)(?=[a-z])", cell)


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


def markdown(table: "pd.DataFrame") -> str:
    """Write the table in Markdown; the best mean in bold."""
    head, *rows = cells(table)
    best = best_row(table)
    texts = _texts(head)
    lines = [head, ["---" if column < texts else "---:" for column in range(len(head))]]
    for index, row in enumerate(rows):
        escaped = [cell.replace("|", "\\|") for cell in row]
        if index == best:
            escaped[texts + 1] = f"**{escaped[texts + 1]}**"
        lines.append(escaped)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


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
        "vs none",
        "val/loss",
        "epochs",
        "s",
    ]
    rows = []
    for _, row in table.iterrows():
        rows.append(
            [
                *(str(row[name]) for name in named),
                row["label"],
                f"{row['finished']}/{row['runs']}",
                _number(row["mean"], ".4f"),
                _number(row["std"], ".4f"),
                _difference(row),
                _number(row["validation_loss"], ".4f"),
                _number(row["epochs"], ".1f"),
                _number(row["seconds"], ".1f"),
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
    if row["technique"] == "none":
        return "-"
    written = _number(row["difference"], "+.4f")
    if 0 < row["pairs"] < row["finished"]:
        written += f" ({row['pairs']} pair{'s' if row['pairs'] != 1 else ''})"
    return written


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _texts(head: list[str]) -> int:
    """Number of leading columns that hold names."""
    return head.index("technique") + 1
