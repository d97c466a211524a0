"""Made-up tables that are nearly right, the settings that describe them, and what is put in."""

from __future__ import annotations

import csv
import io
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.hostile.support import mutated

CELLS = (
    "", " ", "0", "1", "-1", "2", "3.5", "1e5", "1e999", "-1e400", "1e-400", "nan", "NA", "null",
    "None", "inf", "-Infinity", "True", "false", "yes", "a", "b", "red", "=1+1", "@x", "+1", "0x10",
    "1_000", "1,5", "1.000,5", "9" * 25, "9" * 400, "-0", "1e308", "1.7e308", "12:30", "2020-01-01",
    "1+2j", "é", "\u0661", "\U0001f600", "a b", "'", '"', 'a"b', "a\nb", "_target_", "os.system",
    "${oc.env:HOME}", "../../x", "x" * 300, "\x1b[31m", "?", "-999", "1 000", "a;b", "a\tb", "\xa0",
)  # fmt: skip
NAMES = (
    "a", "b", "c", "age", "a.1", "Unnamed: 0", "index", "_target_", "é", "x y", "1", "nan", "=x",
)  # fmt: skip
PUNCTUATION = (
    ",", ";", "\t", '"', '""', "\n", "\r", "\r\n", "\n\n", "\0", "\\", "\ufeff", "|", ",,", ', "',
    " ", "'", "#",
)  # fmt: skip
TOKENS = tuple(token.encode() for token in (*CELLS, *PUNCTUATION))

Case = tuple[bytes, dict[str, Any]]
"""What is in a file, and the settings of the dataset that reads it."""

cells = st.sampled_from(CELLS) | st.text(max_size=6)
names = st.sampled_from(NAMES) | st.text(min_size=1, max_size=4)
anywhere = names | st.just("target")


def usual(kind: str, rows: int, random: Random) -> list[str]:
    """The cells of a column of one kind, as they should be."""
    match kind:
        case "number":
            return [f"{random.gauss(0, 1000):.4g}" for _ in range(rows)]
        case "word":
            return [random.choice(("red", "green", "blue")) for _ in range(rows)]
        case "classes":
            return [str(row % 3) for row in range(rows)]
        case "gaps":
            return [random.choice(("", "1.5", "2", "NA", "-3")) for _ in range(rows)]
        case _:
            return ["7"] * rows


@st.composite
def table(draw: st.DrawFn, header: list[str], separator: str) -> bytes:
    """A text of separated columns, with cells among them that are none of their column's kind."""
    rows = draw(st.sampled_from((12, 20, 30, 1, 4)))
    random = Random(draw(st.integers(0, 10**6)))  # hypothesis would draw the simplest of cells
    kinds = ("number", "word", "classes", "gaps", "constant")
    made = [usual(random.choice(kinds), rows, random) for _ in header[:-1]]
    made.append(usual(draw(st.sampled_from(("classes", "number", "word"))), rows, random))
    for place in draw(st.lists(st.integers(0, len(made) * rows - 1), max_size=4)):
        made[place // rows][place % rows] = draw(cells)
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=separator,
        quoting=draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))),
        lineterminator=draw(st.sampled_from(("\n", "\n", "\r\n", "\r"))),
    )
    writer.writerow(header)
    writer.writerows(zip(*made, strict=True))
    return text.getvalue().encode("utf-8", "surrogatepass")


def settings(header: list[str]) -> dict[str, Any]:
    """Those of a table whose last column is the target."""
    return {
        "validation": 0.2, "test": 0.2, "train_size": None, "split_seed": None, "label_noise": 0,
        "repeats": "together", "separator": ",", "missing": [], "target": header[-1],
        "task": None, "columns": None, "drop": [], "categorical": [], "max_levels": 64,
        "group": None, "split": None, "encoding": None, "decimal": ".",
        "header": True, "weight": None, "rows_without_target": "refuse",
    }  # fmt: skip


@st.composite
def settings_of(draw: st.DrawFn, header: list[str]) -> dict[str, Any]:
    """How a user may describe a table with this header: mostly right."""
    one = st.sampled_from(header) | st.sampled_from(header) | anywhere
    several = one | st.lists(one, max_size=2)
    node = settings(header)
    others: dict[str, st.SearchStrategy[Any]] = {
        "validation": st.sampled_from((0.3, 0.01, 0.6, 0, 1.0)),
        "test": st.sampled_from((0.3, 0.01, 0.6)),
        "train_size": st.sampled_from((1, 3, 10_000)),
        "split_seed": st.sampled_from((0, 2**70)),
        "separator": st.sampled_from((";", "\t", " ", "|", "x", "é", '"', "\n", "\0", ".", ",,")),
        "encoding": st.sampled_from(("latin-1", "utf-16", "utf-7", "hex", "punycode", "x", 8)),
        "decimal": st.sampled_from((",", ";", None)),
        "missing": cells | st.lists(cells, max_size=2),
        "target": several,
        "task": st.sampled_from(("classification", "regression", "multilabel", "both")),
        "header": st.sampled_from((False, "no")),
        "weight": one,
        "rows_without_target": st.sampled_from(("drop", "keep")),
        "columns": several,
        "drop": several,
        "categorical": several,
        "max_levels": st.sampled_from((2, 10**9, 1)),
        "group": one,
        "split": one,
        "repeats": st.sampled_from(("apart", "nowhere")),
    }
    for key in draw(st.lists(st.sampled_from(sorted(others)), max_size=2, unique=True)):
        node[key] = draw(others[key])
    return node


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A table that is nearly right, or that is none."""
    header = [*draw(st.lists(names, min_size=1, max_size=4, unique=True)), "target"]
    node = draw(settings_of(header))
    right = isinstance(node["separator"], str) and node["separator"] in ",;\t |"
    content = draw(table(header, node["separator"] if right else ","))
    match draw(st.sampled_from(("right", "right", "mutated", "mutated", "tokens", "bytes"))):
        case "mutated":
            content = draw(mutated(content, TOKENS))
        case "tokens":
            content = b"".join(draw(st.lists(st.sampled_from(TOKENS), max_size=60)))
        case "bytes":
            content = draw(st.binary(max_size=100))
    return content, node
