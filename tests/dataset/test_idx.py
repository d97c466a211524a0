"""IDX files, the layout of MNIST: held against the arrays that were written, byte by byte."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from regexp.dataset.base import DataError
from regexp.dataset.idx import read_idx
from regexp.errors import ConfigError
from tests.dataset.made import idx_bytes, made_images, make, write_idx_files


def grey(rows):
    return made_images(rows)[..., 0]


def test_the_other_files_are_the_test_of_every_run(tmp_path):
    dataset = make("idx", **write_idx_files(tmp_path))
    table = dataset.table_of(tmp_path)
    assert np.array_equal(table.inputs.array[:, 0], grey(75))
    assert table.targets.tolist() == [row % 3 for row in range(75)]
    assert table.classes == ("0", "1", "2")
    assert table.name == "made_idx"
    for seed in (0, 1):
        data = dataset.load(seed, tmp_path)
        assert data.test.rows.tolist() == list(range(60, 75))
        assert [len(data.train), len(data.validation)] == [48, 12]
        assert data.train.inputs.shape == (48, 1, 8, 8)
        pixels = grey(75)[data.train.rows] / 1.0
        wanted = (grey(75)[60:] - pixels.mean()) / pixels.std()
        assert np.allclose(data.test.inputs[:].numpy()[:, 0], wanted, atol=1e-5)


def test_files_are_found_gzipped_and_with_a_point(tmp_path):
    write_idx_files(tmp_path)
    folder = tmp_path / "made_idx"
    before = make("idx", path="made_idx").table_of(tmp_path)
    images = folder / "train-images-idx3-ubyte"
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images.read_bytes()))
    images.unlink()
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.rename(folder / "t10k-labels.idx1-ubyte")
    after = make("idx", path="made_idx").table_of(tmp_path)
    assert np.array_equal(before.inputs.array, after.inputs.array)
    assert np.array_equal(before.targets, after.targets)
    assert before.checksum != after.checksum  # of other files


def test_without_files_for_the_test_the_seed_splits_one_off(tmp_path):
    given = write_idx_files(tmp_path)
    data = make("idx", **given, test_images=None, test_labels=None).load(0, tmp_path)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [36, 12, 12]


def test_names_of_classes_size_and_colours(tmp_path):
    names = ["shirt", "boot", "bag"]
    given = write_idx_files(tmp_path)
    table = make("idx", **given, classes=names, size=4).table_of(tmp_path)
    assert table.classes == tuple(names)
    blocks = grey(75).reshape(75, 4, 2, 4, 2).mean((2, 4))
    assert np.abs(table.inputs.array[:, 0] - blocks).max() <= 0.5
    (tmp_path / "made_idx" / "colour").write_bytes(idx_bytes(made_images(60)))
    other = make("idx", **given, images="colour", test_images=None, test_labels=None)
    wanted = made_images(60).transpose(0, 3, 1, 2)
    assert np.array_equal(other.table_of(tmp_path).inputs.array, wanted)
    with pytest.raises(DataError, match="differ in shape"):
        make("idx", **given, images="colour").table_of(tmp_path)
    with pytest.raises(DataError, match=r"image 3 has the label 2, expected 0 to 1, as dataset"):
        make("idx", **given, classes=names[:2]).table_of(tmp_path)


@pytest.mark.parametrize(
    ("number", "letter"), [(8, "B"), (9, "b"), (11, "h"), (12, "i"), (13, "f"), (14, "d")]
)
def test_values_of_every_type(number, letter, tmp_path):
    values = list(range(6))
    body = struct.pack(f">{len(values)}{letter}", *values)
    (tmp_path / "a").write_bytes(bytes([0, 0, number, 2]) + struct.pack(">2I", 2, 3) + body)
    read = read_idx(tmp_path / "a")
    assert read.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read.dtype.isnative


GOOD = idx_bytes(np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file, it starts with nothing"),
        (b"\x89PNG....", "no IDX file, it starts with 89 50 4e 47"),
        (bytes([0, 0, 10, 1, 0, 0, 0, 1, 0]), "no IDX file"),
        (GOOD[:10], "ends within its sizes"),
        (GOOD[:-1], "18 bytes are of shape .*, found 17"),
        (GOOD + b"0", "found more"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 0]), "without a value"),
        (bytes([0, 0, 14, 2]) + b"\xff" * 8, "more than the .* of memory"),
    ],
)
def test_what_is_no_idx_file_is_refused(content, message, tmp_path):
    for name, written in {"a": content, "a.gz": gzip.compress(content)}.items():
        (tmp_path / name).write_bytes(written)
        with pytest.raises(DataError, match=rf"{name}: .*{message}"):
            read_idx(tmp_path / name)


def test_what_does_not_fit_is_told(tmp_path):
    given = write_idx_files(tmp_path)
    with pytest.raises(DataError, match=r"dataset\.images: no nil nor nil\.gz in .*made_idx"):
        make("idx", **given, images="nil").load(0, tmp_path)
    with pytest.raises(DataError, match=r"dataset\.test_labels: no nil .*; null for data without"):
        make("idx", **given, test_labels="nil").load(0, tmp_path)
    with pytest.raises(DataError, match=r"expected whole numbers \[60\], one for each image"):
        make("idx", **given, labels="t10k-labels-idx1-ubyte").load(0, tmp_path)
    with pytest.raises(DataError, match="expected uint8"):
        make("idx", **given, images="train-labels-idx1-ubyte").load(0, tmp_path)
    (tmp_path / "made_idx" / "cut.gz").write_bytes(gzip.compress(GOOD)[:-5])
    with pytest.raises(DataError, match="damaged or cut short"):
        make("idx", **given, images="cut").load(0, tmp_path)
    with pytest.raises(ConfigError, match=r"dataset\.test_labels: expected a file where"):
        make("idx", path="x", test_images=None)
    with pytest.raises(ConfigError, match=r"dataset\.classes: expected two or more"):
        make("idx", path="x", classes=["a", "a"])
