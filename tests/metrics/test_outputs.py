"""The file of test outputs against what was put into it, read by NumPy alone."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regexp.errors import ConfigError
from regexp.metrics.outputs import RowOutputs, read, write

DRAWS = np.random.default_rng(0)
CLASSES = RowOutputs(
    "classification", np.array([4, 0, 9]), DRAWS.normal(size=(3, 2)).astype(np.float32),
    np.array([1, 0, 1]), ("yes", "né"), np.zeros(2), np.ones(2),
)  # fmt: skip
NUMBERS = RowOutputs(
    "regression", np.array([1, 2]), np.array([[1.5], [-2]], np.float32),
    np.array([[1], [0]], np.float32), (), np.array([10.0]), np.array([4.0]),
)  # fmt: skip


@pytest.mark.parametrize("test", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_numpy_reads_what_was_written(tmp_path: Path, test: RowOutputs) -> None:
    write(tmp_path / "a.npz", test)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert {name: file[name].dtype for name in ("rows", "outputs")} == {
            "rows": np.int64,
            "outputs": np.float32,
        }
        assert np.array_equal(file["outputs"], test.outputs)
    again = read(tmp_path / "a.npz")
    for name, value in vars(test).items():
        assert np.array_equal(getattr(again, name), value), name
    assert again.classes == test.classes


def test_equal_outputs_are_equal_bytes_whenever_they_are_written(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write(tmp_path / name, CLASSES)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.npz", "b.npz"))
    assert first == second
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:  # no clock has a say
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    write(tmp_path / "b.npz", replace(CLASSES, rows=CLASSES.rows + 1))
    assert (tmp_path / "b.npz").read_bytes() != first


def test_what_is_read_is_the_readers_own_also_where_runs_have_it_alike(tmp_path: Path) -> None:
    for name, test in (("a.npz", CLASSES), ("b.npz", replace(CLASSES, outputs=-CLASSES.outputs))):
        write(tmp_path / name, test)
    first, second = read(tmp_path / "a.npz"), read(tmp_path / "b.npz")
    for array in (first.targets, first.outputs, first.rows):
        array[:] = 7
    again = read(tmp_path / "a.npz")
    for one, outputs in ((second, -CLASSES.outputs), (again, CLASSES.outputs)):
        assert np.array_equal(one.targets, CLASSES.targets)
        assert np.array_equal(one.rows, CLASSES.rows)
        assert np.array_equal(one.outputs, outputs)


def test_values_and_truth_are_in_the_targets_own_unit(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", NUMBERS)
    again = read(tmp_path / "a.npz")
    assert again.values.tolist() == [[16.0], [2.0]]
    assert again.truth.tolist() == [[14.0], [10.0]]


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.npz")
    path = tmp_path / "a.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(path)
    np.savez(path, task=np.array("classification"))
    with pytest.raises(ConfigError, match="rows"):
        read(path)
    write(path, replace(CLASSES, rows=np.arange(2)))
    with pytest.raises(ConfigError, match="do not fit together"):
        read(path)
    np.savez(path, **{**vars(CLASSES), "targets": np.array([object()] * 3)})
    with pytest.raises(ConfigError, match="pickle"):
        read(path)
