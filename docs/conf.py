"""Sphinx configuration: `make docs` builds the pages into docs/_build/html."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import catalogue  # noqa: E402
import generate  # noqa: E402
import notebooks  # noqa: E402
import schedules  # noqa: E402
import tables  # noqa: E402
import text  # noqa: E402

from regexp import __version__  # noqa: E402

project = "regexp"
author = "regexp contributors"
copyright = "regexp contributors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
smartquotes_action = "D"  # dashes alone: W' is no quotation

html_theme = "furo"
html_title = f"regexp {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_copyright = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "substitution"]
ENTRIES = catalogue.entries()
myst_substitutions = {
    "optimizer": tables.choices("optimizer"),
    "scheduler": tables.choices("scheduler"),
    "words": generate.words(ENTRIES),
}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_custom_sections = [
    ("Attributes", "params_style"),
    ("Class attributes", "params_style"),
    ("Class keywords", "params_style"),
    ("Reference", "References"),
]

generate.write(HERE, ENTRIES)
schedules.write(HERE)
notebooks.write(HERE)


def as_written(_: Any, kind: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: formulas are no markup, and `names` are code."""
    lines[:] = text.restructured(lines, whole=kind in ("attribute", "data", "property"))


def with_colons(_: Any, kind: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the colons back that napoleon was not to see."""
    lines[:] = [line.replace(text.COLON, ":") for line in lines]


def without_fields(_: Any, kind: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples: their classes' docstrings say what they are."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    """Sphinx calls this. Napoleon has priority 500."""
    app.connect("autodoc-skip-member", without_fields)
    app.connect("autodoc-process-docstring", as_written, priority=400)
    app.connect("autodoc-process-docstring", with_colons, priority=600)
