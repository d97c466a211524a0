"""The report of a sweep: table and learning curves, kept with its parent run."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from regexp.compare.curves import curves, learning_curves
from regexp.compare.show import markdown
from regexp.compare.table import table

if TYPE_CHECKING:
    import pandas as pd

    from regexp.tracking import RunRecord, Tracker


def report(
    tracker: "Tracker",
    sweep: "RunRecord",
    metric: str = "test/accuracy",
    *,
    lower_is_better: bool = False,
) -> "pd.DataFrame":
    """Compare the runs of a sweep, and keep the result as the parent run's note and artifacts.

    Artifacts: `comparison/table.csv`, `comparison/table.md`, and a figure of the losses and of
    the validation accuracy, for each dataset and setting.

    Returns:
        The table, from `compare.table`.
    """
    runs = tracker.runs(sweep.id)
    compared = table(runs, metric, lower_is_better=lower_is_better)
    values = curves(tracker, runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "comparison"
        folder.mkdir()
        compared.to_csv(folder / "table.csv", index=False)
        (folder / "table.md").write_text(markdown(compared), encoding="utf-8")
        for key, part in values.groupby(["dataset", "setting"], sort=False):
            suffix = re.sub(r"[^\w.-]+", "_", "_".join(filter(None, map(str, key))))
            present = set(part["metric"])
            if present & {"train/loss", "val/loss"}:
                learning_curves(part, folder / f"loss_{suffix}.png")
            if "val/accuracy" in present:
                learning_curves(part, folder / f"accuracy_{suffix}.png", metrics=["val/accuracy"])
        sweep.artifact(folder)
    sweep.note(f"# {sweep.name}\n\n{markdown(compared)}")
    return compared
