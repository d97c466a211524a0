"""How all pictures look: ink, colours that differ in grey, names, and the sizes of panels.

Text, axes and the baseline are drawn in `INK`, which becomes the colour of the surrounding text in
a page. The other colours are seen on white and on black alike, and no two things are told apart by
colour alone: line styles, markers or hatches say the same.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

from regexp.compare.baseline import FAMILY, Baseline
from regexp.compare.formats import MINUS
from regexp.compare.metric import Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1a1b1c"
BLUE, VERMILION, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
COLOURS = (BLUE, VERMILION, GREEN, PINK)
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (9, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
FAINT = 0.4
"""Opacity of what stands behind: the baseline of a panel, techniques that are not named."""

TITLE = 70
"""Letters of a title's line."""

LINE = 0.17
"""Inches of a line of a title, a legend or an axis' label."""

_SETTINGS: Any = {
    "text.parse_math": False,  # names are no formulas
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "font.size": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_NAMES = {"rmse": "RMSE", "mae": "MAE", "r2": "R²", "ece": "ECE", "val": "validation"}
_NAMES |= {"train": "training", "lr": "learning rate"}

P = ParamSpec("P")


@contextmanager
def styling() -> Iterator[None]:
    """Matplotlib's own defaults with the settings of these pictures, for a while."""
    import warnings

    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # a name may have letters that the font lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws a figure: it draws in this style."""

    @functools.wraps(draw)
    def inner(*arguments: P.args, **named: P.kwargs) -> Figure:
        with styling():
            return draw(*arguments, **named)

    return inner


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one panel, laid out around its labels; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def panels(
    count: int, *, size: tuple[float, float] = (3.0, 2.3), head: float = 0.65
) -> tuple[Figure, list[Axes]]:
    """A figure with equal panels in rows, four in each, which share their axes.

    Every panel that has none below it shows the numbers of the x axis.

    Args:
        count: of the panels.
        size: of one, in inches, with what stands around it.
        head: inches above the panels, for title and legend; `around` makes more where they need it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(4, max(count, 1))
    down = max(math.ceil(count / across), 1)
    left, foot = 0.3, 0.25
    width, height = size[0] * across + left, size[1] * down + head + foot
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    inner = {
        "left": (left + 0.3) / width,
        "right": 1 - 0.12 / width,
        "bottom": (foot + 0.25) / height,
        "top": 1 - (head + 0.25) / height,
        "wspace": 0.08,
        "hspace": 0.24,
    }
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True, gridspec_kw=inner)
    drawn: list[Axes] = list(grid.ravel())
    for index in range(count, len(drawn)):
        drawn[index].set_visible(False)
        if index >= across:
            drawn[index - across].tick_params(labelbottom=True)
    return figure, drawn


def around(figure: Figure, *, title: str, x: str, y: str, handles: Sequence[Any] = ()) -> None:
    """Title, legend and the labels of both axes of a figure from `panels`."""
    width = figure.get_figwidth()
    title, x = wrapped(title, round(width * 10)), wrapped(x, round(width * 12))
    across = max(1, min(len(handles), int(width // 1.7)))
    above = 0.12 + LINE * (title.count("\n") + 1)
    _make_room(figure, above + LINE * -(-len(handles) // across) + 0.35, LINE * x.count("\n"))
    height = figure.get_figheight()
    figure.suptitle(title, y=1 - 0.08 / height, va="top")
    if handles:
        place = (0.5, 1 - above / height)
        figure.legend(handles=handles, loc="upper center", bbox_to_anchor=place, ncols=across)
    figure.supxlabel(x, fontsize=9, y=0.08 / height, va="bottom")
    figure.supylabel(y, fontsize=9, x=0.08 / width, ha="left")


def _make_room(figure: Figure, head: float, foot: float) -> None:
    """Make a figure higher, its panels as large as they are.

    Args:
        figure: laid out by hand.
        head: inches above the panels, at least.
        foot: inches below them, more than there are.
    """
    height = figure.get_figheight()
    top = max(axes.get_position().y1 for axes in figure.axes)
    more = max(head - (1 - top) * height, 0.0) + foot
    figure.set_figheight(height + more)
    for axes in figure.axes:
        place = axes.get_position()
        bottom, high = place.y0 * height + foot, place.height * height
        axes.set_position((place.x0, bottom / (height + more), place.width, high / (height + more)))


def place_of(frame: pd.DataFrame) -> str:
    """The dataset and setting that the rows share, for a title: "digits, optimizer.lr=0.1"."""
    shared = [frame[name].unique() for name in FAMILY if name in frame]
    names = [str(values[0]) for values in shared if len(values) == 1 and values[0]]
    return ", ".join(short(name, 90) for name in names)


def entitled(title: str, frame: pd.DataFrame) -> str:
    """A title with the dataset and setting that the rows share."""
    place = place_of(frame)
    return f"{title}: {place}" if place else title


def wrapped(text: str, width: int = TITLE) -> str:
    """A title in lines of so many letters."""
    return "\n".join(textwrap.wrap(text, max(width, 30))) or text


def short(name: str, most: int = 34) -> str:
    """A name on one line, its middle left out where it is too long."""
    name = re.sub(r"[\x00-\x1f\x7f\s]+", " ", name).strip()
    if len(name) <= most:
        return name
    kept = most - 1
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"


def distinct(names: Iterable[object], most: int = 34) -> list[str]:
    """Names as `short` has them, no two the same.

    Where the middle that is left out is what tells them apart, what is in front of that is left
    out; where nothing does, they are numbered.
    """
    whole = list(map(str, names))
    found = [short(name, most) for name in whole]
    for text in [text for text in dict.fromkeys(found) if found.count(text) > 1]:
        alike = [place for place, other in enumerate(found) if other == text]
        if len({whole[place] for place in alike}) == 1:
            continue
        letters = itertools.takewhile(
            lambda each: len(set(each)) == 1, zip(*(whole[place] for place in alike), strict=False)
        )
        start = max(whole[alike[0]].rfind(" ", 0, sum(1 for _ in letters)) + 1, 2)
        for place in alike:
            head, tail = whole[place][:start], short(whole[place][start:], most - 3)
            found[place] = f"{head[: most - len(tail) - 1]}…{tail}"
    return [
        f"{name} #{found[:place].count(name) + 1}" if found.count(name) > 1 else name
        for place, name in enumerate(found)
    ]


def measured(metric: str) -> str:
    """A metric for people: `test/accuracy` is "test accuracy"."""
    words = re.split(r"[/_]", metric.removeprefix("final/"))
    return " ".join(_NAMES.get(word, word) for word in words)


def difference_label(metric: Metric, against: Baseline) -> str:
    """For an axis of differences to the baseline."""
    difference = f"{measured(metric.name)} − that of {against}{metric.unit.suffix}"
    return f"{difference}   {metric.direction}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign: "+0.42", "−1.30"; what is rounded to zero has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", MINUS) if text.strip("+-0.") else text[1:]
