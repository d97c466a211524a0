"""Runs as `Tracker.runs` returns them, made by hand."""

from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def make_runs():
    def make_runs(rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Rows need a technique, seed and score; the rest is filled in."""
        full = []
        for index, row in enumerate(rows):
            row = dict(row)
            score = row.pop("score", None)
            variant = row.get("variant", "")
            base = {
                "run_id": f"run{index}",
                "status": "FINISHED",
                "start_time": index,
                "dataset": "digits",
                "setting": "",
                "variant": "",
                "label": f"{row['technique']} ({variant})" if variant else row["technique"],
                "metrics.test/accuracy": score,
                "metrics.final/val_loss": 0.5,
                "metrics.epochs": 10.0,
                "metrics.seconds": 2.0,
            }
            full.append(base | row)
        return pd.DataFrame(full)

    return make_runs
