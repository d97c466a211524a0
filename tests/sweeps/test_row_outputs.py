"""Test outputs of recorded runs: their rows are the source's, their scores the recorded ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import sklearn.metrics
import torch
from numpy.typing import NDArray
from PIL import Image
from statsmodels.datasets import sunspots

import regexp
from regexp.__main__ import run
from regexp.errors import ConfigError
from regexp.metrics.evaluate import metrics
from regexp.metrics.outputs import RowOutputs, read
from regexp.sweeps.final_metrics import row_outputs
from tests.sandbox import Sandbox
from tests.shown import ROOT, blocks
from tests.support import make_data

SHORT = ("trainer.epochs=2", "seeds=2")


def trained(sandbox: Sandbox, *arguments: str) -> list[tuple[dict[str, Any], RowOutputs]]:
    """Of every run of a job its row in the frame of runs, and its test outputs."""
    assert sandbox.run(*SHORT, *arguments) == 0
    rows = sandbox.children().to_dict("records")
    return [(row, read(sandbox.test_outputs(row["run_id"]))) for row in rows]


def assert_recorded(row: dict[str, Any], test: RowOutputs, relative: float = 0) -> None:
    """The metrics of the file are the recorded ones, to the bit unless a tolerance is given."""
    found = metrics(torch.from_numpy(test.outputs), torch.from_numpy(test.targets), test.task)
    for name, value in found.items():
        recorded = row[f"metrics.test/{name}"]
        if relative:
            assert float(value) == pytest.approx(recorded, rel=relative)
        else:
            assert float(value) == recorded, name


def test_scores_of_classes_are_recomputed_to_the_bit(sandbox: Sandbox) -> None:
    source = sklearn.datasets.load_digits()
    rows = []
    for row, test in trained(sandbox, "dataset=digits", "model.hidden=[8]"):
        assert_recorded(row, test)
        right = test.outputs.argmax(1) == test.targets  # in NumPy alone
        assert np.float32(right.mean()) == np.float32(row["metrics.test/accuracy"])
        assert test.classes == tuple(str(digit) for digit in range(10))
        assert np.array_equal(test.targets, source.target[test.rows])
        assert len(set(test.rows)) == len(test.rows)
        rows.append(test.rows)
    assert set(rows[0]) != set(rows[1])  # each seed has a split of its own


def test_scores_of_numbers_are_recomputed_and_lead_to_the_targets_unit(sandbox: Sandbox) -> None:
    source = sklearn.datasets.load_diabetes()
    for row, test in trained(sandbox, "dataset=diabetes", "model.hidden=[8]"):
        assert_recorded(row, test)
        assert test.truth[:, 0] == pytest.approx(source.target[test.rows], rel=1e-6)
        error = np.sqrt(((test.values - test.truth) ** 2).mean())
        assert error == pytest.approx(row["metrics.test/rmse_unscaled"], rel=1e-6)


def test_a_metric_of_ones_own_as_the_docs_compute_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(row, test), _] = trained(sandbox, "dataset=iris", "model=logistic")
    with sandbox.tracker() as tracker:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    [code] = [b for b in blocks((ROOT / "docs" / "ui.md").read_text(), "python") if "top-2" in b]
    told = {"run_id": row["run_id"], "sweep_id": row["sweeps"]}
    exec(code, told)
    wanted = sklearn.metrics.top_k_accuracy_score(test.targets, test.outputs, k=2, labels=[0, 1, 2])
    assert told["score"] == pytest.approx(wanted)
    with pytest.raises(ConfigError, match="it has no test outputs"):
        regexp.open_sweep(row["sweeps"]).test_outputs(row["sweeps"])  # of the sweep itself


def test_double_precision_is_rounded_to_single(sandbox: Sandbox) -> None:
    for row, test in trained(
        sandbox, "dataset=iris", "trainer.precision=float64", "model=logistic"
    ):
        assert test.outputs.dtype == np.float32
        assert_recorded(row, test, relative=1e-6)


def test_a_run_again_gives_the_same_bytes(sandbox: Sandbox) -> None:
    (_, first), *_ = trained(sandbox, "dataset=iris")
    run_id = sandbox.children()["run_id"].iloc[0]
    before = sandbox.test_outputs(run_id)
    assert run(["rerun", run_id, *sandbox.arguments[:2]]) == 0
    with sandbox.tracker() as tracker:
        again = tracker.client.search_runs(
            [tracker.experiment_id], f"tags.`rerun.of` = '{run_id}'"
        )[0]
    assert sandbox.test_outputs(again.info.run_id) == before
    assert len(first.rows)


# --- row numbers of every kind of data set ----------------------------------------------------


def table(folder: Path) -> tuple[list[str], Callable[[Any], NDArray[Any]]]:
    """A table whose target says the row: 1,000 + its number."""
    lines = ["x,who,part,y"]
    parts = ["train", "test", "val"]
    lines += [f"{row % 7},p{row % 9},{parts[row % 3]},{1000 + row}" for row in range(90)]
    (folder / "t.csv").write_text("\n".join(lines))
    arguments = [
        "dataset=table",
        "dataset.path=t.csv",
        "dataset.target=y",
        "dataset.task=regression",
    ]
    return arguments, lambda rows: 1000 + rows


@pytest.mark.parametrize(
    "further",
    [
        [],
        ["dataset.group=who"],
        ["dataset.split=part"],
        ["dataset.train_size=20", "dataset.repeats=apart"],
    ],
    ids=["seed", "groups", "splits", "train_size"],
)
def test_rows_of_a_table_are_its_lines(sandbox: Sandbox, further: list[str]) -> None:
    arguments, target = table(sandbox.folder)
    for _, test in trained(sandbox, *arguments, *further, "trainer.batch_size=16"):
        assert test.truth[:, 0] == pytest.approx(target(test.rows), rel=1e-6)
        if "dataset.split=part" in further:
            assert (test.rows % 3 == 1).all()


def test_rows_of_a_series_are_the_starts_of_its_windows(sandbox: Sandbox) -> None:
    values = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    arguments = ("dataset=series", "dataset.window=6", "dataset.horizon=2", "dataset.stride=3")
    for _, test in trained(sandbox, *arguments, "model=logistic", "trainer.batch_size=16"):
        for step in range(2):
            wanted = values[test.rows + 6 + step]
            assert test.truth[:, step] == pytest.approx(wanted, rel=1e-5, abs=1e-4)


def test_rows_of_images_are_the_files_in_the_order_of_their_names(sandbox: Sandbox) -> None:
    folder = sandbox.folder / "pictures"
    for row in range(40):  # the folders a ... d have ten files each
        place = folder / "abcd"[row // 10]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), 5 * row, np.uint8)
        Image.fromarray(pixels).save(place / f"{row % 10}.png")
    arguments = ["dataset=galaxy_images", "dataset.path=pictures", "dataset.labels=null"]
    arguments += ["dataset.classes=null", "dataset.size=null", "trainer.batch_size=8"]
    for _, test in trained(sandbox, *arguments, "model=logistic"):
        assert test.classes == ("a", "b", "c", "d")
        assert np.array_equal(test.targets, test.rows // 10)


def test_rows_are_numbered_from_zero_where_nothing_was_read() -> None:
    data = make_data()
    made = row_outputs(data, torch.zeros(len(data.test), 3))
    assert made.rows.tolist() == list(range(30))
