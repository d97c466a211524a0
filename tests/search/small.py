"""A search of a few seconds, and what the store has of it."""

from __future__ import annotations

from pathlib import Path

from regexp.tracking import Tracker

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=2", "search.trials=4",
         "search.batch=2", "search.finalists=2", "search.seeds=2",
         "search.techniques=[dropout,l1]", "search.space.model.hidden='choice([4],[8])'",
         "figures=false", "yardsticks=false")  # fmt: skip

Runs = dict[str, tuple[str, dict[str, float]]]
"""Fingerprint -> (variant, metrics without those of time)."""


def recorded(store: Path, name: str) -> Runs:
    """All runs of a search and its verdict, each of which is there once."""
    with Tracker(None, name, store) as tracker:
        runs = tracker.client.search_runs([tracker.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trained = [run for run in runs if "sweep.key" not in run.data.tags]
    assert len(trained) == len(runs) - 2
    found = {
        run.data.tags["fingerprint"]: (
            run.data.tags["variant"],
            {key: value for key, value in run.data.metrics.items() if "seconds" not in key},
        )
        for run in trained
    }
    assert len(found) == len(trained)
    return found


def recipe(folder: Path) -> str:
    """The text of the recipe, by `search.folder`."""
    return (folder / "experiment" / "recipe.yaml").read_text(encoding="utf-8")
