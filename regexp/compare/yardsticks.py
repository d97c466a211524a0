"""Yardsticks beside the techniques: other learners on the same rows and seeds.

They say how good the networks are at all. They are no techniques: no verdict is given of them, the
tests of techniques are not corrected for them, and ranks leave them out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from regexp.compare.baseline import FAMILY, KEYS, Baseline, Key
from regexp.compare.family import ROWS, compare_family
from regexp.compare.formats import rounded
from regexp.compare.metric import Metric
from regexp.compare.statistics import ROUNDING
from regexp.compare.table import COLUMNS, FINISHED, latest_runs, no_rows, summed, values_of
from regexp.metrics import names

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.comparison import Family

OUTCOME = "yardstick"
"""In the place of a verdict in a word."""

BALANCED = f"{names.TEST}balanced_accuracy"
"""The metric that no class is too small for."""

GUESSES = ("majority", "mean")
"""Yardsticks that know nothing of the inputs."""

_DATASET = names.parameter("dataset.")
PLACES = {
    *("path", "test_path", "file", "url", "sha256", "known"),
    *("images", "labels", "test_images", "test_labels"),
}
"""Settings of datasets that say where rows lie (`Dataset.PLACES` of any); what they are is in the
checksum."""
_DECISIVE = (
    *(_DATASET, "data.checksum"),
    *(names.parameter(f"trainer.{key}") for key in ("class_weight", "loss")),
)
_SHOWN = ("difference", "pairs", "missing", "sd", "error", "low", "high", "improvement")


@dataclass(frozen=True)
class Yardsticks:
    """The runs of yardsticks of some sweeps.

    Attributes:
        runs: one a yardstick, its data and seed, with the column `data`; none where the sweeps
            have no yardsticks.
        data: which data each run of the sweeps has, by its id.
    """

    runs: "pd.DataFrame"
    data: Mapping[str, str]

    @classmethod
    def of(cls, frames: "Mapping[str, pd.DataFrame]") -> "Yardsticks":
        """Those among the runs of sweeps, by the ids of these."""
        import pandas as pd

        parts = [frame for frame in frames.values() if len(frame)]
        if not any(_is_yardstick(frame).any() for frame in parts):
            return cls(pd.DataFrame(), {})
        runs = pd.concat(parts, ignore_index=True)
        runs = runs.assign(data=_data_of(runs))
        data = dict(zip(runs["run_id"], runs["data"], strict=True))
        keyed = runs[_is_yardstick(runs)].assign(setting=runs["data"], variant="")
        return cls(latest_runs(keyed), data)

    @staticmethod
    def without(frame: "pd.DataFrame") -> "pd.DataFrame":
        """The runs of a sweep that are none."""
        return frame[~_is_yardstick(frame)] if len(frame) else frame

    def rows(
        self, members: "pd.DataFrame", metric: Metric, against: Baseline, overlap: float | None
    ) -> "pd.DataFrame":
        """The yardsticks on the data and seeds of a dataset and setting, as rows of its table.

        Each is held against the baseline by itself: `low` and `high` are those of one comparison
        looked at alone.

        Args:
            members: the runs of the dataset and setting that count.
            metric: that techniques are compared by.
            against: their baseline.
            overlap: as the techniques are tested with.
        """
        import pandas as pd

        own = self.beside(members)
        if own.empty:
            return no_rows()
        dataset, setting = members[FAMILY].iloc[0]
        own = own.assign(dataset=dataset, setting=setting)
        # grouped apart: a technique may have the name of a yardstick
        ours, groups = _by_key(own, metric), _by_key(members, metric)
        reference = against.of((dataset, setting, "", ""), groups)
        theirs = None if reference is None else groups[reference]
        rows = [self._row(key, group, theirs, metric, overlap) for key, group in ours.items()]
        return pd.DataFrame(rows, columns=COLUMNS)

    def beside(self, members: "pd.DataFrame") -> "pd.DataFrame":
        """The runs of yardsticks with the data and the seeds of some runs."""
        if self.runs.empty:
            return self.runs
        wanted = {self.data.get(run_id) for run_id in members["run_id"]}
        own = self.runs[self.runs["data"].isin(wanted) & self.runs["seed"].isin(members["seed"])]
        return own.drop_duplicates(["technique", "seed"], keep="last")

    @staticmethod
    def _row(
        key: Key,
        group: "pd.DataFrame",
        theirs: "pd.DataFrame | None",
        metric: Metric,
        overlap: float | None,
    ) -> dict[str, Any]:
        row = summed(key, group) | {"outcome": OUTCOME, "verdict": DESCRIBED.get(key[2], "")}
        row[f"{ROWS}outcome"] = ""
        if theirs is None:
            return row | {"difference": math.nan, "pairs": 0, "missing": 0}
        pair = {key: (group["score"], theirs["score"])}
        compared = compare_family(pair, overlap=overlap, lower_is_better=metric.lower_is_better)
        told = compared.rename(columns={"mean": "difference"}).iloc[0]
        seconds = (group["seconds"] / theirs["seconds"]).mean()
        return row | {name: told[name] for name in _SHOWN} | {"relative_seconds": seconds}


DESCRIBED = {
    "majority": "yardstick: the shares of the classes in the training rows, whatever the inputs",
    "mean": "yardstick: the mean of the training rows, whatever the inputs",
    "logistic_regression": "yardstick: scikit-learn's LogisticRegression",
    "ridge": "yardstick: scikit-learn's Ridge",
    "hist_gradient_boosting": "yardstick: scikit-learn's HistGradientBoosting, at its defaults",
}
"""Yardsticks by name -> what they are."""

NOTE = (
    "Yardsticks are other learners on the same training and test rows. They are compared for the "
    "size of things alone: no verdict is given of them, and no technique's verdict or rank depends "
    "on them. Their intervals are those of one comparison looked at alone."
)


def as_guesses(
    families: "Sequence[Family]", runs: "pd.DataFrame", sticks: Yardsticks, metric: Metric
) -> list[str]:
    """Where most rows score as a guess does, so that the metric tells nothing, in sentences."""
    remarks = []
    for family in families:
        members = runs[(runs[FAMILY] == [family.dataset, family.setting]).all(axis=1)]
        if told := _as_a_guess(members, sticks.beside(members), metric):
            remarks.append(f"{family.name}: {told}" if len(families) > 1 else told)
    return remarks


def _as_a_guess(members: "pd.DataFrame", own: "pd.DataFrame", metric: Metric) -> str:
    """That most rows score as a guess does that knows nothing of the inputs; empty if not.

    Args:
        members: the runs of a dataset and setting.
        own: their yardsticks.
    """
    score = names.column(metric.name)
    if own.empty:
        return ""
    guesses = own[own["technique"].isin(GUESSES)]
    if guesses.empty or score not in guesses:
        return ""
    guess = guesses.set_index("seed")[score].astype(float)
    done = members[members["status"] == FINISHED]
    rows = [group.set_index("seed")[score] for _, group in done.groupby(KEYS[2:], sort=False)]
    equal = sum(_equal(row.astype(float), guess) for row in rows)
    if 2 * equal < len(rows) or not equal:
        return ""
    which = (
        f"All {equal} rows score" if equal == len(rows) else f"{equal} of {len(rows)} rows score"
    )
    sentence = (
        f"{which} at every seed as the yardstick {guesses['technique'].iloc[0]} does, which knows "
        f"nothing of the inputs ({metric.name} {rounded(float(guess.mean()), 4)} in the mean): "
        "this metric cannot tell them apart."
    )
    if names.column(BALANCED) in members:
        sentence += (
            " trainer.class_weight=balanced has rare classes count more in training."
            if metric.name == BALANCED
            else f" compare.metric={BALANCED} counts all classes alike."
        )
    return sentence


def _equal(scores: "pd.Series", others: "pd.Series") -> bool:
    """Whether they are the same but for rounding at every seed that both have."""
    import numpy as np

    ours, theirs = scores.align(others, join="inner")
    return len(ours) > 0 and bool(np.isclose(ours, theirs, rtol=ROUNDING, atol=0).all())


def _by_key(runs: "pd.DataFrame", metric: Metric) -> "dict[Key, pd.DataFrame]":
    """The values of rows, by seed."""
    return {
        cast("Key", key): group.set_index("seed").sort_index()
        for key, group in values_of(runs, metric.name).groupby(KEYS, sort=False)
    }


def _is_yardstick(runs: "pd.DataFrame") -> "pd.Series":
    if "stage" not in runs:
        return runs["status"] != runs["status"]
    return runs["stage"] == names.YARDSTICK_STAGE


def _data_of(runs: "pd.DataFrame") -> list[str]:
    """Which data each run has: what it recorded of them and of how rows count, in one text."""
    columns = [
        name
        for name in map(str, runs)
        if name.startswith(_DECISIVE) and name.removeprefix(_DATASET) not in PLACES
    ]
    values = runs[columns].astype(object).where(runs[columns].notna(), "")
    return [json.dumps(list(map(str, row))) for row in values.itertuples(index=False)]
