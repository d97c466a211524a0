"""The columns of a comparison's tables, as the page and the Markdown show them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare import written
from regexp.compare.ranking import Across
from regexp.compare.table import BASELINE
from regexp.compare.verdict import Unit, digits_of, unit_of

if TYPE_CHECKING:
    import pandas as pd

PLAIN = Unit()


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        cells: one text a row.
        values: what rows are sorted by; NaN where there is nothing.
        hint: what the column is, in a sentence; empty where the title says it.
    """

    title: str
    cells: list[str]
    values: list[float]
    hint: str = ""


def results(table: "pd.DataFrame") -> list[Column]:
    """Score, difference and how sure it is; the technique and the verdict stand beside.

    Args:
        table: of one dataset and setting.
    """
    metric = str(table.attrs["metric"])
    unit = unit_of(metric)
    rows = [row for _, row in table.iterrows()]
    differences = written.differences(table, unit)
    points = f", {unit.name}" if unit.name else ""
    runs = Column(
        "runs",
        [_runs(row) for row in rows],
        _values(table, "finished"),
        "Seeds that finished, of all where some did not.",
    )
    return _said(
        [
            *([runs] if len(set(runs.cells)) > 1 else []),
            Column(
                written.title_of(metric),
                written.scores(table["mean"], table["std"], unit),
                _values(table, "mean"),
                "Mean and standard deviation over seeds.",
            ),
            Column(
                f"vs {BASELINE}{points}",
                [one for one, _ in differences],
                _values(table, "difference"),
                f"Mean over seeds of the difference to {BASELINE} at the same seed.",
            ),
            Column(
                "95% interval",
                [interval for _, interval in differences],
                _values(table, "low"),
                "Of this technique looked at alone; among many some leave out zero by luck.",
            ),
            Column(
                "p (Holm)",
                [written.p_value(value) for value in table["p_holm"]],
                _values(table, "p_holm"),
                "Corrected for all techniques of this table; it decides the verdict.",
            ),
        ]
    )


def measures(table: "pd.DataFrame", *, regression: bool) -> list[Column]:
    """Further scores, what the test could have found, and costs.

    Args:
        table: of one dataset and setting.
        regression: whether numbers are predicted, not classes.
    """
    unit = unit_of(str(table.attrs["metric"]))
    points = f", {unit.name}" if unit.name else ""
    gap = unit_of("accuracy") if not regression else PLAIN
    found = [_scores(table, *one) for one in ([_SKILL] if regression else _CALIBRATION)]
    found += [
        Column(
            f"gap, {gap.name}" if gap.name else "gap",
            [_counting(value, gap, 2) for value in table["gap"]],
            _values(table, "gap"),
            "Generalization gap: training rows are predicted so much better than test rows.",
        ),
        Column(
            "validation loss",
            [_counting(value, PLAIN, 3) for value in table["validation_loss"]],
            _values(table, "validation_loss"),
            "Without penalty, smoothing or noise.",
        ),
        Column(
            "P(better)",
            [_counting(value, Unit(100), 2) for value in table["improvement"]],
            _values(table, "improvement"),
            f"Share of seeds, in %, at which the technique beats {BASELINE}; ties count half.",
        ),
        Column(
            f"detectable{points}",
            [_detectable(value, unit) for value in table["detectable"]],
            _values(table, "detectable"),
            "The difference that would have been found with a probability of 80%.",
        ),
        Column(
            "simultaneous interval",
            [one for _, one in written.differences(table, unit, "simultaneous_")],
            _values(table, "simultaneous_low"),
            "All differences of this table lie within theirs with a probability of 95%.",
        ),
        Column(
            "epochs",
            [_counting(value, PLAIN, 3) for value in table["epochs"]],
            _values(table, "epochs"),
        ),
        Column(
            "seconds",
            [_counting(value, PLAIN, 2) for value in table["seconds"]],
            _values(table, "seconds"),
            "Of one run: its share of the time of those that train together.",
        ),
        Column(
            f"time vs {BASELINE}",
            [
                written.NOTHING if math.isnan(value) else f"×{written.number(value, PLAIN, 2)}"
                for value in table["relative_seconds"]
            ],
            _values(table, "relative_seconds"),
            f"Seconds over those of {BASELINE} at the same seed.",
        ),
    ]
    return _said(found)


_CALIBRATION = (
    ("NLL", "loss", "Negative log-likelihood of the test rows, in nats; lower is better."),
    (
        "Brier",
        "brier",
        "Squared distance of the probabilities to the truth, 0 to 2; lower is better.",
    ),
    ("ECE", "ece", "Expected calibration error, in 15 bins of equal width; lower is better."),
)

_SKILL = (
    "skill",
    "skill",
    "1 - RMSE / that of the naive forecast, which says the last value again; above 0 is better.",
)


def _scores(table: "pd.DataFrame", title: str, name: str, hint: str) -> Column:
    cells = written.scores(table[name], table[f"{name}_std"], PLAIN)
    return Column(title, cells, _values(table, name), hint)


def _said(columns: list[Column]) -> list[Column]:
    """Those that say anything."""
    return [one for one in columns if set(one.cells) - {written.NOTHING}]


def _values(table: "pd.DataFrame", name: str) -> list[float]:
    return [float(value) for value in table[name]]


def _runs(row: "pd.Series") -> str:
    finished, runs = int(row["finished"]), int(row["runs"])
    return str(runs) if finished == runs else f"{finished} of {runs}"


def _counting(value: float, unit: Unit, counting: int) -> str:
    """A number with at least so many digits that count, none of them before the point lost."""
    if not math.isfinite(value):
        return written.number(value, unit, 0)
    digits = max(0, digits_of(value, unit) + counting - 2) if value else 0
    return written.number(value, unit, digits)


def _detectable(value: float, unit: Unit) -> str:
    """Rounded up; nothing where no difference can be so large."""
    if math.isnan(value):
        return written.NOTHING
    return f">{unit.factor:g}" if value > unit.most else written.upwards(value, unit)


def ranks(across: Across, metric: str) -> list[Column]:
    """The comparison across datasets, in the order of the average ranks.

    Args:
        across: of a comparison.
        metric: that techniques are compared by.
    """
    unit = unit_of(metric)
    average = across.ranks.mean().sort_values(kind="stable")
    tested = across.wilcoxon.reindex(average.index)
    middle = across.middle.reindex(average.index)
    differences = written.differences(middle, unit)
    counts = [
        written.NOTHING if math.isnan(row["wins"]) else
        f"{row['wins']:.0f} / {row['ties']:.0f} / {row['losses']:.0f}"
        for _, row in tested.iterrows()
    ]  # fmt: skip
    return _said(
        [
            Column(
                "average rank",
                [f"{value:.2f}" for value in average],
                [float(value) for value in average],
                "1 is the best.",
            ),
            Column(
                "wins / ties / losses",
                counts,
                _values(tested, "wins"),
                f"Datasets on which the mean is better than that of {BASELINE}, equal, worse.",
            ),
            Column("p (Wilcoxon)", [written.p_value(p) for p in tested["p"]], _values(tested, "p")),
            Column(
                "p (Holm)",
                [written.p_value(p) for p in tested["p_holm"]],
                _values(tested, "p_holm"),
                "Corrected for all techniques of this table; it decides.",
            ),
            Column(
                f"middle half vs {BASELINE}{f', {unit.name}' if unit.name else ''}",
                [one for one, _ in differences],
                _values(middle, "difference"),
                f"Interquartile mean of the differences to {BASELINE} at the same seed, of all "
                "datasets and seeds together.",
            ),
            Column(
                "its 95% interval",
                [interval for _, interval in differences],
                _values(middle, "low"),
                "By a bootstrap over seeds within each dataset: a picture of the spread, no test.",
            ),
        ]
    )
