"""Which run of a comparison to use: chosen on validation rows, as a search chooses its numbers."""

from typing import TYPE_CHECKING

from regexp.compare.baseline import KEYS
from regexp.compare.metric import Metric
from regexp.compare.table import FINISHED
from regexp.errors import ConfigError
from regexp.metrics.names import CHOSEN_BY, VALIDATION_LOSS, chosen_by, column

if TYPE_CHECKING:
    import pandas as pd


def best_run(runs: "pd.DataFrame", metric: Metric | None = None) -> str:
    """The id of the run to use.

    First the configuration (technique, its numbers, setting) of the best mean validation accuracy,
    or RMSE in regression, over its seeds; then its seed of the best. Equal ones are told apart by
    their validation loss, then the first is taken. Test rows choose nothing, so that the test
    score of the chosen run is an honest one.

    Args:
        runs: of a comparison.
        metric: that it compares by; its like on the validation split chooses, if there is one.

    Raises:
        ConfigError: no run has finished, or they are of several datasets.
    """
    done = runs[runs["status"] == FINISHED]
    if done.empty:
        raise ConfigError("no run of the sweep has finished yet, so that none is the best")
    if len(datasets := list(done["dataset"].unique())) > 1:
        raise ConfigError(
            f"the runs are of {len(datasets)} datasets ({', '.join(datasets)}), so that none is "
            "the best; choose among runs()"
        )
    own_pair = [] if metric is None else [(chosen_by(metric.name), metric.lower_is_better)]
    there = [pair for pair in (*own_pair, *CHOSEN_BY) if column(pair[0]) in done]
    headline, lower = [*there, (VALIDATION_LOSS, True)][0]
    worth = done[KEYS].copy()
    worth["first"] = done[column(headline)] * (1 if lower else -1)
    worth["second"] = done[column(VALIDATION_LOSS)]
    by = ["first", "second"]
    means = _means(worth, done["seed"], by).sort_values(by, kind="stable")  # NaN last
    own = worth[(worth[KEYS] == list(means.index[0])).all(axis=1)]
    return str(runs.loc[own.sort_values(by, kind="stable").index[0], "run_id"])


def _means(worth: "pd.DataFrame", seeds: "pd.Series", by: list[str]) -> "pd.DataFrame":
    """The mean of every configuration over its seeds.

    One that lacks seeds is judged at those that it has beside the configuration with the most, less
    what that one has there: which seeds were lost, or not needed, says nothing of a technique.
    """
    columns = [worth[key] for key in KEYS]
    own = worth[by].groupby(columns, sort=False).mean()
    counts = seeds.groupby(columns, sort=False).nunique()
    if counts.nunique() < 2:
        return own
    place = int(counts.to_numpy().argmax())
    most = (worth[KEYS] == list(counts.index[place])).all(axis=1)
    there = worth.loc[most, by].groupby(seeds[most]).mean()
    gaps = (worth[by] - there.reindex(seeds).to_numpy()).groupby(columns, sort=False).mean()
    return gaps.fillna(own - own.iloc[place])
