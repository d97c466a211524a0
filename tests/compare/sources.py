"""A store of runs that is a dictionary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from regexp.compare import Comparison, Question, compare


def make_runs(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Runs as `Tracker.runs` gives them: rows need a technique, seed and score."""
    full = []
    for index, given in enumerate(rows):
        row = dict(given)
        variant = row.get("variant", "")
        base = {
            "run_id": f"run{index}",
            "status": "FINISHED",
            "start_time": index,
            "dataset": "digits",
            "setting": "",
            "variant": "",
            "label": f"{row['technique']} ({variant})" if variant else row["technique"],
            "metrics.test/accuracy": row.pop("score", None),
            "metrics.final/val_loss": 0.5,
            "metrics.epochs": 10.0,
            "metrics.seconds": 2.0,
        }
        full.append(base | row)
    return pd.DataFrame(full)


def scored(scores: Mapping[str, Sequence[float]], **columns: Any) -> pd.DataFrame:
    """Runs with these scores of each technique, by seed."""
    return make_runs(
        [
            {"technique": name, "seed": seed, "score": score, **columns}
            for name, values in scores.items()
            for seed, score in enumerate(values)
        ]
    )


TECHNIQUES = ("none", "dropout", "l1", "l2")
GAINS = {"dropout": 0.06, "l1": -0.05}


class Source:
    """What a comparison reads, made by hand.

    Args:
        runs: of each sweep, by its id.
    """

    server = ""

    def __init__(self, runs: Mapping[str, pd.DataFrame]) -> None:
        self.frames = runs

    def runs(self, sweep_id: str) -> pd.DataFrame:
        return self.frames[sweep_id]

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        return {run_id: {1: 1.0, 2: 0.5} for run_id in run_ids}

    def text(self, run_id: str, name: str) -> bytes | None:
        return None


def classified(
    *datasets: str, seeds: int = 10, techniques: tuple[str, ...] = TECHNIQUES, **columns: Any
) -> pd.DataFrame:
    """Runs in which dropout helps, l1 hurts and l2 does neither, as far as one can see."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for dataset in datasets or ("digits",):
        base = rng.normal(0.85, 0.01, seeds)
        for technique in techniques:
            noise = rng.normal(0, 0.01, seeds)
            scores = base + GAINS.get(technique, 0.0) + noise - noise.mean()
            for seed, score in enumerate(scores):
                rows.append(
                    {
                        "run_id": f"{dataset}{technique}{seed}",
                        "status": "FINISHED",
                        "start_time": len(rows),
                        "seed": seed,
                        "dataset": dataset,
                        "setting": "",
                        "technique": technique,
                        "variant": "",
                        "label": technique,
                        "split": "shared",
                        "stage": "",
                        "metrics.test/accuracy": float(score),
                        "metrics.test/loss": 1 - float(score),
                        "metrics.test/brier": 0.2,
                        "metrics.final/train_accuracy": float(score) + 0.05,
                        "metrics.seconds": 2.0 if technique == "none" else 3.0,
                        **columns,
                    }
                )
    return pd.DataFrame(rows)


def compared(*frames: pd.DataFrame, name: str = "an ablation", **asked: Any) -> Comparison:
    """The comparison of sweeps with these runs."""
    sweeps = {letter * 32: frame for letter, frame in zip("abc", frames, strict=False)}
    return compare(Source(sweeps), list(sweeps), Question(**asked), dict.fromkeys(sweeps, name))


def regressed(**columns: Any) -> pd.DataFrame:
    """The same as errors, which are lower where the accuracy is higher."""
    runs = classified("sunspots", **columns).drop(
        columns=["metrics.test/brier", "metrics.final/train_accuracy"]
    )
    runs["metrics.test/rmse"] = 1 - runs.pop("metrics.test/accuracy")
    return runs
