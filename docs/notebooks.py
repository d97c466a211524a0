"""The notebook among the pages: a page of it is written when Sphinx starts; git ignores that.

`python docs/notebooks.py` runs the notebook and keeps what its cells give, as Jupyter does. That is
needed neither to build the pages nor to test them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("from_python.ipynb")

Output = dict[str, Any]
"""Of a cell, as nbformat 4 has it."""


def read() -> dict[str, Any]:
    """The content of the notebook."""
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return content


def run(notebook: Mapping[str, Any]) -> Iterator[tuple[str, list[Output]]]:
    """Run the cells of code in one namespace: the source of each, and what it gives."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            yield source, _run_cell(source, namespace)


def _run_cell(source: str, namespace: dict[str, Any]) -> list[Output]:
    """As a kernel does: what is printed, then the value of a last line that is an expression."""
    tree, last = ast.parse(source), None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "<cell>", "exec"), namespace)
        if last is not None:
            value = eval(compile(last, "<cell>", "eval"), namespace)
    outputs: list[Output] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue()})
    if value is not None:
        outputs.append({"output_type": "execute_result", "metadata": {}, "data": _shown(value)})
    return outputs


def _shown(value: object) -> dict[str, str]:
    """The ways in which a value shows itself, by media type."""
    data = {"text/plain": repr(value)}
    if (html := getattr(value, "_repr_html_", lambda: None)()) is not None:
        data["text/html"] = html
    if (png := getattr(value, "_repr_png_", lambda: None)()) is not None:
        data["image/png"] = base64.b64encode(png).decode()
    return data


def keep() -> None:
    """Run the notebook and write what its cells give into it."""
    notebook = read()
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, (_, outputs)) in enumerate(zip(cells, run(notebook), strict=True), 1):
        cell["execution_count"] = number
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
        cell["outputs"] = outputs
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    NOTEBOOK.write_text(text, encoding="utf-8")


def write(docs: Path) -> None:
    """Write the page of the notebook and its pictures into `docs`/notebooks."""
    folder = docs / "notebooks"
    folder.mkdir(exist_ok=True)
    parts, pictures = [], 0
    for cell in read()["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                pictures += 1
                name = f"{NOTEBOOK.stem}_{pictures}.png"
                (folder / name).write_bytes(base64.b64decode(data["image/png"]))
                parts.append(f"![what the cell above shows]({name})")
            elif "text/html" in data:
                parts.append(f"```{{raw}} html\n{_table(data['text/html'])}\n```")
            else:
                parts.append(f"```text\n{output.get('text') or data['text/plain']}\n```")
    where = f"{{download}}`the notebook <../{NOTEBOOK.name}>`"
    parts.insert(1, f"This page is {where}, as Jupyter opens it.")
    (folder / f"{NOTEBOOK.stem}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _table(html: str) -> str:
    """A table of pandas as the other tables of the pages look."""
    html = re.sub(r"<style.*?</style>\s*", "", html, flags=re.DOTALL)
    html = re.sub(r'(<table[^>]*class="dataframe)', r"\1 docutils", html.replace('border="1" ', ""))
    return f'<div class="table-wrapper">{html}</div>'


if __name__ == "__main__":
    keep()
