"""What techniques are compared by: a metric, which way is better, and the unit it is written in."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.metrics import names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Unit:
    """How differences of a metric are written.

    Attributes:
        factor: from the metric to the unit.
        name: stands after the number.
        most: no difference is larger, in the metric's own numbers.
    """

    factor: float = 1.0
    name: str = ""
    most: float = math.inf

    @property
    def suffix(self) -> str:
        """Stands after what is measured in it: ", points"."""
        return f", {self.name}" if self.name else ""


PLAIN = Unit()
POINTS = Unit(100, "points", 1.0)
PERCENT = Unit(100)


@dataclass(frozen=True)
class Metric:
    """A metric that techniques are compared by.

    Attributes:
        name: as recorded, such as `test/accuracy`.
        lower_is_better: True for errors and losses.
    """

    name: str
    lower_is_better: bool = False

    @property
    def unit(self) -> Unit:
        """Points (hundredths) for accuracies and other shares; all else as it is."""
        return POINTS if names.is_share(self.name) else PLAIN

    def matters(self, level: float) -> float:
        """The least gain that matters where nobody says: half a point of a share, else 1%.

        Args:
            level: the baseline's mean, of which that 1% is.
        """
        return 0.005 if self.unit is POINTS else abs(level) / 100

    @property
    def title(self) -> str:
        """For the head of a column of scores."""
        return f"{self.name}, %" if self.unit is POINTS else self.name

    @property
    def direction(self) -> str:
        """For an axis of differences or scores."""
        return "← better" if self.lower_is_better else "better →"


def metric_of(name: str, runs: "pd.DataFrame | None" = None) -> Metric:
    """A metric by its name, which tells which way is better.

    Args:
        name: as recorded.
        runs: which may say it themselves of a metric of the user's own.
    """
    column = names.parameter(names.direction_of(name))
    if runs is not None and column in runs:
        said = runs[column].dropna()
        if len(said):
            return Metric(name, bool((said == "true").all()))
    return Metric(name, names.lower_is_better(name))
