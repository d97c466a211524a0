"""The comparison of one sweep or several: what their runs allow one to say, read from MLflow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from regexp.compare import several
from regexp.compare.baseline import FAMILY, KEYS, NONE, Baseline
from regexp.compare.by_row import RowReader
from regexp.compare.factor import baseline_of, by_factor, factor_of
from regexp.compare.looks import ALONE, Spending, spending_of
from regexp.compare.metric import Metric, metric_of
from regexp.compare.notes import notes as notes_of
from regexp.compare.notes import nothing_compared
from regexp.compare.notes import remarks as remarks_of
from regexp.compare.question import Question
from regexp.compare.ranking import Across, rank
from regexp.compare.table import FINISHED, counted_runs, no_rows, tabulate
from regexp.compare.tested import Rules, Tested
from regexp.compare.verdict import Judge
from regexp.compare.yardsticks import NOTE, Yardsticks, as_guesses
from regexp.errors import ConfigError, nearest
from regexp.metrics.names import ACCURACY, LOSS, METRIC, RMSE, TUNING_STAGE, column

if TYPE_CHECKING:
    import pandas as pd


class Source(Protocol):
    """Where runs are read from: a `Tracker`, or the `Reader` of a store.

    Attributes:
        server: the address of the server that has them, without credentials; empty where files do.
    """

    @property
    def server(self) -> str: ...

    def runs(self, sweep_id: str) -> "pd.DataFrame":
        """One row a run of a sweep, as `Tracker.runs` gives them."""

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The values of a metric by step, for every run that has it."""

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""


@dataclass(frozen=True)
class Family:
    """A dataset and setting, whose verdicts are corrected together.

    Attributes:
        dataset, setting: their names.
        rows: of the comparison's table.
        judge: how its verdicts were given.
        notes: what a reader must know of the verdicts.
        yardsticks: rows like those of the table, of which no verdict is given.
    """

    dataset: str
    setting: str
    rows: "pd.DataFrame"
    judge: Judge
    notes: list[str]
    yardsticks: "pd.DataFrame" = field(default_factory=no_rows)

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(filter(None, (self.dataset, self.setting))) or "no dataset"

    @property
    def shown(self) -> "pd.DataFrame":
        """The rows, and below them the yardsticks."""
        import pandas as pd

        if self.yardsticks.empty:
            return self.rows
        return pd.concat([self.rows, self.yardsticks], ignore_index=True)


@dataclass(frozen=True)
class Comparison:
    """What the runs of sweeps allow one to say.

    Attributes:
        metric: that techniques are compared by.
        runs: that count: no trials, one run a seed of each technique, dataset and setting; as
            `Tracker.runs` gives them, with the column `sweep`, in the order of the table.
        trials: of a search for numbers.
        table: from `compare.table`.
        families: the table by dataset and setting.
        across: the comparison across datasets; None where there are less than two.
        sweeps: id -> name of the sweeps.
        remarks: what a reader must know of all of it.
        against: the baseline, and what is compared with it.
        findings: remarks that no sweep should end without.
        spending: what it spends of the error that all looks at the runs share.
        matters: the least gain that matters, as it was asked; None for the metric's own.
        server: the address of the server that has the runs; empty where files have.
    """

    metric: Metric
    runs: "pd.DataFrame"
    trials: "pd.DataFrame"
    table: "pd.DataFrame"
    families: list[Family]
    across: Across | None
    sweeps: dict[str, str]
    remarks: list[str] = field(default_factory=list)
    against: Baseline = NONE
    findings: list[str] = field(default_factory=list)
    spending: Spending = ALONE
    matters: float | None = None
    server: str = ""

    @property
    def shown(self) -> "pd.DataFrame":
        """The table, with the yardsticks of each dataset and setting below its rows."""
        import pandas as pd

        if all(family.yardsticks.empty for family in self.families):
            return self.table
        return pd.concat([family.shown for family in self.families], ignore_index=True)

    def regression(self, dataset: str) -> bool:
        """Whether numbers of a dataset are predicted, not classes."""
        return has(self.runs[self.runs["dataset"] == dataset], RMSE)


def compare(
    source: Source,
    sweep_ids: Sequence[str],
    question: Question | None = None,
    names: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare the techniques of sweeps; of running ones what has finished by now.

    Where several sweeps have the same technique, dataset, setting and seed, the latest finished run
    counts. What else differs between them is told apart, see `several`.

    Args:
        source: of the runs.
        sweep_ids: of the parent runs.
        question: what is compared, and by what; None for what fits the runs.
        names: of the sweeps, by their ids.

    Raises:
        ConfigError: no finished run has the metric, the factor or the baseline; a least gain that
            is none.
    """
    question = question or Question()
    if question.matters is not None and not 0 <= question.matters < math.inf:
        raise ConfigError(
            key="matters",
            got=question.matters,
            expected="a number >= 0, the least gain that counts",
        )
    frames = {sweep_id: source.runs(sweep_id) for sweep_id in dict.fromkeys(sweep_ids)}
    sticks = Yardsticks.of(frames)
    frames = {sweep_id: sticks.without(frame) for sweep_id, frame in frames.items()}
    recorded = several.together(frames, question.factor)
    recorded = recorded[recorded["technique"] != ""]  # a person may have made a child run as well
    factor = factor_of(counted_runs(recorded), question.factor)
    recorded = by_factor(recorded, factor)
    trials, runs = recorded[_is_trial(recorded)], counted_runs(recorded)
    against = baseline_of(runs, factor, question.baseline)
    both = has(runs, ACCURACY) and has(runs, RMSE)
    asked = _checked(runs, question.metric) if question.metric else _headline(runs)
    metric = metric_of(asked, runs)
    spending = spending_of(source, frames, runs, metric, against)
    reader = RowReader(source, metric.name)
    rules = Rules(question.matters, spending.level, reader, spending.level_at)
    table, tested = tabulate(runs, metric, against, rules)
    # In the order of the table, not in that in which jobs happened to start.
    places = table[KEYS].reset_index(names="place")
    runs = runs.merge(places, on=KEYS, how="left").sort_values(["place", "seed"], kind="stable")
    runs = runs.drop(columns="place").reset_index(drop=True)
    families = _families(table, tested, runs, sticks, metric, against)
    remarks = remarks_of(runs, against, mixed=both, searched=bool(len(trials)))
    findings = spending.remarks + as_guesses(families, runs, sticks, metric)
    if any(len(family.yardsticks) for family in families):
        remarks.append(NOTE)
    return Comparison(
        metric=metric,
        server=source.server,
        runs=runs,
        trials=trials,
        table=table,
        families=families,
        across=None if both else rank(table, runs, metric, against, spending.level),
        sweeps={sweep_id: (names or {}).get(sweep_id, sweep_id) for sweep_id in frames},
        remarks=[*findings, *remarks],
        against=against,
        findings=findings,
        spending=spending,
        matters=question.matters,
    )


def _is_trial(runs: "pd.DataFrame") -> "pd.Series":
    return runs["stage"] == TUNING_STAGE if "stage" in runs else runs["status"] == ""


def has(runs: "pd.DataFrame", metric: str) -> bool:
    """Whether a finished run has a metric."""
    name = column(metric)
    return name in runs and bool(runs.loc[runs["status"] == FINISHED, name].notna().any())


def _headline(runs: "pd.DataFrame") -> str:
    if has(runs, RMSE):
        return LOSS if has(runs, ACCURACY) else RMSE
    return ACCURACY


def _checked(runs: "pd.DataFrame", metric: str) -> str:
    """A metric that was asked for, if any finished run has it."""
    if has(runs, metric):
        return metric
    recorded = [name.removeprefix(METRIC) for name in map(str, runs) if name.startswith(METRIC)]
    there = [name for name in recorded if has(runs, name)]
    problem = f"no finished run has it{nearest(metric, there)}"
    raise ConfigError(problem, key="metric", got=metric)


def _families(
    table: "pd.DataFrame",
    tested: Mapping[tuple[str, str], Tested],
    runs: "pd.DataFrame",
    sticks: Yardsticks,
    metric: Metric,
    against: Baseline,
) -> list[Family]:
    """In the order of the table."""
    compared = sum(len(family.compared) > 0 for family in tested.values())
    families = []
    for name, rows in table.groupby(FAMILY, sort=False):
        key = cast("tuple[str, str]", name)
        test = tested[key]
        notes = [nothing_compared(runs, against)]
        if len(test.compared):
            notes = notes_of(
                test.compared, test.overlap, test.judge, families=compared, against=against
            )
            notes += test.remarks
        members = runs[(runs[FAMILY] == list(key)).all(axis=1)]
        beside = sticks.rows(members, metric, against, test.overlap)
        families.append(Family(*key, rows, test.judge, notes, beside))
    return families
