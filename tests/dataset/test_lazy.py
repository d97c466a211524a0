"""Images that are read when asked for, against whole arrays; memory is counted in rows."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from regexp.dataset.base import Data, DataError, Split
from regexp.dataset.hdf5 import HDF5Images
from regexp.dataset.lazy import ArrayImages, ChannelScaler, LazyInputs
from regexp.dataset.pixels import area_average, pixel_names
from regexp.model.mlp import MLP
from tests.dataset.made import made_images, write_hdf5
from tests.support import make_member, run

ROWS = np.array([50, 3, 17, 4, 0, 59, 31])


@pytest.fixture(params=["array", "hdf5"])
def images(request, tmp_path):
    """The made-up images, in memory or in a file."""
    if request.param == "array":
        return ArrayImages(made_images().transpose(0, 3, 1, 2))
    write_hdf5(tmp_path)
    return HDF5Images(tmp_path / "made.h5", "images", None)


def whole(rows=ROWS):
    return made_images().transpose(0, 3, 1, 2)[rows].astype(np.float32)


@pytest.fixture
def few_at_once(monkeypatch):
    """Blocks of four rows; how many rows each read asked for."""
    asked = []
    for kind in (ArrayImages, HDF5Images):
        monkeypatch.setattr(kind, "ROWS_AT_ONCE", 4)
        read = kind.read

        def count(self, rows, read=read):
            asked.append(len(rows))
            assert (np.diff(rows) >= 0).all(), "a block is read from front to back"
            return read(self, rows)

        monkeypatch.setattr(kind, "read", count)
    return asked


def test_inputs_are_the_standardized_images(images, few_at_once):
    mean, scale = np.array([100.0, 120, 140]), np.array([50.0, 60, 70])
    inputs = LazyInputs(images, ROWS, mean, scale)
    expected = (whole() - mean[:, None, None]) / scale[:, None, None]
    assert inputs.shape == (7, 3, 8, 8)
    assert len(inputs) == 7
    assert inputs[:].dtype == torch.float32
    assert np.allclose(inputs[:], expected, atol=1e-6)
    assert np.allclose(inputs[2:5], expected[2:5], atol=1e-6)
    assert inputs[3:3].shape == (0, 3, 8, 8)
    index = torch.tensor([6, 0, 0, 5, 6, 2])
    assert np.allclose(inputs.index_select(0, index), expected[index], atol=1e-6)
    assert inputs.index_select(0, index[:0]).shape == (0, 3, 8, 8)


def test_standardization_is_numpys_in_one_pass_of_bounded_memory(images, few_at_once):
    scaler = ChannelScaler().fit(images[ROWS])
    pixels = whole().astype(np.float64)
    assert np.allclose(scaler.mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(scaler.scale, pixels.std((0, 2, 3)), rtol=1e-12)
    assert few_at_once == [4, 3], "each row is read once, four at most at a time"
    standard = scaler.transform(images[ROWS])[:].double()
    assert standard.mean((0, 2, 3)).abs().max() < 1e-6
    assert max(few_at_once) == 4


def test_a_channel_that_does_not_vary_in_the_rows_fitted_becomes_zero():
    pixels = np.full((5, 2, 3, 3), 7, dtype=np.uint8)
    pixels[4] = 200
    images = ArrayImages(pixels)
    inputs = ChannelScaler().fit(images[np.arange(4)]).transform(images[np.arange(5)])
    assert not inputs[:].any()


def test_sums_of_many_pixels_do_not_overflow():
    """count * sum of squares is beyond 64 bits for some hundred images of 256 x 256."""
    images = ArrayImages(np.tile(np.array([[[[0, 255]]]], dtype=np.uint8), (1, 1, 64, 32)))
    rows = np.zeros(10_000, dtype=np.int64)
    scaler = ChannelScaler().fit(images[rows])
    assert scaler.mean == pytest.approx(127.5)
    assert scaler.scale == pytest.approx(127.5)


def test_hdf5_in_memory_equals_hdf5_on_disk(tmp_path, few_at_once):
    write_hdf5(tmp_path)
    disk = HDF5Images(tmp_path / "made.h5", "images", 4)
    memory = ArrayImages.of(disk)
    assert max(few_at_once) == 4
    assert memory.shape == disk.shape == (60, 3, 4, 4)
    assert torch.equal(memory[ROWS][:], disk[ROWS][:])


def test_hdf5_survives_pickling(tmp_path):
    write_hdf5(tmp_path)
    inputs = HDF5Images(tmp_path / "made.h5", "images", None)[ROWS]
    before = inputs[:]
    assert torch.equal(pickle.loads(pickle.dumps(inputs))[:], before)


def test_area_average_is_the_rounded_mean_of_blocks():
    array = made_images(5, 8).transpose(0, 3, 1, 2)
    expected = array.reshape(5, 3, 4, 2, 4, 2).astype(np.float64).mean((3, 5))
    assert np.array_equal(area_average(array, 4), np.rint(expected).astype(np.uint8))
    assert area_average(array, 8) is array
    flat = np.full((1, 3, 69, 69), 200, dtype=np.uint8)
    assert (area_average(flat, 32) == 200).all()  # where the size does not divide


def test_pixel_names_follow_the_flattened_inputs():
    names = pixel_names(("red", "blue"), 2, 3)
    assert names == (
        "red[0,0]", "red[0,1]", "red[0,2]", "red[1,0]", "red[1,1]", "red[1,2]",
        "blue[0,0]", "blue[0,1]", "blue[0,2]", "blue[1,0]", "blue[1,1]", "blue[1,2]",
    )  # fmt: skip


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_training_on_them_has_the_bits_of_training_on_tensors(images, seeds):
    def data(seed: int, lazy: bool) -> Data:
        rows = np.random.default_rng(seed).permutation(60)
        scaler = ChannelScaler().fit(images[rows[:30]])

        def split(own: NDArray[np.int64]) -> Split:
            inputs = scaler.transform(images[own])
            return Split(inputs if lazy else inputs[:], torch.from_numpy(own % 3))

        train, validation, test = (split(own) for own in np.split(rows, [30, 45]))
        return Data(
            train,
            validation,
            test,
            "classification",
            ("a", "b", "c"),
            (),
            "none",
            "made",
            "the test",
        )

    def trained(lazy: bool) -> list[dict[str, torch.Tensor]]:
        def model() -> MLP:
            return MLP((3, 8, 8), 3, [4], "relu")

        members = [make_member(seed, model=model, data=data(seed, lazy)) for seed in seeds]
        return [result.last["weights"] for result in run(members, 2, 16)[0]]

    for ours, other in zip(trained(True), trained(False), strict=True):
        assert all(torch.equal(value, other[name]) for name, value in ours.items())


def test_faults_of_a_file_are_said(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"bad\.h5: cannot be read as HDF5"):
        HDF5Images(tmp_path / "bad.h5", "images", None)
    write_hdf5(tmp_path)
    with pytest.raises(DataError, match="no 'pictures' in it; found: ans, images"):
        HDF5Images(tmp_path / "made.h5", "pictures", None)
    with pytest.raises(DataError, match=r"'ans' is uint8 of shape \[60\], expected uint8 \[rows"):
        HDF5Images(tmp_path / "made.h5", "ans", None)
    with pytest.raises(DataError, match=r"dataset.size=9: .* 8 x 8 pixels; give at most 8"):
        HDF5Images(tmp_path / "made.h5", "images", 9)


def test_without_h5py_the_cure_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"h5py, which is not installed.*regexp\[hdf5\]"):
        HDF5Images(tmp_path / "made.h5", "images", None)
