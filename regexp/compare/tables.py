"""The tables of a comparison, as text that a terminal, Markdown or HTML lays out."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.baseline import FAMILY, Baseline
from regexp.compare.family import ROWS
from regexp.compare.formats import NOTHING, counted_digits, in_ascii
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
    rows: "pd.DataFrame", metric: Metric, against: Baseline, level: float
) -> list[Column]:
    """The table of a terminal: numbers with a fixed count of digits, a dash for nothing.

    Args:
        rows: of a comparison's table.
        metric: that techniques are compared by.
        against: the baseline.
        level: to which p-values are held.
    """
    names = [name for name in FAMILY if rows[name].nunique() > 1]

    def fixed(name: str, form: str) -> list[str]:
        return ["-" if math.isnan(value) else form.format(value) for value in rows[name]]

    def counted(name: str, digits: int, *, sign: bool = False) -> list[str]:
        return [in_ascii(formats.rounded(value, digits, sign=sign)) for value in rows[name]]

    scores = max(4, formats.common(rows["std"], PLAIN, 4))
    steps = max(4, formats.common((rows["high"] - rows["low"]) / 2, PLAIN, 4))
    few_pairs = [
        f" ({count(pairs, 'pair')})" if 0 < pairs < finished else ""
        for pairs, finished in zip(rows["pairs"], rows["finished"], strict=True)
    ]
    differences = map(str.__add__, counted("difference", steps, sign=True), few_pairs)
    intervals = [
        "-" if math.isnan(low) else in_ascii(
            formats.interval_text(low, high, steps, PLAIN, sign=True, between=", ")[0]
        )
        for low, high in zip(rows["low"], rows["high"], strict=True)
    ]  # fmt: skip
    sure = ["-" if math.isnan(p) else formats.percent(p) for p in rows["p_helps"]]
    corrected = ["-" if math.isnan(p) else formats.p_text(p, level) for p in rows["p_corrected"]]
    columns = [
        *(Column(name, _printable(rows[name]), words=True) for name in names),
        Column(against.factor, _printable(rows["label"]), words=True),
        Column("runs", list(map("{}/{}".format, rows["finished"], rows["runs"]))),
        Column(metric.name, counted("mean", scores)),
        _column("std", rows["std"], counted("std", scores)),
        _column(f"vs {against}", rows["difference"], differences),
        _column("95% interval", rows["low"], intervals, words=True),
        _column("P(helps)", rows["p_helps"], sure),
        _column("p (Holm)", rows["p_corrected"], corrected),
        _outcomes("verdict", rows["outcome"]),
        _outcomes(_OTHER, rows[f"{ROWS}outcome"]),
        _column("epochs", rows["epochs"], fixed("epochs", "{:.1f}")),
        _column("time", rows["relative_seconds"], fixed("relative_seconds", "×{:.2f}")),
    ]  # fmt: skip
    return _telling(columns)


_OTHER = "other rows"


def _outcomes(title: str, outcomes: "pd.Series") -> Column:
    """Verdicts in words; where none is given of anything, a column that says nothing."""
    cells = ["-" if outcome in ("", "baseline") else str(outcome) for outcome in outcomes]
    nothing = {"-", "no verdict"} if title == _OTHER else {"-"}
    silent = set(cells) <= nothing
    return Column(title, cells, [math.nan if silent else 1.0] * len(cells), words=True)


def verdict_columns(rows: "pd.DataFrame", metric: Metric, against: Baseline) -> list[Column]:
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
                "On this table, looked at alone; among many some leave out zero by luck."),
        _probability("P(helps)", rows["p_helps"], f"Probability of being better than {against}, "
                     "looked at alone."),
        _probability("P(matters)", rows["p_matters"],
                     "Probability of a gain of at least compare.matters."),
        _probability("P(best)", rows["p_best"],
                     f"Probability of being the best of this table, {against} included."),
        _other_rows(rows),
    ]  # fmt: skip
    if len(set(runs)) == 1:
        del columns[0]
    return [
        _named(rows, against),
        *_telling(columns),
        Column("verdict", list(rows["verdict"]), words=True),
    ]


def _probability(title: str, values: "pd.Series", hint: str) -> Column:
    return _column(title, values, map(formats.percent, values), hint)


def _other_rows(rows: "pd.DataFrame") -> Column:
    found = _outcomes(_OTHER, rows[f"{ROWS}outcome"])
    cells = [NOTHING if cell == "-" else cell for cell in found.cells]
    hint = "The verdict on other rows of the same kind; the one in words begins with this table."
    return Column(found.title, cells, found.values, hint, words=True)


def deciding_columns(
    rows: "pd.DataFrame", metric: Metric, against: Baseline, level: float
) -> list[Column]:
    """What decides: p-values, what could have been found, and the other rows' intervals.

    Args:
        rows: of one dataset and setting.
        metric: that techniques are compared by.
        against: the baseline.
        level: to which p-values are held.
    """
    columns = []
    for prefix, of, by in (("", "this table", "Holm"), (ROWS, "other rows", "family")):
        p, corrected = rows[f"{prefix}p"], rows[f"{prefix}p_corrected"]
        seeds = rows[f"{prefix}seeds_needed"]
        if prefix:
            _, intervals = zip(*formats.differences(rows, metric.unit, prefix), strict=True)
            columns += [
                _column(f"95% interval, {of}", rows[f"{prefix}low"], intervals),
                _probability(f"P(helps), {of}", rows[f"{prefix}p_helps"], ""),
            ]
        columns += [
            _column(f"p, {of}", p, map(formats.p_text, p), "Of one row looked at alone."),
            _column(f"p ({by}), {of}", corrected, (formats.p_text(p, level) for p in corrected),
                    "Corrected for all that this table compares; it decides."),
            _column(f"detectable, {of}{metric.unit.suffix}", rows[f"{prefix}detectable"],
                    (_detectable(each, metric.unit) for each in rows[f"{prefix}detectable"]),
                    "The difference that would have been found with a probability of 80%."),
            _column(f"seeds, {of}", seeds, (_seeds(each) for each in seeds),
                    "That would decide with a probability of 80%, were the difference the one "
                    "seen; ∞ where more test rows are needed."),
        ]  # fmt: skip
    simultaneous = formats.differences(rows, metric.unit, "simultaneous_")
    columns.append(
        _column("simultaneous interval", rows["simultaneous_low"],
                (interval for _, interval in simultaneous),
                "All differences of this table lie within theirs with a probability of 95% or "
                "more: they are of the level that claims are held to.")
    )  # fmt: skip
    return [_named(rows, against), *_telling(columns)]


def _seeds(seeds: float) -> str:
    if math.isnan(seeds):
        return NOTHING
    return "∞" if math.isinf(seeds) else f"{seeds:,.0f}"


def summary_columns(rows: "pd.DataFrame", metric: Metric, against: Baseline) -> list[Column]:
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
        *_telling([_other_rows(rows)]),
    ]


def measure_columns(rows: "pd.DataFrame", against: Baseline, *, regression: bool) -> list[Column]:
    """Further scores, and costs.

    Args:
        rows: of one dataset and setting.
        regression: whether numbers are predicted, not classes.
    """

    def number(name: str, title: str, unit: Unit, digits: int, hint: str = "") -> Column:
        cells = (counted_digits(value, unit, digits) for value in rows[name])
        return _column(title, rows[name], cells, hint)

    gap = PLAIN if regression else POINTS
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
    tested = across.tested.reindex(average.index)
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
        _column("p (joint)", tested["p_joint"],
                (formats.p_text(p, across.alpha) for p in tested["p_joint"]),
                "By joint flips of the datasets' signs, corrected for all that this table "
                "compares; it decides."),
        _column("p (Wilcoxon)", tested["p"], map(formats.p_text, tested["p"])),
        _column("p (Wilcoxon, Holm)", tested["p_holm"], map(formats.p_text, tested["p_holm"]),
                "The ranks' own, corrected for all that this table compares."),
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
