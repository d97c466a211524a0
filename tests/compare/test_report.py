"""The report of a small sweep in a real store."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from regexp.compare import curves, report
from regexp.compare.report import _as_text, _file_name
from regexp.tracking import Tracker


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker(None, "regexp", tmp_path / "mlruns") as tracker:
        yield tracker


def test_report_is_kept_with_the_sweep(tracker: Tracker, tmp_path: Path) -> None:
    sweep = tracker.sweep("key", "an ablation", {})
    for technique, gain in (("none", 0.0), ("l1", 0.1)):
        for seed in range(2):
            record = tracker.start(
                sweep.id,
                name=f"{technique} {seed}",
                fingerprint=f"{technique} {seed}",
                params={},
                tags={"technique": technique, "seed": seed, "dataset": "digits"},
                artifacts={},
                dataset={"name": "digits"},
            )
            for epoch in (1, 2):
                losses = {"train/loss": 1 / epoch, "val/loss": 2 / epoch, "val/accuracy": 0.5}
                record.metrics(losses, epoch)
            record.summary({"test/accuracy": 0.5 + gain + seed / 100, "epochs": 2})
            record.finish()
    compared = report(tracker, sweep)
    assert compared["label"].tolist() == ["none", "l1"]
    assert compared["difference"].tolist() == pytest.approx([0.0, 0.1])

    fetched = curves(tracker, tracker.runs(sweep.id))
    assert len(fetched) == 4 * 3 * 2
    chosen = fetched.query("label == 'l1' and seed == 1 and metric == 'val/loss'")
    assert chosen["value"].tolist() == [2.0, 1.0]

    folder = Path(tracker._client.download_artifacts(sweep.id, "comparison"))
    assert {path.name for path in folder.iterdir()} == {
        "table.csv",
        "table.md",
        "loss_digits.png",
        "accuracy_digits.png",
    }
    saved = pd.read_csv(folder / "table.csv", keep_default_na=False)
    assert saved["technique"].tolist() == ["none", "l1"]
    sweep.finish()
    note = tracker._client.get_run(sweep.id).data.tags["mlflow.note.content"]
    assert note.startswith("# an ablation\n\n| technique | runs |")


def test_names_of_others_are_no_formulas_and_no_folders() -> None:
    """A dataset is called as its file is, by whoever made it."""
    for formula in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1"):
        assert _as_text(formula) == f"'{formula}"
    for value in ("none", "l1+l2", "a=b", "", -0.5, None):
        assert _as_text(value) is value
    assert _file_name("digits_model=[8]") == "digits_model_8_"
    for name in ("../../x", "/etc/passwd", "a\\b", "x" * 300, "$\\frac$"):
        safe = _file_name(name)
        assert Path(safe).name == safe
        assert len(safe) <= 80
    assert _file_name("x" * 300) != _file_name("x" * 301)
