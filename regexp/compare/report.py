"""The report of a sweep: table and learning curves, kept with its parent run."""

import hashlib
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
        compared.map(_as_text).to_csv(folder / "table.csv", index=False)
        (folder / "table.md").write_text(markdown(compared), encoding="utf-8")
        for key, part in values.groupby(["dataset", "setting"], sort=False):
            suffix = _file_name("_".join(filter(None, map(str, key))))
            present = set(part["metric"])
            if present & {"train/loss", "val/loss"}:
                learning_curves(part, folder / f"loss_{suffix}.png")
            if "val/accuracy" in present:
                learning_curves(part, folder / f"accuracy_{suffix}.png", metrics=["val/accuracy"])
        sweep.artifact(folder)
    sweep.note(f"# {sweep.name}\n\n{markdown(compared)}")
    return compared


def _as_text(value: object) -> object:
    """A name as it is, but that a spreadsheet takes none for a formula."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula else value


def _file_name(name: str) -> str:
    """A name as a part of a file's: no folder, and none that is too long."""
    safe = re.sub(r"[^\w.-]+", "_", name)
    return (
        safe if len(safe) <= 80 else f"{safe[:70]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )
