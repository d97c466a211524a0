import json
from collections.abc import Sequence

import pandas as pd

from regexp.compare.curves import METRICS, curves, diagnostics
from tests.compare.sources import Source, make_runs


class Recorder(Source):
    """A store: artifacts by id of the run, and the histories that it was asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[tuple[list[str], str]] = []
        self.texts: dict[str, bytes] = {}

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        self.asked.append((list(run_ids), name))
        return {run_id: {1: 0.5, 2: 0.25} for run_id in run_ids}

    def text(self, run_id: str, name: str) -> bytes | None:
        assert name == "diagnostics.json"
        return self.texts.get(run_id)


def test_curves_of_finished_runs() -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "metrics.val/loss": 0.25},
            {"technique": "l1", "seed": 3, "status": "FAILED", "metrics.val/loss": 0.25},
            {"technique": "l1", "seed": 4, "metrics.val/loss": None},
        ]
    )
    source = Recorder()
    found = curves(source, runs)
    assert source.asked == [(["run0"], "val/loss")], "only what a run has is asked for"
    assert found[["technique", "seed", "metric", "step", "value"]].to_numpy().tolist() == [
        ["none", 0, "val/loss", 1, 0.5],
        ["none", 0, "val/loss", 2, 0.25],
    ]
    assert {"train/loss", "val/loss", "lr"} <= set(METRICS)


def test_diagnostics_of_runs_that_left_some() -> None:
    runs = make_runs([{"technique": "l1", "seed": seed} for seed in range(4)])
    source = Recorder()
    source.texts = {
        "run0": json.dumps({"weights": {"zeros": 1}}).encode(),
        "run1": b"{",
        "run2": b"[1]",
    }
    found = diagnostics(source, runs)
    assert found["seed"].tolist() == [0]
    assert found["content"].tolist() == [{"weights": {"zeros": 1}}]
    assert found["label"].tolist() == ["l1"]


def test_no_runs() -> None:
    runs = pd.DataFrame(
        columns=["run_id", "status", "dataset", "setting", "technique", "variant", "label", "seed"]
    )
    assert curves(Recorder(), runs).empty
    assert diagnostics(Recorder(), runs).empty
