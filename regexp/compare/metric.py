"""What techniques are compared by: a metric, which way is better, and the unit it is written in."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.errors import ConfigError, count, few
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

    Raises:
        ConfigError: some of them say the one way, and others the other, or nothing where the name
            tells the other.
    """
    by_name, key = names.lower_is_better(name), names.direction_of(name)
    said = names.parameter(key)
    if runs is None or said not in runs or names.column(name) not in runs:
        return Metric(name, by_name)
    measured = runs[runs[names.column(name)].notna()]
    lower = measured[said].map({"true": True, "false": False}).fillna(by_name).astype(bool)
    if lower.nunique() > 1:
        raise ConfigError(
            f"low values of {name} are good ones to {_those(measured[lower])}, and bad ones to "
            f"{_those(measured[~lower])}",
            key=key,
            cure="compare them apart, or train the one again with what the other says",
        )
    return Metric(name, bool(lower.iloc[0]) if len(lower) else by_name)


def _those(runs: "pd.DataFrame") -> str:
    """Their sweeps, or of one sweep how many they are."""
    sweeps = runs["sweep"].unique() if "sweep" in runs else ()
    named = few([str(sweep)[:8] for sweep in sweeps])
    return f"the runs of {named}" if len(sweeps) else count(len(runs), "run")
