"""What pictures are drawn from: metrics by epoch, and the diagnostics that runs leave."""

import json
from typing import TYPE_CHECKING

from regexp.compare.baseline import KEYS
from regexp.compare.comparison import Source
from regexp.compare.table import FINISHED
from regexp.metrics import names

if TYPE_CHECKING:
    import pandas as pd

METRICS = (
    names.EPOCH_TRAINING_LOSS,
    names.EPOCH_VALIDATION_LOSS,
    names.EPOCH_VALIDATION_ACCURACY,
    names.EPOCH_VALIDATION_RMSE,
    names.LEARNING_RATE,
)


def curves(source: Source, runs: "pd.DataFrame") -> "pd.DataFrame":
    """Fetch the `METRICS` of FINISHED runs by epoch; those that a run does not have are not asked
    for.

    Args:
        source: of the runs.
        runs: from `Tracker.runs`.

    Returns:
        One row a value: dataset, setting, technique, variant, label, seed, metric, step, value.
    """
    import pandas as pd

    keys = [*KEYS, "label", "seed"]
    done = runs[runs["status"] == FINISHED]
    recorded = {
        metric: source.histories(list(done.loc[done[name].notna(), "run_id"]), metric)
        for metric in METRICS
        if (name := names.column(metric)) in done
    }
    rows = [
        [*run, metric, step, value]
        for run_id, *run in done[["run_id", *keys]].itertuples(index=False)
        for metric, histories in recorded.items()
        for step, value in histories.get(run_id, {}).items()
    ]
    return pd.DataFrame(rows, columns=[*keys, "metric", "step", "value"])


def diagnostics(source: Source, runs: "pd.DataFrame") -> "pd.DataFrame":
    """Fetch the diagnostics of FINISHED runs; runs that left none (or no JSON) are missing.

    Returns:
        One row a run: dataset, setting, technique, variant, label, seed, and `content`, the parts
        of `diagnostics.json` by name.
    """
    import pandas as pd

    keys = [*KEYS, "label", "seed"]
    rows = []
    for _, run in runs[runs["status"] == FINISHED].iterrows():
        text = source.text(run["run_id"], names.DIAGNOSTICS)
        try:
            content = json.loads(text) if text else None
        except ValueError:
            continue
        if isinstance(content, dict):
            rows.append([*(run[key] for key in keys), content])
    return pd.DataFrame(rows, columns=[*keys, "content"])
