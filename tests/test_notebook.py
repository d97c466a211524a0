"""The notebook of the pages: its cells are run, and give what it shows.

Where they give something else now, `python docs/notebooks.py` in an empty folder keeps that.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.shown import ROOT, assert_alike, load_module

DOCS = ROOT / "docs"
NOTEBOOK = DOCS / "from_python.ipynb"
CONTENT = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def notebook() -> Any:
    """The module that runs and writes notebooks."""
    return load_module(DOCS / "notebooks.py")


def as_text(outputs: list[dict[str, Any]]) -> str:
    """What outputs say: all but pictures, of a value that has a table only that."""
    parts = []
    for output in outputs:
        data = output.get("data", {})
        text = output.get("text") or data.get("text/html") or data["text/plain"]
        parts.append("".join(text))
    return "\n".join(parts)


def pictures(outputs: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """The sizes of the pictures among outputs."""
    data = [output.get("data", {}).get("image/png") for output in outputs]
    return [Image.open(io.BytesIO(base64.b64decode(png))).size for png in data if png]


@pytest.mark.slow
def test_its_cells_give_what_it_shows(
    notebook: Any, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fresh_store.parent)
    kept = [cell["outputs"] for cell in CONTENT["cells"] if cell["cell_type"] == "code"]
    ran = list(notebook.run(CONTENT))
    assert len(ran) == len(kept)
    for (source, outputs), shown in zip(ran, kept, strict=True):
        assert [one["output_type"] for one in outputs] == [one["output_type"] for one in shown]
        assert_alike(as_text(outputs), as_text(shown))
        assert pictures(outputs) == pictures(shown), source
    assert sum(len(pictures(outputs)) for outputs in kept) == 1


def test_it_is_a_notebook_of_the_format_that_it_names() -> None:
    """As nbformat's schema has it; Jupyter itself is not needed here."""
    assert (CONTENT["nbformat"], CONTENT["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in CONTENT["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in CONTENT["cells"]:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | code
        for output in cell.get("outputs", []):
            assert output.keys() in (
                {"output_type", "name", "text"},
                {"output_type", "metadata", "data", "execution_count"},
            )


def test_its_page_has_all_of_it(notebook: Any, tmp_path: Path) -> None:
    notebook.write(tmp_path)
    page = (tmp_path / "notebooks" / "from_python.md").read_text(encoding="utf-8")
    for cell in CONTENT["cells"]:
        assert "".join(cell["source"]) in page
    assert page.count("{raw} html") == page.count("<table") == 3
    [picture] = (tmp_path / "notebooks").glob("*.png")
    assert f"]({picture.name})" in page
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert "\nnotebooks/from_python\n" in index


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", []),
        ("print(1)\nx = 2", [("stream", "1\n")]),
        ("print(1)\n2 + 3", [("stream", "1\n"), ("execute_result", "5")]),
        ("print(1)", [("stream", "1\n")]),
        ("", []),
    ],
)
def test_a_cell_gives_what_a_kernel_gives(
    notebook: Any, source: str, expected: list[tuple[str, str]]
) -> None:
    cell = {"cell_type": "code", "source": source.splitlines(keepends=True)}
    [(_, outputs)] = notebook.run({"cells": [cell]})
    assert [(one["output_type"], as_text([one])) for one in outputs] == expected


def test_cells_share_their_names(notebook: Any) -> None:
    cells = [{"cell_type": "code", "source": [line]} for line in ("x = 2", "x + 1")]
    *_, (_, [output]) = notebook.run({"cells": cells})
    assert output["data"] == {"text/plain": "3"}
