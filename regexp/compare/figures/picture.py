"""A picture with its words, drawn in the two forms that it is shown in."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from regexp.compare.figures import style as s

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION, SCREEN = 150, 100  # dots an inch: of files, and in notebooks
_LONGEST = 30_000  # pixels of a side of a PNG; beyond 65,000 it cannot be drawn


@dataclass(frozen=True)
class Picture:
    """A picture of a comparison.

    Attributes:
        name: of its file, without ending.
        title: for a heading.
        caption: what is seen and how to read it, in a sentence or two.
        png: what its file holds.
        svg: the element of a page.
        kind: what pictures of several datasets and settings have in common, such as `forest`.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: str
    kind: str = ""


def shown_in_notebooks(figure: Figure) -> Figure:
    """A figure that a notebook shows as a picture.

    Notebooks do so by themselves only with figures that pyplot keeps, which is never asked here.
    """
    figure._repr_png_ = partial(png, figure, SCREEN)  # type: ignore[attr-defined]
    return figure


def png(figure: Figure, resolution: float = RESOLUTION) -> bytes:
    """A figure as a PNG on white, with so many dots an inch. Equal figures give equal bytes."""
    longest = max(figure.get_size_inches())
    buffer = io.BytesIO()
    with s.styling():
        figure.savefig(
            buffer,
            format="png",
            dpi=min(resolution, _LONGEST / longest),
            facecolor="white",
            metadata={"Software": None},
        )
    return buffer.getvalue()


def svg(figure: Figure, name: str, title: str) -> str:
    """A figure as an `<svg>` element, for a page.

    It is transparent, and its ink is `currentColor`, the colour of the text around it. Its ids
    begin with the name, so that several can stand in one page. Equal figures give equal texts.
    """
    import matplotlib

    buffer = io.StringIO()
    with s.styling():
        matplotlib.rcParams["svg.hashsalt"] = name
        matplotlib.rcParams["svg.fonttype"] = "path"
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    prefix = file_name(name) + "-"
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}", text)
    text = re.sub(re.escape(s.INK), "currentColor", text, flags=re.IGNORECASE)
    return re.sub(
        r"^<svg ([^>]*)>",
        lambda head: f'<svg role="img" {head[1]}>\n <title>{escape(title)}</title>',
        text,
        count=1,
    )


def file_name(name: str) -> str:
    """A name as a part of a file's: no folder, and none that is too long."""
    safe = re.sub(r"[^\w.-]+", "_", name)
    if len(safe) <= 80:
        return safe
    return f"{safe[:70]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
