"""The tables of a comparison, as text that a terminal, Markdown or HTML lays out."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.baseline import FAMILY, NONE, Baseline
from regexp.compare.formats import NOTHING, counted_digits
from regexp.compare.metric import PERCENT, PLAIN, POINTS, Metric, Unit
from regexp.compare.ranking import Across
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


def terminal_columns(
    rows: "pd.DataFrame", metric: Metric, against: Baseline = NONE
) -> list[Column]:
    """The table of a terminal: numbers with a fixed count of digits, a dash for nothing."""
    names = [name for name in FAMILY if rows[name].nunique() > 1]

    def fixed(name: str, form: str) -> list[str]:
        return ["-" if math.isnan(value) else form.format(value) for value in rows[name]]

    few_pairs = [
        f" ({count(pairs, 'pair')})" if 0 < pairs < finished else ""
        for pairs, finished in zip(rows["pairs"], rows["finished"], strict=True)
    ]
    differences = map(str.__add__, fixed("difference", "{:+.4f}"), few_pairs)
    intervals = [
        "-" if math.isnan(low) else f"{low:+.4f}, {high:+.4f}"
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    corrected = ["-" if math.isnan(p) else formats.p_text(p) for p in rows["p_holm"]]
    outcomes = list(rows["outcome"].replace("baseline", "-"))
    columns = [
        *(Column(name, _printable(rows[name]), words=True) for name in names),
        Column(against.factor, _printable(rows["label"]), words=True),
        Column("runs", list(map("{}/{}".format, rows["finished"], rows["runs"]))),
        Column(metric.name, fixed("mean", "{:.4f}")),
        _column("std", rows["std"], fixed("std", "{:.4f}")),
        _column(f"vs {against}", rows["difference"], differences),
        _column("95% interval", rows["low"], intervals, words=True),
        _column("p (Holm)", rows["p_holm"], corrected),
        Column("outcome", outcomes, [math.nan if cell == "-" else 1 for cell in outcomes],
               words=True),
        _column("epochs", rows["epochs"], fixed("epochs", "{:.1f}")),
        _column("time", rows["relative_seconds"], fixed("relative_seconds", "×{:.2f}")),
    ]  # fmt: skip
    return _telling(columns)


def verdict_columns(rows: "pd.DataFrame", metric: Metric, against: Baseline = NONE) -> list[Column]:
    """Score, difference, how sure it is, and the verdict in a sentence."""
    differences, intervals = zip(*formats.differences(rows, metric.unit), strict=True)
    runs = [
        str(started) if finished == started else f"{finished} of {started}"
        for finished, started in zip(rows["finished"], rows["runs"], strict=True)
    ]
    scores = formats.scores(rows["mean"], rows["std"], metric.unit)
    columns = [
        _column("runs", rows["finished"], runs, "Seeds that finished, of all where some did not."),
        _column(metric.title, rows["mean"], scores, "Mean and standard deviation over seeds."),
        _column(f"vs {against}{metric.unit.suffix}", rows["difference"], differences,
                f"Mean over seeds of the difference to {against} at the same seed."),
        _column("95% interval", rows["low"], intervals,
                "Of one row looked at alone; among many some leave out zero by luck."),
        _column("p (Holm)", rows["p_holm"], map(formats.p_text, rows["p_holm"]),
                "Corrected for all that this table compares; it decides the verdict."),
    ]  # fmt: skip
    if len(set(runs)) == 1:
        del columns[0]
    return [
        _named(rows, against),
        *_telling(columns),
        Column("verdict", list(rows["verdict"]), words=True),
    ]


def summary_columns(rows: "pd.DataFrame", metric: Metric, against: Baseline = NONE) -> list[Column]:
    """Technique, score, difference with its interval, and the verdict in a word."""
    differences = [
        difference if interval == NOTHING else f"{difference} ({interval})"
        for difference, interval in formats.differences(rows, metric.unit)
    ]
    return [
        _named(rows, against),
        Column(metric.title, formats.scores(rows["mean"], rows["std"], metric.unit)),
        Column(f"difference{metric.unit.suffix} (95% interval)", differences),
        Column("verdict", list(rows["outcome"]), words=True),
    ]


def measure_columns(
    rows: "pd.DataFrame", metric: Metric, against: Baseline = NONE, *, regression: bool
) -> list[Column]:
    """Further scores, what the test could have found, and costs.

    Args:
        rows: of one dataset and setting.
        regression: whether numbers are predicted, not classes.
    """

    def number(name: str, title: str, unit: Unit, digits: int, hint: str = "") -> Column:
        cells = (counted_digits(value, unit, digits) for value in rows[name])
        return _column(title, rows[name], cells, hint)

    gap = PLAIN if regression else POINTS
    simultaneous = formats.differences(rows, metric.unit, "simultaneous_")
    times = rows["relative_seconds"]
    columns = [
        *(_column(title, rows[name], formats.scores(rows[name], rows[f"{name}_std"], PLAIN), hint)
          for title, name, hint in (_SKILL if regression else _CALIBRATION)),
        number("gap", f"gap{gap.suffix}", gap, 2,
               "Generalization gap: training rows are predicted so much better than test rows."),
        number("validation_loss", "validation loss", PLAIN, 3,
               "Without penalty, smoothing or noise."),
        number("improvement", "P(better)", PERCENT, 2,
               f"Share of seeds, in %, at which it beats {against}; ties count half."),
        _column(f"detectable{metric.unit.suffix}", rows["detectable"],
                (_detectable(difference, metric.unit) for difference in rows["detectable"]),
                "The difference that would have been found with a probability of 80%."),
        _column("simultaneous interval", rows["simultaneous_low"],
                (interval for _, interval in simultaneous),
                "All differences of this table lie within theirs with a probability of 95%."),
        number("epochs", "epochs", PLAIN, 3),
        number("seconds", "seconds", PLAIN, 2,
               "Of one run: its share of the time of those that train together."),
        _column(f"time vs {against}", times,
                (NOTHING if math.isnan(time) else f"×{formats.rounded(time, 2)}" for time in times),
                f"Seconds over those of {against} at the same seed."),
    ]  # fmt: skip
    return [_named(rows, against), *_telling(columns)]


_CALIBRATION = (
    ("NLL", "loss", "Negative log-likelihood of the test rows, in nats; lower is better."),
    ("Brier", "brier",
     "Squared distance of the probabilities to the truth, 0 to 2; lower is better."),
    ("ECE", "ece", "Expected calibration error, in 15 bins of equal width; lower is better."),
)  # fmt: skip
_SKILL = (
    ("skill", "skill",
     "1 - RMSE / that of the naive forecast, which says the last value again; above 0 is better."),
)  # fmt: skip


def rank_columns(across: Across, metric: Metric) -> list[Column]:
    """The comparison across datasets, in the order of the average ranks."""
    against = across.against
    average = across.ranks.mean().sort_values(kind="stable")
    tested = across.wilcoxon.reindex(average.index)
    middle = across.middle.reindex(average.index)
    differences, intervals = zip(*formats.differences(middle, metric.unit), strict=True)
    counts = [
        NOTHING if math.isnan(wins) else f"{wins:.0f} / {ties:.0f} / {losses:.0f}"
        for wins, ties, losses in zip(tested["wins"], tested["ties"], tested["losses"], strict=True)
    ]
    columns = [
        _column("average rank", average, map("{:.2f}".format, average), "1 is the best."),
        _column("wins / ties / losses", tested["wins"], counts,
                f"Datasets on which the mean is better than that of {against}, equal, worse."),
        _column("p (Wilcoxon)", tested["p"], map(formats.p_text, tested["p"])),
        _column("p (Holm)", tested["p_holm"], map(formats.p_text, tested["p_holm"]),
                "Corrected for all that this table compares; it decides."),
        _column(f"middle half vs {against}{metric.unit.suffix}", middle["difference"], differences,
                f"Interquartile mean of the differences to {against} at the same seed, of all "
                "datasets and seeds together."),
        _column("its 95% interval", middle["low"], intervals,
                "By a bootstrap over seeds within each dataset: a picture of the spread, no test."),
    ]  # fmt: skip
    return [Column(against.factor, list(map(str, average.index)), words=True), *_telling(columns)]


def _column(
    title: str, values: "pd.Series", cells: Iterable[str], hint: str = "", *, words: bool = False
) -> Column:
    return Column(title, list(cells), [float(value) for value in values], hint, words)


def _named(rows: "pd.DataFrame", against: Baseline) -> Column:
    return Column(against.factor, list(map(str, rows["label"])), words=True)


def _telling(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if not column.silent]


def _printable(names: "pd.Series") -> list[str]:
    return [printable(str(name)) for name in names]


def _detectable(value: float, unit: Unit) -> str:
    """Rounded up; nothing where no difference can be so large."""
    if math.isnan(value):
        return NOTHING
    return f">{unit.factor:g}" if value > unit.most else formats.upwards(value, unit)
