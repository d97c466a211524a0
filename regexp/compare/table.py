"""The comparison table: a row for each technique, averaged over seeds, against the baseline."""

import math
import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regexp.compare.baseline import FAMILY, KEYS, NONE, Baseline, Key, label
from regexp.compare.family import COMPARED, ROWS
from regexp.compare.metric import Metric
from regexp.compare.tested import Rules, Tested, tested_of
from regexp.compare.verdict import verdicts
from regexp.metrics import names

if TYPE_CHECKING:
    import pandas as pd

FINISHED = "FINISHED"
CLAIMS = ("helps", "hurts")
"""Outcomes that say more than that nothing was seen."""

TESTED = [name for name in COMPARED if name not in ("pairs", "missing", "mean", "control")]
SCORES = {
    "loss": names.LOSS,
    "brier": names.BRIER,
    "ece": names.CALIBRATION_ERROR,
    "skill": names.SKILL,
}
"""Columns of further scores (each with its `_std`) -> the metrics that they are of."""
MEANS = ("gap", "validation_loss", "epochs", "seconds")
COLUMNS = [
    *KEYS,
    "label",
    "runs",
    "finished",
    "mean",
    "std",
    "difference",
    "pairs",
    *TESTED,
    "missing",
    "outcome",
    f"{ROWS}outcome",
    "verdict",
    "gap",
    *(f"{name}{kind}" for name in SCORES for kind in ("", "_std")),
    *MEANS[1:],
    "relative_seconds",
    "adjusted_mean",
]


_ACCURACY = Metric(names.ACCURACY)


def table(
    runs: "pd.DataFrame",
    metric: Metric = _ACCURACY,
    against: Baseline = NONE,
    rules: Rules | None = None,
) -> "pd.DataFrame":
    """Average runs over their seeds and compare them with the baseline.

    Where a seed was run more than once (a failed run that was started again), the latest finished
    run counts, else the latest. Trials of a search for numbers are left out.

    Returns:
        One row for each dataset, setting, technique and variant (the numbers of a grid); within a
        dataset and setting the best first, after the baseline, and equal ones by their label:

        - `runs`, `finished`: number of seeds, and of those that finished; only they count below
        - `mean`, `std`: of the metric over seeds (sample standard deviation, NaN for one seed)
        - `difference`: mean over seeds of (metric - the baseline's metric at the same seed); NaN
          for the baseline, as everything that rests on it
        - `pairs`, `missing`: number of seeds that this difference rests on, and of those that it
          lacks
        - all other columns of `family.compare_family`; a dataset and setting are a family
        - `outcome`, `rows_outcome`, `verdict`: two words, for this table and for other rows, and a
          sentence, see `verdict`; `baseline` and nothing for the baseline
        - `gap`: mean of what the training rows are predicted better than the test rows: accuracy,
          or root mean squared error in regression
        - `loss`, `brier`, `ece`, `skill`: means of `test/...`, with their standard deviations
          `..._std`; the skill is 1 - error / that of the naive forecast of a series. The loss of
          runs on one of the user's own is `test/log_loss`
        - `validation_loss`, `epochs`, `seconds`: means
        - `relative_seconds`: mean over pairs of seconds / the baseline's
        - `adjusted_mean`: the baseline's mean and the difference to it, by which rows are ordered:
          means of other seeds than the baseline's are of other data
        - `label`: technique and variant, for people
    """
    return tabulate(runs, metric, against, rules)[0]


def tabulate(
    runs: "pd.DataFrame",
    metric: Metric,
    against: Baseline = NONE,
    rules: Rules | None = None,
) -> "tuple[pd.DataFrame, dict[tuple[str, str], Tested]]":
    """`table`, and its comparisons by dataset and setting."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    tested = {}
    latest = counted_runs(runs)
    values = values_of(latest, metric.name)
    for name, members in latest.groupby(FAMILY, sort=False):
        groups = {
            cast("Key", key): group.set_index("seed").sort_index()
            for key, group in values.loc[members.index].groupby(KEYS, sort=False)
        }
        baselines = [key for key in groups if against.has(*key[2:])]
        reference = {key: against.of(key, baselines) for key in groups}
        # sorted, so that no draw depends on the order in which jobs happened to start
        of = {
            key: other for key, other in sorted(reference.items()) if other and key not in baselines
        }
        test = tested_of(members, groups, of, metric, rules or Rules())
        tested[cast("tuple[str, str]", name)] = test
        judged = test.compared.join(verdicts(test.compared, test.judge))
        judged = judged.drop(columns="control").rename(columns={"mean": "difference"})
        records = cast("list[dict[str, Any]]", judged.to_dict("records"))
        comparisons = dict(zip(of, records, strict=True))
        for key, group in groups.items():
            other = reference[key]
            theirs = group["seconds"] * math.nan if other is None else groups[other]["seconds"]
            row = summed(key, group) | (comparisons.get(key) or _not_compared(key, against))
            row["relative_seconds"] = (group["seconds"] / theirs).mean()
            beside = math.nan if other is None else groups[other]["score"].mean()
            adjusted = beside + row["difference"]
            row["adjusted_mean"] = row["mean"] if math.isnan(adjusted) else adjusted
            rows.append(row)
    result = pd.DataFrame(rows, columns=COLUMNS)
    for flag in ("changed", "idle", "tested"):  # nothing, of the baseline
        result[flag] = result[flag].astype(float)
    result["other"] = ~against.rows(result)
    result["order"] = result["adjusted_mean"] * (1 if metric.lower_is_better else -1)
    places = [f"{key}_place" for key in FAMILY]
    result[places] = result[FAMILY].apply(_counted)
    result = result.sort_values([*places, "other", "order", "label"], kind="stable")
    return result[COLUMNS].reset_index(drop=True), tested


def no_rows() -> "pd.DataFrame":
    """A table without rows."""
    import pandas as pd

    return pd.DataFrame(columns=COLUMNS)


def _counted(names: "pd.Series") -> "pd.Series":
    """The place of each name in the order in which people count: `rows=50` before `rows=100`."""

    def parts(name: str) -> list[str | float]:
        split = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", name)
        return [float(part) if index % 2 else part for index, part in enumerate(split)]

    places = {name: place for place, name in enumerate(sorted(names.unique(), key=parts))}
    return names.map(places)


def counted_runs(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs that count: no trials, no yardsticks, and one run a seed."""
    if "stage" in runs:
        runs = runs[~runs["stage"].isin([names.TUNING_STAGE, names.YARDSTICK_STAGE])]
    return latest_runs(runs)


def latest_runs(runs: "pd.DataFrame") -> "pd.DataFrame":
    """One run a seed: the latest that finished, else the latest."""
    ordered = runs.assign(_finished=runs["status"] == FINISHED)
    ordered = ordered.sort_values(["_finished", "start_time"], kind="stable")
    kept = ordered.drop_duplicates([*KEYS, "seed"], keep="last")
    return kept.sort_index()


def values_of(latest: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """What rows are made of, one run each: NaN in runs that have not finished."""
    import pandas as pd

    done = latest["status"] == FINISHED

    def column(*metrics: str) -> "pd.Series":
        """The first of these metrics that was recorded at all."""
        for name in map(names.column, metrics):
            if name in latest:
                return latest[name].astype(float).where(done)
        return pd.Series(math.nan, index=latest.index)

    accuracies = column(f"{names.TRAINING}accuracy") - column(names.ACCURACY)
    errors = column(names.RMSE) - column(f"{names.TRAINING}rmse")
    seconds = column(names.SECONDS)
    values: dict[str, pd.Series] = {name: column(of) for name, of in SCORES.items()}
    if (own := names.parameter("trainer.loss._target_")) in latest:
        log_loss = column(names.TEST + names.LOG_LOSS)
        values["loss"] = values["loss"].where(latest[own].isna(), log_loss)
    values |= {
        "done": done,
        "score": column(metric),
        "gap": accuracies.fillna(errors),
        # Of the weights that the run ends with, which early stopping and averages choose.
        "validation_loss": column(names.VALIDATION_LOSS, names.EPOCH_VALIDATION_LOSS),
        "epochs": column(names.EPOCHS),
        "seconds": seconds.where(seconds > 0),
    }
    return latest[[*KEYS, "seed", "run_id"]].assign(**values)


def summed(key: Key, group: "pd.DataFrame") -> dict[str, Any]:
    """What a technique's runs tell by themselves."""
    dataset, setting, technique, variant = key
    with np.errstate(over="ignore", invalid="ignore"):  # of scores that are not finite
        means = group[[*MEANS, *SCORES, "score"]].mean()
        spreads = group[[*SCORES, "score"]].std()
    return {
        "dataset": dataset,
        "setting": setting,
        "technique": technique,
        "variant": variant,
        "label": label(technique, variant),
        "runs": len(group),
        "finished": int(group["done"].sum()),
        "mean": means["score"],
        "std": spreads["score"],
        **{name: means[name] for name in (*MEANS, *SCORES)},
        **{f"{name}_std": spreads[name] for name in SCORES},
    }


def _not_compared(key: Key, against: Baseline) -> dict[str, Any]:
    """The rest of a row that is compared with nothing."""
    judged = {"outcome": "baseline", f"{ROWS}outcome": "baseline", "verdict": ""}
    if not against.has(*key[2:]):
        lacking = f"no verdict: no run of {against} to compare it with"
        judged = {"outcome": "no verdict", f"{ROWS}outcome": "no verdict", "verdict": lacking}
    return {"difference": math.nan, "pairs": 0, "missing": 0, **judged}
