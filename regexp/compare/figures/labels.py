"""Names beside points, placed so that they do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 7  # of the letters, in points
_WIDTH, _HEIGHT = 0.62 * _SIZE, 1.35 * _SIZE  # of one letter
_PLACES = [
    (right, up) for distance in (1, 2, 3.2) for right, up in (
        (0, distance), (distance, 0), (-distance, 0), (0, -distance),
        (distance, distance), (distance, -distance), (-distance, distance), (-distance, -distance),
    )
]  # fmt: skip


class Box(NamedTuple):
    """A rectangle in points (1/72 inch)."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def apart(self, x: float, y: float) -> float:
        """The distance of a point; 0 of one inside."""
        beside = max(self.left - x, 0.0, x - self.right)
        above = max(self.bottom - y, 0.0, y - self.top)
        return float(np.hypot(beside, above))


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[tuple[int, str]],
    along: Sequence[tuple[float, float]] = (),
) -> None:
    """Write names beside points, each where it covers no other name and no point, if it can be.

    A line leads from a name to its point where it stands far off or nearer to another one. The
    panel's limits, scales and place in the figure must be set before.

    Args:
        axes: the panel.
        points: all that are drawn, in its data.
        names: (index of the point, name), the most important first.
        along: points on lines that names should not cover either, in its data.
    """
    scale = 72 / axes.figure.dpi
    every = np.asarray([*points, *along], dtype=float)
    where = np.asarray(axes.transData.transform(every)) * scale
    frame = axes.get_window_extent()
    inside = Box(*(value * scale for value in (frame.x0, frame.y0, frame.x1, frame.y1)))
    taken = [Box(x - 3, y - 3, x + 3, y + 3) for x, y in where]
    for index, name in names:
        x, y = where[index]
        options = [_box(x, y, right, up, name) for right, up in _PLACES]
        costs = [
            sum(box.meets(other) for other in taken) + 10 * _outside(box, inside) + 0.01 * order
            for order, box in enumerate(options)
        ]
        best = options[int(np.argmin(costs))]
        taken.append(best)
        middle = (best.left + best.right) / 2, (best.bottom + best.top) / 2
        apart = [best.apart(*place) for place in where[: len(points)]]
        far = apart[index] > _SIZE or apart[index] > min(apart) + 1
        axes.annotate(
            name, xy=points[index], xytext=(middle[0] - x, middle[1] - y),
            textcoords="offset points", ha="center", va="center", fontsize=_SIZE,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2,
                        "color": axes.xaxis.label.get_color(), "alpha": 0.5} if far else None,
        )  # fmt: skip


def along_steps(
    x: Sequence[float], y: Sequence[float], each: int = 12
) -> list[tuple[float, float]]:
    """Points along a line that is drawn in steps, `where="post"`, over a logarithmic axis."""
    found: list[tuple[float, float]] = []
    for at, (before, height) in enumerate(zip(x, y, strict=True)):
        if at:
            found += [(before, float(one)) for one in np.linspace(y[at - 1], height, each)]
        if at + 1 < len(x):
            found += [(float(one), height) for one in np.geomspace(before, x[at + 1], each)]
    return found


def _box(x: float, y: float, right: float, up: float, name: str) -> Box:
    """The rectangle of a name in one of the places around a point."""
    width = len(name) * _WIDTH
    middle = x + right * 7 + np.sign(right) * width / 2, y + up * 8.5
    return Box(middle[0] - width / 2, middle[1] - _HEIGHT / 2,
               middle[0] + width / 2, middle[1] + _HEIGHT / 2)  # fmt: skip


def _outside(box: Box, inside: Box) -> float:
    area = (box.right - box.left) * (box.top - box.bottom)
    return area - box.meets(inside)
