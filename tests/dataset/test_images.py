"""Images in an .npz or in folders, and their labels, against the arrays they were made of."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from regexp.dataset.base import DataError
from tests.dataset.made import made_images, make, real_folder, write, write_images


def images(folder, **overrides):
    return make("galaxy_images", **{**write_images(folder), **overrides})


def folder_of(tmp_path, rows=30):
    """A folder of PNG files, one sub-folder a class."""
    for row, image in enumerate(made_images(rows)):
        place = tmp_path / "pictures" / "abc"[row % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row:03d}.png")
    return {"path": "pictures", "labels": None, "classes": None, "size": None}


def read(dataset, folder):
    """Images and labels as read, in the order of the bytes of the images."""
    table = dataset.read(folder)
    order = np.lexsort(table.inputs.array.reshape(len(table.targets), -1).T)
    names = np.array(table.classes)[table.targets]
    return table.inputs.array[order], names[order]


def expected(rows, names):
    array = made_images(rows).transpose(0, 3, 1, 2)
    order = np.lexsort(array.reshape(rows, -1).T)
    return array[order], np.array([names[row % 3] for row in range(rows)])[order]


def test_npz_and_labels_are_joined_by_their_identifiers(tmp_path):
    array, names = read(images(tmp_path, size=None), tmp_path)
    wanted, labels = expected(60, ["elliptical", "spiral", "edge_on"])
    assert np.array_equal(array, wanted)
    assert (names == labels).all()


@pytest.mark.parametrize("kind", ["S4", np.int64, np.float64])
def test_identifiers_are_texts_whatever_their_type(kind, tmp_path):
    given = write_images(tmp_path)
    with np.load(tmp_path / "images.npz") as file:
        array, identifiers = file["images"], file["objid"]
    np.savez(tmp_path / "images.npz", images=array, objid=identifiers.astype(kind))
    dataset = make("galaxy_images", **{**given, "size": None})
    wanted, labels = expected(60, ["elliptical", "spiral", "edge_on"])
    found, names = read(dataset, tmp_path)
    assert np.array_equal(found, wanted)
    assert (names == labels).all()


def test_labels_of_bytes_are_their_texts(tmp_path):
    kinds = np.array([b"cat", b"dog"] * 30)
    np.savez(tmp_path / "own.npz", images=made_images(), kind=kinds)
    names = {"labels": None, "label_column": "kind", "classes": None, "identifiers": None}
    table = make("galaxy_images", path="own.npz", size=4, **names).read(tmp_path)
    assert table.classes == ("cat", "dog")


@pytest.mark.parametrize("label", ["", "NaN"])
def test_images_without_a_label_are_no_class_of_their_own(label, tmp_path):
    dataset = images(tmp_path, classes=None)
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    lines[3] = lines[3].partition(",")[0] + "," + label
    write(tmp_path / "labels.csv", lines)
    told = f"labels.csv: 1 of 60 images have no label, the first in row 3 \\({label!r}\\)"
    with pytest.raises(DataError, match=told):
        dataset.read(tmp_path)
    kinds = np.array([1.0, 2.0, np.nan] * 20)
    np.savez(tmp_path / "own.npz", images=made_images(), kind=kinds)
    names = {"labels": None, "label_column": "kind", "classes": None, "identifiers": None}
    with pytest.raises(DataError, match=r"own.npz: 20 of 60 images have no label, .* row 3"):
        make("galaxy_images", path="own.npz", size=4, **names).read(tmp_path)


def test_an_identifier_of_two_images_is_refused(tmp_path):
    dataset = images(tmp_path)
    with np.load(tmp_path / "images.npz") as file:
        array, identifiers = file["images"], file["objid"].copy()
    identifiers[5] = identifiers[2]
    np.savez(tmp_path / "images.npz", images=array, objid=identifiers)
    with pytest.raises(DataError, match="'objid' has '1002' more than once"):
        dataset.read(tmp_path)


def test_images_are_reduced_and_standardized(tmp_path):
    data = images(tmp_path).load(0, tmp_path)
    assert data.train.inputs.shape == (36, 3, 4, 4)
    train = data.train.inputs[:].double()
    assert train.mean((0, 2, 3)).abs().max() < 1e-6
    assert (train.std((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-6
    assert data.name == "images"


def test_checksum_sees_images_and_labels(tmp_path):
    first = images(tmp_path).load(0, tmp_path).checksum
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    write(tmp_path / "labels.csv", [lines[0], "1059,1", *lines[2:]])
    given = {"path": "images.npz", "labels": "labels.csv", "size": 4}
    assert make("galaxy_images", **given).load(0, tmp_path).checksum != first
    names = {"labels": None, "label_column": "kind", "classes": None}
    np.savez(tmp_path / "own.npz", images=made_images(), kind=np.array(["a", "b", "c"] * 20))
    data = make("galaxy_images", path="own.npz", identifiers=None, size=4, **names).load(
        0, tmp_path
    )
    assert data.checksum == hashlib.sha256((tmp_path / "own.npz").read_bytes()).hexdigest()
    assert data.classes == ("a", "b", "c")


def test_labels_in_the_order_of_the_images(tmp_path):
    dataset = images(tmp_path, identifiers=None, size=None)
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    write(tmp_path / "labels.csv", [lines[0], *reversed(lines[1:])])
    array, names = read(dataset, tmp_path)
    wanted, labels = expected(60, ["elliptical", "spiral", "edge_on"])
    assert np.array_equal(array, wanted)
    assert (names == labels).all()


def test_images_without_a_label_are_left_out(tmp_path):
    dataset = images(tmp_path)
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    write(tmp_path / "labels.csv", lines[:-9])
    assert len(dataset.read(tmp_path).targets) == 51


def test_sub_folders_are_classes(tmp_path):
    dataset = make("galaxy_images", **folder_of(tmp_path))
    array, names = read(dataset, tmp_path)
    wanted, labels = expected(30, "abc")
    assert np.array_equal(array, wanted)
    assert (names == labels).all()
    before = dataset.load(0, tmp_path).checksum
    (tmp_path / "pictures" / "a" / "000.png").rename(tmp_path / "pictures" / "b" / "000.png")
    other = make("galaxy_images", **folder_of(tmp_path))
    (tmp_path / "pictures" / "a" / "000.png").unlink()
    assert other.load(0, tmp_path).checksum != before


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_a_folder_and_a_table_of_labels(suffix, tmp_path):
    made = folder_of(tmp_path)
    lines = [f"{row:03d}{suffix},{'xyz'[row % 3]}" for row in range(30)]
    write(tmp_path / "labels.csv", ["OBJID,label3", *lines])
    dataset = make("galaxy_images", **{**made, "labels": "labels.csv"})
    array, names = read(dataset, tmp_path)
    wanted, labels = expected(30, "xyz")
    assert np.array_equal(array, wanted)
    assert (names == labels).all()


def test_grey_images_and_jpegs_have_three_channels(tmp_path):
    grey = made_images()[..., 0]
    names = {"labels": None, "identifiers": None, "label_column": "kind", "classes": None}
    np.savez(tmp_path / "grey.npz", images=grey, kind=np.arange(60) % 3)
    array = make("galaxy_images", path="grey.npz", size=None, **names).read(tmp_path).inputs.array
    assert np.array_equal(array, np.repeat(grey[:, None], 3, axis=1))
    for name in "ab":
        (tmp_path / "jpegs" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(tmp_path / "jpegs" / name / "one.JPG", format="JPEG")
    table = make("galaxy_images", path="jpegs", size=4, **names).read(tmp_path)
    assert (table.inputs.array == 90).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"path": "no.npz"}, "dataset.path: no 'no.npz' in"),
        ({"labels": "no.csv"}, "dataset.labels: no 'no.csv' in"),
        ({"array": "pictures"}, "no 'pictures' in it; found: images, objid"),
        ({"array": "objid"}, r"'objid' is <U4 of shape \[60\], expected uint8"),
        ({"identifiers": "id"}, "no 'id' in it"),
        ({"label_column": "label"}, "has no column 'label'"),
        ({"classes": ["a", "b"]}, "row 1 has the label '2', expected 0 to 1"),
        ({"size": 16}, "dataset.size=16: .* 8 x 8 pixels"),
        ({"path": "labels.csv"}, "labels.csv: cannot be read as an .npz"),
    ],
)
def test_what_does_not_fit_the_files_is_said(overrides, message, tmp_path):
    with pytest.raises(DataError, match=message):
        images(tmp_path, **overrides).load(0, tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["OBJID,label3"], "a header and no rows"),
        (["OBJID,label3", "1000,1", "1000,2"], "the same identifier twice"),
        (["OBJID,label3", "1000,1", "7,2"], "1 of 2 rows have no image in .* first is '7'"),
    ],
)
def test_faults_of_the_labels_are_said(lines, message, tmp_path):
    dataset = images(tmp_path)
    write(tmp_path / "labels.csv", lines)
    with pytest.raises(DataError, match=message):
        dataset.load(0, tmp_path)


def test_faults_of_a_folder_are_said(tmp_path):
    made = folder_of(tmp_path)
    Image.new("RGB", (8, 6)).save(tmp_path / "pictures" / "a" / "odd.png")
    with pytest.raises(DataError, match="images of different sizes"):
        make("galaxy_images", **made).load(0, tmp_path)
    with pytest.raises(DataError, match=r"odd\.png: an image of 8 x 6 pixels would be distorted"):
        make("galaxy_images", **{**made, "size": 4}).load(0, tmp_path)
    (tmp_path / "pictures" / "a" / "odd.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"odd\.png: cannot be read as an image"):
        make("galaxy_images", **made).load(0, tmp_path)
    (tmp_path / "pictures" / "a" / "odd.png").rename(tmp_path / "pictures" / "odd.png")
    with pytest.raises(DataError, match="names of its sub-folders, but images lie in the folder"):
        make("galaxy_images", **made).load(0, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no .png, .jpg, .jpeg file in this folder"):
        make("galaxy_images", **{**made, "path": "empty"}).load(0, tmp_path)


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_file_is_run(tmp_path):
    proof = tmp_path / "proof"
    (tmp_path / "images.npz").write_bytes(pickle.dumps(Bomb(proof)))
    write(tmp_path / "labels.csv", ["OBJID,label3", "1,1"])
    given = {"path": "images.npz", "labels": "labels.csv"}
    with pytest.raises(DataError, match=r"cannot be read as an \.npz"):
        make("galaxy_images", **given).load(0, tmp_path)
    boxed = np.empty(1, dtype=object)
    boxed[0] = Bomb(proof)
    np.savez(tmp_path / "images.npz", images=boxed, objid=np.array(["1"]))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz"):
        make("galaxy_images", **given).load(0, tmp_path)
    assert not proof.exists()


def test_real_galaxies_and_a_linear_yardstick():
    """800 of each class; logistic regression on 20 components of 16 x 16 pixels gets 0.595."""
    data = make("galaxy_images", size=16).load(0, real_folder("gz1_images64_2400.npz"))
    targets = torch.cat([data.train.targets, data.validation.targets, data.test.targets])
    assert data.classes == ("elliptical", "spiral", "edge_on")
    assert torch.bincount(targets).tolist() == [800, 800, 800]
    train, test = (part.inputs[:].flatten(1).numpy() for part in (data.train, data.test))
    pca = PCA(20, random_state=0).fit(train)
    model = LogisticRegression(max_iter=1000).fit(pca.transform(train), data.train.targets)
    assert model.score(pca.transform(test), data.test.targets) == pytest.approx(0.595, abs=0.05)
