"""The report of a small sweep in a real store."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from regexp.compare import ComparisonReport, compare, report, write
from regexp.compare.curves import curves
from regexp.compare.figures.picture import Picture
from regexp.compare.report import keep, pictures, table_csv
from regexp.tracking import RunRecord, StoreAwayError, Tracker, TrackingError
from tests.compare.sources import Source, classified, compared


@pytest.fixture
def tracker(tmp_path: Path, empty_store: Path) -> Iterator[Tracker]:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    with Tracker(None, "regexp", folder) as tracker:
        yield tracker


@pytest.fixture
def sweep(tracker: Tracker) -> RunRecord:
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
    return sweep


def kept(tracker: Tracker, sweep: RunRecord) -> Path:
    return Path(tracker.client.download_artifacts(sweep.id, "comparison"))


def test_a_report_is_kept_with_the_sweep(tracker: Tracker, sweep: RunRecord) -> None:
    made = report(tracker, sweep)
    table = made.comparison.table
    assert table["label"].tolist() == ["none", "l1"]
    assert table["difference"].tolist() == pytest.approx([float("nan"), 0.1], nan_ok=True)
    assert made.comparison.sweeps == {sweep.id: "an ablation"}

    fetched = curves(tracker, tracker.runs(sweep.id))
    assert len(fetched) == 4 * 3 * 2
    chosen = fetched.query("label == 'l1' and seed == 1 and metric == 'val/loss'")
    assert chosen["value"].tolist() == [2.0, 1.0]

    folder = kept(tracker, sweep)
    assert {path.name for path in folder.iterdir()} == {
        "comparison.csv", "comparison.html", "comparison.md", "figures",
    }  # fmt: skip
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {f"{picture.name}.png" for picture in made.pictures}
    assert {"forest_digits.png", "learning_curves_loss_digits.png"} <= figures
    markdown = (folder / "comparison.md").read_text()
    for name in figures:
        assert f"](figures/{name})" in markdown
    html = (folder / "comparison.html").read_text()
    assert html.count("<figure>") == html.count("<svg role=") == len(figures)
    sweep.finish()
    note = tracker.client.get_run(sweep.id).data.tags["mlflow.note.content"]
    assert note.startswith(
        "Nothing can be said yet: l1 is not shown to help. l1: no verdict at n = 2"
    )


def test_without_figures_all_else_is_there(tracker: Tracker, sweep: RunRecord) -> None:
    report(tracker, sweep, figures=False)
    folder = kept(tracker, sweep)
    names = {path.name for path in folder.rglob("*")}
    assert names == {"comparison.csv", "comparison.html", "comparison.md"}
    assert "## Pictures" not in (folder / "comparison.md").read_text()


def test_pictures_of_another_comparison_are_not_kept(
    tracker: Tracker, sweep: RunRecord, tmp_path: Path
) -> None:
    """`regexp compare` writes into the same folder each time."""
    other = tmp_path / "comparison" / "figures" / "forest_of_another_sweep.png"
    other.parent.mkdir(parents=True)
    other.write_text("a picture")
    picture = Picture("mine", "A picture", "What is seen.", b"", "")
    made = ComparisonReport(compare(tracker, [sweep.id]), [picture])
    write(made, tmp_path / "comparison")
    keep(made, tmp_path / "comparison", sweep)
    assert other.exists()
    names = {path.name for path in (kept(tracker, sweep) / "figures").iterdir()}
    assert names == {"mine.png"}


def test_one_artifact_that_cannot_be_read_costs_no_comparison(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Source):
        def text(self, run_id: str, name: str) -> bytes | None:
            raise TrackingError("the artifact has 17000000000 bytes")

    class Away(Source):
        def text(self, run_id: str, name: str) -> bytes | None:
            raise StoreAwayError("the store does not answer", "no answer")

    runs = {"a": classified()}
    comparison = compare(Source(runs), ["a"])
    assert pictures(Broken(runs), comparison) == []
    assert "cannot be drawn: TrackingError: the artifact has" in caplog.text
    with pytest.raises(StoreAwayError):  # to be compared again
        pictures(Away(runs), comparison)


def test_the_numbers_are_written_in_full(tmp_path: Path) -> None:
    comparison = compared(classified("digits", "wine"))
    write(ComparisonReport(comparison), tmp_path / "new" / "folder")
    saved = pd.read_csv(tmp_path / "new" / "folder" / "comparison.csv", keep_default_na=False)
    assert saved.pop("metric").tolist() == ["test/accuracy"] * 8
    assert list(saved) == list(comparison.table)
    for name, column in comparison.table.items():
        written = saved[name].replace("", float("nan")) if column.dtype.kind == "f" else saved[name]
        assert written.astype(column.dtype).equals(column), name


def test_files_of_a_name_are_replaced_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "comparison.csv").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    write(ComparisonReport(compared(classified())), tmp_path)
    assert "old" not in (tmp_path / "comparison.csv").read_text()
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_names_of_others_are_no_formulas(formula: str) -> None:
    """A dataset is called as its file is, by whoever made it."""
    lines = table_csv(compared(classified(formula, "a=b"))).split("\n")[1:-1]
    assert {line.partition(",")[0] for line in lines} == {f"'{formula}", "a=b"}


def test_no_csv_steers_a_terminal() -> None:
    text = table_csv(compared(classified("\x1b[31mred\x07\tline", "a=b")))
    assert "\\x1b[31mred\\x07\tline" in text
    assert "\x1b" not in text
