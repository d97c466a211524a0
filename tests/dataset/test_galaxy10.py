"""Galaxy10: the same rows from memory and from the file; labels and classes that do not fit."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from regexp.dataset.base import DataError
from regexp.dataset.hdf5 import HDF5Images
from regexp.dataset.lazy import ArrayImages
from tests.dataset.made import make, write_hdf5

NAMES = ("galaxy10", "galaxy10_sdss")


@pytest.mark.parametrize("name", NAMES)
def test_file_and_memory_give_the_same_rows(name, tmp_path):
    made = write_hdf5(tmp_path, rows=80)
    kept = make(name, **made).load(0, tmp_path)
    read = make(name, **made, memory=0).load(0, tmp_path)
    assert isinstance(kept.train.inputs.images, ArrayImages)
    assert isinstance(read.train.inputs.images, HDF5Images)
    for split in ("train", "validation", "test"):
        one, other = getattr(kept, split), getattr(read, split)
        assert torch.equal(one.inputs[:], other.inputs[:])
        assert torch.equal(one.targets, other.targets)
    assert read.train.inputs[:].mean((0, 2, 3)).abs().max() < 1e-6
    assert read.classes == tuple(make(name).classes)
    assert len(read.classes) == 10


def test_runs_share_the_images(tmp_path):
    dataset = make("galaxy10", **write_hdf5(tmp_path, rows=80))
    first, other = dataset.load(0, tmp_path), dataset.load(1, tmp_path)
    assert first.train.inputs.images is first.test.inputs.images is other.train.inputs.images
    assert not np.array_equal(first.train.inputs.rows, other.train.inputs.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ans": np.arange(80)}, "row 11 has the label 10, expected 0 to 9"),
        ({"ans": np.arange(79) % 10}, r"80 images, but labels of shape \[79\]"),
        ({}, "no 'ans' in it; found: images"),
    ],
)
def test_labels_that_do_not_fit_are_refused(change, message, tmp_path):
    h5py = pytest.importorskip("h5py")
    made = write_hdf5(tmp_path, rows=80)
    with h5py.File(tmp_path / "made.h5", "a") as file:
        del file["ans"]
        for key, value in change.items():
            file[key] = value
    with pytest.raises(DataError, match=message):
        make("galaxy10", **made).load(0, tmp_path)


def test_nothing_is_downloaded_without_h5py(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"regexp\[hdf5\]"):
        make("galaxy10", url=f"{server.address}/Galaxy10_DECals.h5").load(0, tmp_path)
    assert server.requests == []
