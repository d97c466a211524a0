"""The comparison of one sweep or several: what their runs allow one to say, read from MLflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from regexp.compare import several, verdict
from regexp.compare.ranking import Across, rank
from regexp.compare.table import BASELINE, KEYS, TUNING, Family, counting, tabulate
from regexp.errors import ConfigError, nearest
from regexp.metrics.names import lower_is_better

if TYPE_CHECKING:
    import pandas as pd

ACCURACY, ERROR, LOSS = "test/accuracy", "test/rmse", "test/loss"


class Source(Protocol):
    """Where runs are read from: a `Tracker`, or the `Reader` of a store."""

    def runs(self, sweep_id: str) -> "pd.DataFrame":
        """One row a run of a sweep, as `Tracker.runs` gives them."""

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The values of a metric by step, for every run that has it."""

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""


@dataclass(frozen=True)
class Comparison:
    """What the runs of sweeps allow one to say.

    Attributes:
        metric: that techniques are compared by.
        lower_is_better: True for errors and losses.
        runs: that count: no trials, one run a seed of each technique, dataset and setting; as
            `Tracker.runs` gives them, with the column `sweep`, in the order of the table.
        trials: of a search for numbers.
        table: from `compare.table`.
        notes: of each dataset and setting, what a reader must know of its verdicts.
        across: the comparison across datasets; None where there are less than two.
        sweeps: id -> name of the sweeps.
        remarks: what a reader must know of all of it.
    """

    metric: str
    lower_is_better: bool
    runs: "pd.DataFrame"
    trials: "pd.DataFrame"
    table: "pd.DataFrame"
    notes: dict[tuple[str, str], list[str]]
    across: Across | None
    sweeps: dict[str, str]
    remarks: list[str] = field(default_factory=list)

    @property
    def regression(self) -> bool:
        """Whether numbers are predicted, not classes."""
        return has(self.runs, ERROR)


def compare(
    source: Source,
    sweep_ids: Sequence[str],
    metric: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare the techniques of sweeps; of running ones what has finished by now.

    Where several sweeps have the same technique, dataset, setting and seed, the latest finished run
    counts. What else differs between them is told apart, see `several`.

    Args:
        source: of the runs.
        sweep_ids: of the parent runs.
        metric: as recorded, such as `test/accuracy`; None is that, or `test/rmse` in regression,
            or `test/loss` where there are both.
        names: of the sweeps, by their ids.

    Raises:
        ConfigError: no finished run has the metric.
    """
    sweep_ids = list(dict.fromkeys(sweep_ids))
    recorded = several.together({one: source.runs(one) for one in sweep_ids})
    recorded = recorded[recorded["technique"] != ""]  # a person may have made a child run as well
    searched = recorded["stage"] == TUNING if "stage" in recorded else recorded["status"] == ""
    trials, runs = recorded[searched], counting(recorded[~searched])
    both = has(runs, ACCURACY) and has(runs, ERROR)
    metric = _checked(runs, metric) if metric else _headline(runs)
    lower = lower_is_better(metric)
    table, families = tabulate(runs, metric, lower_is_better=lower)
    # In the order of the table, not in that in which jobs happened to start.
    places = table[KEYS].reset_index(names="place")
    runs = runs.merge(places, on=KEYS, how="left").sort_values(["place", "seed"], kind="stable")
    runs = runs.drop(columns="place").reset_index(drop=True)
    return Comparison(
        metric=metric,
        lower_is_better=lower,
        runs=runs,
        trials=trials,
        table=table,
        notes=_notes(families),
        across=None if both else rank(table, runs),
        sweeps={one: (names or {}).get(one, one) for one in sweep_ids},
        remarks=_remarks(runs, both, searched=bool(len(trials))),
    )


def has(runs: "pd.DataFrame", metric: str) -> bool:
    """Whether a finished run has a metric."""
    name = f"metrics.{metric}"
    return name in runs and bool(runs.loc[runs["status"] == "FINISHED", name].notna().any())


def _headline(runs: "pd.DataFrame") -> str:
    if has(runs, ERROR):
        return LOSS if has(runs, ACCURACY) else ERROR
    return ACCURACY


def _checked(runs: "pd.DataFrame", metric: str) -> str:
    """A metric that was asked for, if any finished run has it."""
    if has(runs, metric):
        return metric
    names = [
        name.removeprefix("metrics.") for name in map(str, runs) if name.startswith("metrics.")
    ]
    there = [name for name in names if has(runs, name)]
    raise ConfigError(f"--metric {metric}: no finished run has it{nearest(metric, there)}")


def _notes(families: Mapping[tuple[str, str], Family]) -> dict[tuple[str, str], list[str]]:
    compared = [key for key, family in families.items() if len(family.compared)]
    return {
        key: [*verdict.notes(family.compared, families=len(compared)), *family.remarks]
        if key in compared
        else [f"There is nothing to compare: it takes runs of {BASELINE} and of a technique."]
        for key, family in families.items()
    }


def _remarks(runs: "pd.DataFrame", both: bool, *, searched: bool) -> list[str]:
    said = []
    running = int((runs["status"] == "RUNNING").sum())
    if running:
        said.append(
            f"{running} of {len(runs)} runs have not ended yet. This is a look at what has "
            "finished; the verdicts hold for a sweep that is looked at once, at its end."
        )
    failed = int(runs["status"].isin(["FAILED", "KILLED"]).sum())
    if failed:
        said.append(
            f"{failed} of {len(runs)} runs failed or were killed, and are left out. Where a "
            "technique fails on hard seeds alone, what is left flatters it."
        )
    if searched:
        said.append(
            "Numbers were chosen by a search on validation rows, once for each technique. The "
            "verdicts are about what was chosen: another search may choose other numbers, and "
            "neither intervals nor p-values hold that."
        )
    techniques = runs[runs["technique"] != BASELINE].groupby(KEYS[:-1], sort=False)["variant"]
    if (techniques.nunique() > 1).any():
        said.append(
            "Some techniques have several configurations. The verdict on each is corrected for "
            "that; but the mean of the best of them was found on test rows, and flatters it."
        )
    if both:
        said.append(
            "Some of these datasets are classified and others regressed. Each has its verdicts, "
            "but no ranks are formed across them."
        )
    return said
