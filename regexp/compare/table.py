"""The comparison table: one row for each technique, averaged over seeds."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "none"

# Of the weights that the run ends with, which early stopping and averages choose; else of the
# last epoch.
_VALIDATION = ("final/val_loss", "val/loss")
Key = tuple[str, str, str, str]  # dataset, setting, technique, variant

# What makes two runs the same row. Everything but the seed that a sweep varies must be here.
KEYS = ["dataset", "setting", "technique", "variant"]
COLUMNS = [
    *KEYS,
    "label",
    "runs",
    "finished",
    "mean",
    "std",
    "difference",
    "pairs",
    "validation_loss",
    "epochs",
    "seconds",
]


def table(
    runs: "pd.DataFrame", metric: str = "test/accuracy", *, lower_is_better: bool = False
) -> "pd.DataFrame":
    """Average runs over their seeds.

    Where a seed was run more than once (a failed run that was started again), the latest finished
    run counts, else the latest.

    Args:
        runs: from `Tracker.runs`.
        metric: the headline metric.
        lower_is_better: True for errors and losses; rows are ordered with the best first, after
            the baseline.

    Returns:
        One row for each dataset, setting, technique and variant (the numbers of a grid):

        - `runs`, `finished`: number of seeds, and of those that finished; only they count below
        - `mean`, `std`: of the metric over seeds (sample standard deviation, NaN for one seed)
        - `difference`: mean over seeds of (metric - the baseline's metric at the same seed)
        - `pairs`: number of seeds that this difference rests on
        - `validation_loss`, `epochs`, `seconds`: means
        - `label`: technique and variant, for people

        `attrs["metric"]` and `attrs["lower_is_better"]` keep the arguments.
    """
    import pandas as pd

    latest = _one_run_a_seed(runs)
    groups = {cast("Key", key): group for key, group in latest.groupby(KEYS, sort=False)}
    scores = {key: _finished(group, metric) for key, group in groups.items()}
    rows = []
    for key, group in groups.items():
        dataset, setting, technique, variant = key
        done = group[group["status"] == "FINISHED"]
        score = scores[key]
        reference = baseline(key, scores)
        # Series are aligned by seed; seeds that only one of them has become NaN.
        paired = (score - scores[reference]).dropna() if reference else score.iloc[:0]
        rows.append(
            {
                "dataset": dataset,
                "setting": setting,
                "technique": technique,
                "variant": variant,
                "label": f"{technique} ({variant})" if variant else technique,
                "runs": len(group),
                "finished": len(done),
                "mean": score.mean(),
                "std": score.std(),
                "difference": paired.mean(),
                "pairs": len(paired),
                "validation_loss": _mean(done, *_VALIDATION),
                "epochs": _mean(done, "epochs"),
                "seconds": _mean(done, "seconds"),
            }
        )
    result = pd.DataFrame(rows, columns=COLUMNS)
    result["other"] = result["technique"] != BASELINE
    result["order"] = result["mean"] if lower_is_better else -result["mean"]
    result = result.sort_values(["dataset", "setting", "other", "order"], kind="stable")
    result = result[COLUMNS].reset_index(drop=True)
    result.attrs = {"metric": metric, "lower_is_better": lower_is_better}
    return result


def _one_run_a_seed(runs: "pd.DataFrame") -> "pd.DataFrame":
    ordered = runs.assign(_finished=runs["status"] == "FINISHED")
    ordered = ordered.sort_values(["_finished", "start_time"], kind="stable")
    kept = ordered.drop_duplicates([*KEYS, "seed"], keep="last")
    return kept.sort_index()


def _finished(group: "pd.DataFrame", metric: str) -> "pd.Series":
    """The metric of finished runs by seed."""
    done = group[group["status"] == "FINISHED"].set_index("seed")
    column = f"metrics.{metric}"
    return done[column].dropna() if column in done else done["start_time"].iloc[:0].astype(float)


def baseline(key: Key, others: Iterable[Key]) -> Key | None:
    """The baseline that a row is held against, out of `others`.

    With a grid over something that the baseline has as well, such as a learning rate, it is the
    baseline at the same numbers: the one that shares most of them and has no others.

    Args:
        key: dataset, setting, technique, variant.
        others: keys of all rows.
    """
    dataset, setting, _, variant = key
    numbers = _numbers(variant)
    fitting = [
        other
        for other in others
        if other[:3] == (dataset, setting, BASELINE) and _numbers(other[3]) <= numbers
    ]
    return max(fitting, key=lambda other: len(_numbers(other[3])), default=None)


def _numbers(variant: str) -> set[str]:
    return {number.strip() for number in variant.split(",") if number.strip()}


def _mean(runs: "pd.DataFrame", *metrics: str) -> float:
    """Mean of the first of these metrics that was recorded at all."""
    for metric in metrics:
        if f"metrics.{metric}" in runs:
            return float(runs[f"metrics.{metric}"].mean())
    return float("nan")
