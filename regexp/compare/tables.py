"""The tables of a comparison, as text that a terminal, Markdown or HTML lays out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.formats import NOTHING, counting
from regexp.compare.metric import PERCENT, PLAIN, POINTS, Metric, Unit
from regexp.compare.ranking import Across
from regexp.compare.table import BASELINE, FAMILY
from regexp.errors import count, printable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        cells: one text a row.
        values: what rows are sorted by, NaN where there is nothing; none where that is the text.
        hint: what the column is, in a sentence; empty where the title says it.
        words: whether it begins on the left and may be broken into lines, as no number may.
    """

    title: str
    cells: list[str]
    values: Sequence[float] = ()
    hint: str = ""
    words: bool = False

    @property
    def silent(self) -> bool:
        """Whether it has numbers and none of them is known."""
        return len(self.values) > 0 and all(map(math.isnan, self.values))


def shortened(text: str, length: int) -> str:
    """A text of so many characters at most."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def overview(rows: "pd.DataFrame", metric: Metric) -> list[Column]:
    """The table of a terminal: numbers with a fixed count of digits, a dash for nothing."""
    names = [name for name in FAMILY if rows[name].nunique() > 1]

    def fixed(name: str, form: str) -> list[str]:
        return ["-" if math.isnan(value) else form.format(value) for value in rows[name]]

    counts = list(zip(rows["runs"], rows["finished"], rows["pairs"], strict=True))
    differences = [
        f"{difference} ({count(pairs, 'pair')})" if 0 < pairs < finished
        else difference
        for difference, (_, finished, pairs) in zip(fixed("difference", "{:+.4f}"), counts,
                                                    strict=True)
    ]  # fmt: skip
    intervals = [
        "-" if math.isnan(low) else f"{low:+.4f}, {high:+.4f}"
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    corrected = ["-" if math.isnan(p) else formats.p_value(p) for p in rows["p_holm"]]
    compared = rows["outcome"] != "baseline"
    columns = [
        *(Column(name, _printable(rows[name]), words=True) for name in names),
        Column("technique", _printable(rows["label"]), words=True),
        Column("runs", [f"{finished}/{runs}" for runs, finished, _ in counts]),
        Column(metric.name, fixed("mean", "{:.4f}")),
        Column("std", fixed("std", "{:.4f}"), _numbers(rows, "std")),
        Column(f"vs {BASELINE}", differences, _numbers(rows, "difference")),
        Column("95% interval", intervals, _numbers(rows, "low"), words=True),
        Column("p (Holm)", corrected, _numbers(rows, "p_holm")),
        *([Column("outcome", list(rows["outcome"].where(compared, "-")), words=True)]
          if compared.any() or rows.empty else []),
        Column("epochs", fixed("epochs", "{:.1f}"), _numbers(rows, "epochs")),
        Column("time", fixed("relative_seconds", "×{:.2f}"), _numbers(rows, "relative_seconds")),
    ]  # fmt: skip
    return [column for column in columns if not column.silent]


def verdicts(rows: "pd.DataFrame", metric: Metric) -> list[Column]:
    """Score, difference, how sure it is, and the verdict in a sentence.

    Args:
        rows: of one dataset and setting.
        metric: that they are compared by.
    """
    differences, intervals = zip(*formats.differences(rows, metric.unit), strict=True)
    runs = [
        str(count) if finished == count else f"{finished} of {count}"
        for finished, count in zip(rows["finished"], rows["runs"], strict=True)
    ]
    columns = [
        Column("runs", runs, _numbers(rows, "finished"),
               "Seeds that finished, of all where some did not."),
        Column(metric.title, formats.scores(rows["mean"], rows["std"], metric.unit),
               _numbers(rows, "mean"), "Mean and standard deviation over seeds."),
        Column(f"vs {BASELINE}{metric.unit.suffix}", list(differences),
               _numbers(rows, "difference"),
               f"Mean over seeds of the difference to {BASELINE} at the same seed."),
        Column("95% interval", list(intervals), _numbers(rows, "low"),
               "Of this technique looked at alone; among many some leave out zero by luck."),
        Column("p (Holm)", list(map(formats.p_value, rows["p_holm"])), _numbers(rows, "p_holm"),
               "Corrected for all techniques of this table; it decides the verdict."),
    ]  # fmt: skip
    if len(set(runs)) == 1:
        del columns[0]
    return [_named(rows), *_telling(columns), Column("verdict", list(rows["verdict"]), words=True)]


def summary(rows: "pd.DataFrame", metric: Metric) -> list[Column]:
    """Technique, score, difference with its interval, and the verdict in a word."""
    differences = [
        difference if interval == NOTHING else f"{difference} ({interval})"
        for difference, interval in formats.differences(rows, metric.unit)
    ]
    return [
        _named(rows),
        Column(metric.title, formats.scores(rows["mean"], rows["std"], metric.unit)),
        Column(f"difference{metric.unit.suffix} (95% interval)", differences),
        Column("verdict", list(rows["outcome"]), words=True),
    ]


def measures(rows: "pd.DataFrame", metric: Metric, *, regression: bool) -> list[Column]:
    """Further scores, what the test could have found, and costs.

    Args:
        rows: of one dataset and setting.
        metric: that they are compared by.
        regression: whether numbers are predicted, not classes.
    """

    def number(name: str, title: str, unit: Unit, digits: int, hint: str = "") -> Column:
        cells = [counting(value, unit, digits) for value in rows[name]]
        return Column(title, cells, _numbers(rows, name), hint)

    def score(title: str, name: str, hint: str) -> Column:
        cells = formats.scores(rows[name], rows[f"{name}_std"], PLAIN)
        return Column(title, cells, _numbers(rows, name), hint)

    gap = PLAIN if regression else POINTS
    simultaneous = formats.differences(rows, metric.unit, "simultaneous_")
    times = [
        NOTHING if math.isnan(value) else f"×{formats.rounded(value, 2)}"
        for value in rows["relative_seconds"]
    ]
    columns = [
        *(score(*scored) for scored in ([_SKILL] if regression else _CALIBRATION)),
        number("gap", f"gap{gap.suffix}", gap, 2,
               "Generalization gap: training rows are predicted so much better than test rows."),
        number("validation_loss", "validation loss", PLAIN, 3,
               "Without penalty, smoothing or noise."),
        number("improvement", "P(better)", PERCENT, 2,
               f"Share of seeds, in %, at which the technique beats {BASELINE}; ties count half."),
        Column(f"detectable{metric.unit.suffix}",
               [_detectable(value, metric.unit) for value in rows["detectable"]],
               _numbers(rows, "detectable"),
               "The difference that would have been found with a probability of 80%."),
        Column("simultaneous interval", [interval for _, interval in simultaneous],
               _numbers(rows, "simultaneous_low"),
               "All differences of this table lie within theirs with a probability of 95%."),
        number("epochs", "epochs", PLAIN, 3),
        number("seconds", "seconds", PLAIN, 2,
               "Of one run: its share of the time of those that train together."),
        Column(f"time vs {BASELINE}", times, _numbers(rows, "relative_seconds"),
               f"Seconds over those of {BASELINE} at the same seed."),
    ]  # fmt: skip
    return [_named(rows), *_telling(columns)]


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


def ranks(across: Across, metric: Metric) -> list[Column]:
    """The comparison across datasets, in the order of the average ranks."""
    average = across.ranks.mean().sort_values(kind="stable")
    tested = across.wilcoxon.reindex(average.index)
    middle = across.middle.reindex(average.index)
    differences, intervals = zip(*formats.differences(middle, metric.unit), strict=True)
    outcomes = zip(tested["wins"], tested["ties"], tested["losses"], strict=True)
    counts = [
        NOTHING if math.isnan(wins) else f"{wins:.0f} / {ties:.0f} / {losses:.0f}"
        for wins, ties, losses in outcomes
    ]
    columns = [
        Column("average rank", [f"{value:.2f}" for value in average], list(map(float, average)),
               "1 is the best."),
        Column("wins / ties / losses", counts, _numbers(tested, "wins"),
               f"Datasets on which the mean is better than that of {BASELINE}, equal, worse."),
        Column("p (Wilcoxon)", list(map(formats.p_value, tested["p"])), _numbers(tested, "p")),
        Column("p (Holm)", list(map(formats.p_value, tested["p_holm"])),
               _numbers(tested, "p_holm"),
               "Corrected for all techniques of this table; it decides."),
        Column(f"middle half vs {BASELINE}{metric.unit.suffix}", list(differences),
               _numbers(middle, "difference"),
               f"Interquartile mean of the differences to {BASELINE} at the same seed, of all "
               "datasets and seeds together."),
        Column("its 95% interval", list(intervals), _numbers(middle, "low"),
               "By a bootstrap over seeds within each dataset: a picture of the spread, no test."),
    ]  # fmt: skip
    return [Column("technique", list(map(str, average.index)), words=True), *_telling(columns)]


def _named(rows: "pd.DataFrame") -> Column:
    return Column("technique", list(map(str, rows["label"])), words=True)


def _telling(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if not column.silent]


def _numbers(rows: "pd.DataFrame", name: str) -> list[float]:
    return [float(value) for value in rows[name]]


def _printable(names: "pd.Series") -> list[str]:
    return [printable(str(name)) for name in names]


def _detectable(value: float, unit: Unit) -> str:
    """Rounded up; nothing where no difference can be so large."""
    if math.isnan(value):
        return NOTHING
    return f">{unit.factor:g}" if value > unit.most else formats.upwards(value, unit)
