"""Print a comparison table: in a terminal, plainly, as Markdown."""

import math
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import pandas as pd


def show(table: "pd.DataFrame", file: TextIO | None = None) -> None:
    """Print a table from `compare.table`; with lines and colours where a terminal reads it.

    Args:
        table: from `compare.table`.
        file: standard output if None.
    """
    file = file or sys.stdout
    head, *rows = cells(table)
    if not file.isatty():
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        for row in [head, *rows]:
            file.write("  ".join(_align(row, widths)).rstrip() + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    printed = Table(*[])
    for column, title in enumerate(head):
        printed.add_column(title, justify="left" if column < _texts(head) else "right")
    best = best_row(table)
    for index, row in enumerate(rows):
        # Text, because a name in brackets would be read as markup.
        printed.add_row(*map(Text, row), style="bold" if index == best else "")
    Console(file=file).print(printed)


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
    named = {name: name for name in ("dataset", "setting") if table[name].nunique() > 1}
    head = [
        *named,
        "technique",
        "runs",
        f"{metric} mean",
        "std",
        "difference to none",
        "val/loss",
        "epochs",
        "seconds",
    ]
    rows = [head]
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
    return rows


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
        written += f" ({row['pairs']} pairs)"
    return written


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _texts(head: list[str]) -> int:
    """Number of leading columns that hold names."""
    return head.index("technique") + 1


def _align(row: list[str], widths: list[int]) -> list[str]:
    texts = len(row) - 7
    return [
        cell.ljust(width) if column < texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
