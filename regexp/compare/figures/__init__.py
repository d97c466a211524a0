"""The pictures of a comparison: functions from its frames to figures, and which of them apply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from regexp.compare.baseline import FAMILY, KEYS, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.budget import budget
from regexp.compare.figures.cost import cost, placed, titled
from regexp.compare.figures.critical_difference import critical_difference
from regexp.compare.figures.forest import forest
from regexp.compare.figures.heat_map import heat_map
from regexp.compare.figures.learning import learning_curves
from regexp.compare.figures.overfitting import overfitting
from regexp.compare.figures.picture import Picture, file_name, png, shown_in_notebooks, svg
from regexp.compare.figures.rates import rates
from regexp.compare.figures.reliability import reliability
from regexp.compare.figures.settings import groups, settings
from regexp.compare.figures.weights import weights
from regexp.compare.metric import Metric
from regexp.compare.pictured import BEST, WORST, panel_keys
from regexp.metrics import names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from regexp.compare.comparison import Comparison

__all__ = [
    "Each",
    "Picture",
    "Sketch",
    "budget",
    "cost",
    "critical_difference",
    "draw",
    "drawn",
    "forest",
    "heat_map",
    "learning_curves",
    "overfitting",
    "png",
    "rates",
    "reliability",
    "settings",
    "shown_in_notebooks",
    "sketched",
    "svg",
    "weights",
]

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Python's `map`, or another that works on several items at once and gives them in order."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], /
    ) -> Iterator[Result]: ...


class Sketch(NamedTuple):
    """A picture that is not drawn yet; `of` stands after its kind in the name of its file."""

    kind: str
    title: str
    caption: str
    figure: Callable[[], Figure]
    of: str = ""

    @property
    def name(self) -> str:
        """Of its file, without ending."""
        return file_name("_".join(filter(None, [self.kind, self.of])))


def sketched(
    comparison: Comparison, curves: pd.DataFrame, diagnostics: pd.DataFrame
) -> list[Sketch]:
    """The pictures that a comparison allows, those across datasets first.

    Args:
        comparison: from `compare.compare`.
        curves, diagnostics: from `compare.curves` and `compare.diagnostics`, of the same runs.
    """
    return [
        *_across(comparison),
        *_families(comparison, curves, diagnostics),
        *_rates(curves),
    ]


def draw(
    comparison: Comparison,
    curves: pd.DataFrame,
    diagnostics: pd.DataFrame,
    each: Each = map,
) -> list[Picture]:
    """What is `sketched`, drawn."""
    return drawn(sketched(comparison, curves, diagnostics), each)


def drawn(sketches: Sequence[Sketch], each: Each = map) -> list[Picture]:
    """Sketches, drawn; what cannot be drawn is left out and told of in the log."""
    made = list(each(_drawn, sketches))
    for sketch, reason in zip(sketches, made, strict=True):
        if isinstance(reason, str):
            _logger.warning("%s: cannot be drawn (%s)", sketch.title, reason)
    return [one for one in made if isinstance(one, Picture)]


def _drawn(sketch: Sketch) -> Picture | str:
    """The picture, or why it cannot be drawn."""
    try:
        figure = sketch.figure()
        file = png(figure)
        figure.set_layout_engine("none")  # the page's has the places that were found for the file
        element = svg(figure, sketch.name, sketch.title)
    except Exception as error:  # a picture must not take the comparison with it
        return f"{type(error).__name__}: {error}"
    return Picture(sketch.name, sketch.title, sketch.caption, file, element, sketch.kind)


def _across(comparison: Comparison) -> Iterator[Sketch]:
    table, metric, against = comparison.table, comparison.metric, comparison.against
    measured = s.measured(metric.name)
    compared = table[table["difference"].notna() & ~against.rows(table)]
    if len(compared[FAMILY].drop_duplicates()) > 1:
        yield Sketch(
            "heat_map", "All differences to the baseline",
            f"Each number is the mean paired difference of {measured} to {against}, rows ordered "
            "by their mean. Blue is better, red is worse; bold and framed where the corrected "
            "p-value makes it a verdict.",
            partial(heat_map, table, metric, against),
        )  # fmt: skip
    if comparison.across is not None:
        yield Sketch(
            "critical_difference", "Average ranks across datasets",
            "Techniques by their average rank over the datasets, the best on the left. A bar joins "
            "those that Nemenyi's test cannot tell apart, which it seldom can for many techniques "
            "on few datasets; a star marks those that differ from the baseline by joint flips of "
            "the datasets' signs, corrected for all of them.",
            partial(critical_difference, comparison.across),
        )  # fmt: skip
    for dataset, key, rest, rows in groups(table):
        if (rows["difference"].notna() & ~against.rows(rows)).any():
            place = ", ".join(filter(None, [dataset, rest]))
            yield Sketch(
                "settings", f"Difference to the baseline against {key}: {place}",
                f"The mean paired difference of {measured} to {against} at each {key}, with its "
                "95% interval; a filled marker is a claim (helps or hurts), an empty one none.",
                partial(settings, rows, metric, key, against),
                "_".join(filter(None, [key, dataset, rest])),
            )  # fmt: skip


def _rates(curves: pd.DataFrame) -> Iterator[Sketch]:
    for name, part in curves[curves["metric"] == names.LEARNING_RATE].groupby(
        "dataset", sort=False
    ):
        yield Sketch(
            "learning_rate", f"Learning rates: {name}",
            "The learning rate of each epoch's last step as it was recorded, one line for all runs "
            "that share it; where runs have their own, the mean over seeds.",
            partial(rates, part), str(name),
        )  # fmt: skip


def _families(
    comparison: Comparison, curves: pd.DataFrame, diagnostics: pd.DataFrame
) -> Iterator[Sketch]:
    for family in comparison.families:
        place = [family.dataset, family.setting]
        parts = [frame[(frame[FAMILY] == place).all(axis=1)] for frame in
                 (curves, diagnostics, comparison.runs, comparison.trials)]  # fmt: skip
        for sketch in _family(family.rows, comparison.metric, comparison.against, *parts):
            title = s.entitled(sketch.title, family.rows)
            yield sketch._replace(title=title, of="_".join(filter(None, place)))


def _family(
    table: pd.DataFrame, metric: Metric, against: Baseline, curves: pd.DataFrame,
    diagnostics: pd.DataFrame, runs: pd.DataFrame, trials: pd.DataFrame,
) -> Iterator[Sketch]:  # fmt: skip
    measured = s.measured(metric.name)
    if (table["difference"].notna() & ~against.rows(table)).any():
        yield Sketch(
            "forest", "Difference to the baseline",
            f"Each row is the mean of {measured} minus that of {against} at equal seeds. The "
            "thick line is its 95% interval, looked at alone; the thin one holds for all rows "
            "together. Only filled diamonds (helps) and squares (hurts) are claims.",
            partial(forest, table, metric, against),
        )  # fmt: skip
    if len(placed(table, against)) > 1:
        yield Sketch(
            "cost", titled(metric),
            f"Mean {measured} against training time in units of the baseline's. No technique beats "
            "those on the stepped line in both.",
            partial(cost, table, metric, against),
        )  # fmt: skip
    yield from _trials(trials, metric, against)
    there = set(curves["metric"])
    losses = [names.EPOCH_TRAINING_LOSS, names.EPOCH_VALIDATION_LOSS]
    overfits = set(losses) <= set(curves.loc[against.rows(curves), "metric"])
    if overfits:
        yield Sketch(
            "overfitting", "Overfitting of the baseline",
            "Losses of the baseline on training and validation rows: thin lines are seeds, thick "
            "ones their mean. Where the validation loss turns up while the training loss goes on "
            "falling, the network learns its rows by heart; the dotted lines are where techniques "
            "stopped (median over seeds).",
            partial(overfitting, curves, runs, against),
        )  # fmt: skip
    explained = (
        "Means over seeds, with a band of one standard deviation. The baseline is behind in grey; "
        "a line is dotted where some seeds have stopped."
    )
    for metrics in (losses, [names.EPOCH_VALIDATION_ACCURACY], [names.EPOCH_VALIDATION_RMSE]):
        shown = overfits and metrics is losses and len(table) == 1  # those of the baseline alone
        if there & set(metrics) and not shown:
            kind = metrics[-1].rpartition("/")[2]
            yield Sketch(
                f"learning_curves_{kind}", f"Learning curves, {s.measured(kind)}", explained,
                partial(learning_curves, curves, metrics=metrics, against=against),
            )  # fmt: skip
    yield from _distributions(table, metric, against, diagnostics)


def _trials(trials: pd.DataFrame, compared: Metric, against: Baseline) -> Iterator[Sketch]:
    """Expected validation performance, where numbers were searched for."""
    if trials.empty:
        return

    def figure() -> Figure:
        from regexp.compare.budget import expected_validation

        twin = names.chosen_by(compared.name)
        pairs = [(twin, compared.lower_is_better), *names.CHOSEN_BY]
        chosen_by = [Metric(*pair) for pair in pairs if names.column(pair[0]) in trials]
        metric = [*chosen_by, Metric(names.VALIDATION_LOSS, lower_is_better=True)][0]
        expected = expected_validation(trials, metric.name, metric.lower_is_better)
        return budget(expected, metric, against)

    yield Sketch(
        "budget", "Validation performance against budget",
        "What the best of so many configurations, drawn at random from those that were tried, is "
        "expected to score on validation rows (Tang et al. 2020), with a band that holds it in at "
        "least 80% of the draws. Where lines cross, the winner depends on the budget.",
        figure,
    )  # fmt: skip


def _distributions(
    table: pd.DataFrame, metric: Metric, against: Baseline, diagnostics: pd.DataFrame
) -> Iterator[Sketch]:
    if diagnostics.empty:
        return
    drawn = panel_keys(table, metric, against)
    keys = [tuple(row) for row in diagnostics[KEYS].itertuples(index=False)]
    some = diagnostics[[key in drawn for key in keys]]
    left = len(table) - len(drawn)
    only = f" Of {len(table)} rows, the best {BEST} and the worst {WORST}." if left > 0 else ""
    if any("weights" in content for content in some["content"]):
        yield Sketch(
            "weights", "Sizes of the weights",
            "Histograms of log10 |w| at the end of training, all seeds together; the line is the "
            f"baseline. Zeros have no place on the axis: their share is written.{only}",
            partial(weights, some, against),
        )  # fmt: skip
    if any("reliability" in content for content in some["content"]):
        yield Sketch(
            "reliability", "Reliability diagrams",
            "How often predictions are right (above) and how many there are (below), by how sure "
            "they are; all seeds' test rows together. Above the diagonal a network is too modest, "
            f"below it too sure. ECE is the mean over seeds.{only}",
            partial(reliability, some, against),
        )  # fmt: skip
