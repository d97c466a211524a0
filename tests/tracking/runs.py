"""Runs for the tests of tracking: begun with little said, and read back."""

from typing import Any

from regexp.tracking import Earlier, RunRecord, Tracker
from regexp.tracking.stored import Reader


def start(tracker: Tracker, sweep_id: str, **changes: Any) -> RunRecord:
    """Start a run with whatever a test does not care about filled in."""
    arguments: dict[str, Any] = {
        "name": "l1 seed 0",
        "fingerprint": "f0",
        "params": {"model": {"hidden": [64, 64]}},
        "tags": {"technique": "l1", "seed": 0, "dataset": "digits"},
        "artifacts": {"config.yaml": "seeds: 1\n"},
        "dataset": {"name": "digits", "checksum": "ab" * 32, "source": "scikit-learn"},
    }
    return tracker.start(sweep_id, **arguments | changes)


def tries(tracker: Tracker, sweep_id: str) -> dict[str, Earlier]:
    """Fingerprint -> the last run of it that was trained for a sweep."""
    return {one.fingerprint: one for one in tracker.tries({}, sweep_id)}


def curve(source: Tracker | Reader, run_id: str, metric: str) -> list[tuple[int, float]]:
    """(step, value) of a metric, in the order of the steps; nothing if the run does not have it."""
    return list(source.histories([run_id], metric).get(run_id, {}).items())
