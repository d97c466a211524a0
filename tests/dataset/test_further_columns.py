"""Groups and splits of every dataset: held against the columns that the files were made with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_iris, load_wine

from regexp.dataset.base import DataError, Dataset, Table
from regexp.errors import ConfigError
from tests.dataset.made import (
    config_of,
    galaxy_lines,
    made_images,
    make,
    series_lines,
    wine_lines,
    write,
    write_hdf5,
)

ROWS = 120
PATIENT = np.array([f"p{row // 3}" for row in range(ROWS)])
WORDS = np.array([("train", "train", "train", "Val", "TEST")[row // 6 % 5] for row in range(ROWS)])
GIVEN = [np.flatnonzero(word == WORDS) for word in ("train", "Val", "TEST")]

TARGETS = {
    "wine_quality": [row % 3 for row in range(ROWS)],
    "galaxies": [(0, 1, 2, 2)[row % 4] for row in range(ROWS)],
    "galaxy_images": [row % 3 for row in range(ROWS)],
    "galaxy10": [row % 10 for row in range(ROWS)],
}
"""Of the rows in the order of the file that says the split."""


def beside(lines: list[str], separator: str = ",") -> list[str]:
    """The lines of a file with two more columns."""
    further = zip(("patient", *PATIENT), ("part", *WORDS), strict=True)
    return [separator.join([line, *two]) for line, two in zip(lines, further, strict=True)]


def wine(folder: Path) -> Any:
    write(folder / "made.csv", beside(wine_lines(ROWS), ";"))
    return make("wine_quality", file="made.csv", sha256=None)


def galaxies(folder: Path) -> Any:
    write(folder / "made.csv", beside(galaxy_lines(ROWS)))
    return make("galaxies", file="made.csv", sha256=None)


def labelled(folder: Path) -> list[str]:
    """A CSV in the order of the images."""
    lines = ["OBJID,label3", *(f"{1000 + row},{row % 3}" for row in range(ROWS))]
    write(folder / "labels.csv", beside(lines))
    return [line.split(",")[0] for line in lines[1:]]


def images_with_csv(folder: Path) -> Any:
    """Images in another order than the rows of the CSV, which is that of the table."""
    names = np.array(labelled(folder))[::-1]
    np.savez(folder / "images.npz", images=made_images(ROWS), objid=names)
    return make("galaxy_images", path="images.npz", labels="labels.csv", size=4)


def folder_with_csv(folder: Path) -> Any:
    (folder / "pictures").mkdir()
    for name, image in zip(labelled(folder), made_images(ROWS), strict=True):
        Image.fromarray(image).save(folder / "pictures" / f"{name}.png")
    return make("galaxy_images", path="pictures", labels="labels.csv", size=4)


def images_with_arrays(folder: Path) -> Any:
    kind = np.array(["a", "b", "c"] * (ROWS // 3))
    part = WORDS.astype("S")
    np.savez(folder / "own.npz", images=made_images(ROWS), kind=kind, patient=PATIENT, part=part)
    return make("galaxy_images", path="own.npz", labels=None, label_column="kind", classes=None,
                identifiers=None, size=4)  # fmt: skip


def galaxy10(folder: Path) -> Any:
    made = write_hdf5(folder, ROWS)
    import h5py

    with h5py.File(folder / "made.h5", "a") as file:
        file["patient"] = np.arange(ROWS, dtype=">i4") // 3
        file["part"] = WORDS.astype(object)
    return make("galaxy10", **made)


FILES = (wine, galaxies, images_with_csv, folder_with_csv, images_with_arrays, galaxy10)


@pytest.fixture(params=FILES, ids=lambda made: made.__name__)
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each dataset over a file that has the columns `patient` and `part` too."""
    return request.param(tmp_path)


def test_a_group_of_any_dataset_stays_in_one_split(read, tmp_path):
    dataset = replace(read, group="patient")
    before = read.split_rows(read.table_of(tmp_path), 0)
    assert sum(len(set(PATIENT[rows])) for rows in before) > ROWS // 3
    for seed in range(3):
        splits = dataset.split_rows(dataset.table_of(tmp_path), seed)
        assert sum(len(set(PATIENT[rows])) for rows in splits) == ROWS // 3
        assert sorted(np.concatenate(splits)) == list(range(ROWS))
    assert dataset.table_of(tmp_path).columns == read.table_of(tmp_path).columns  # no input


def test_a_split_of_any_dataset_is_that_of_the_column(read, tmp_path):
    dataset = replace(read, split="part")
    splits = dataset.split_rows(dataset.table_of(tmp_path), 0)
    for found, given in zip(splits, GIVEN, strict=True):
        assert np.array_equal(found, given)
    data = dataset.load(5, tmp_path)
    assert data.shared_split
    assert data.test.targets.tolist() == [TARGETS[read.name][row] for row in GIVEN[2]]


def test_without_a_column_the_file_is_split_as_ever(read, tmp_path):
    assert read.table_of(tmp_path).extra == {}
    assert read.table_of(tmp_path).groups is read.table_of(tmp_path).splits is None


@pytest.mark.parametrize("key", ["group", "split"])
def test_a_column_that_no_file_has_is_told_by_its_key(read, key, tmp_path):
    with pytest.raises(DataError, match=f"dataset.{key}: .*no .*'nobody'.*(nearest|found): "):
        replace(read, **{key: "nobody"}).load(0, tmp_path)


@pytest.mark.parametrize(
    ("name", "target"),
    [("wine_quality", "quality"), ("galaxies", "UNCERTAIN"), ("galaxy_images", "label3"),
     ("galaxy10", "ans"), ("series", "SUNACTIVITY")],
)  # fmt: skip
@pytest.mark.parametrize("key", ["group", "split"])
def test_the_target_says_neither(name, target, key):
    path = {"path": "my.csv"} if name == "series" else {}
    message = f"dataset.{key}"
    with pytest.raises(ConfigError, match=message):
        make(name, **{key: target}, **path)


def test_inputs_may_be_groups(tmp_path):
    dataset = make("iris", group="petal width (cm)")
    width = load_iris().data[:, 3]
    splits = dataset.split_rows(dataset.table_of(tmp_path), 1)
    assert sum(len(set(width[rows])) for rows in splits) == len(set(width))
    assert len(dataset.load(1, tmp_path).features) == 4
    alike = replace(wine(tmp_path), group="pH").table_of(tmp_path)  # an input of a file
    acids = pd.read_csv(tmp_path / "made.csv", sep=";")["pH"]
    assert len(np.unique(alike.groups)) == acids.nunique() < ROWS
    assert "pH" in alike.columns


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_bundled_data_have_no_column_for_a_split(name, tmp_path):
    with pytest.raises(
        ConfigError, match=r"dataset.split=part: .* no column beside .*dataset=table"
    ):
        make(name, split="part").load(0, tmp_path)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("iris", "petal widht (cm)", "dataset.group: .* nearest: petal width"),
        ("digits", "patient", r"dataset.group=patient: .* no column that could .*dataset=table"),
        ("digits", "pixel_0_0", r"dataset.group=pixel_0_0: .* no column that could"),
    ],
)
def test_bundled_data_tell_which_groups_they_have(name, column, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        make(name, group=column).load(0, tmp_path)


def test_an_input_says_no_split(tmp_path):
    column = str(load_wine().feature_names[0])
    with pytest.raises(ConfigError, match=f"dataset.split={column}: .* beside its inputs"):
        make("wine", split=column).load(0, tmp_path)


def test_a_folder_of_classes_has_no_columns(tmp_path):
    for row, image in enumerate(made_images(30)):
        place = tmp_path / "pictures" / "abc"[row % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row}.png")
    dataset = make("galaxy_images", path="pictures", labels=None, classes=None, size=4,
                   group="patient")  # fmt: skip
    with pytest.raises(ConfigError, match=r"dataset.group: a folder without dataset.labels has"):
        dataset.load(0, tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(ROWS - 1), r"'patient' is of shape \[119\], expected \[120\]"),
        (np.zeros((ROWS, 2)), r"'patient' is of shape \[120, 2\]"),
        (np.zeros(ROWS, complex), "'patient' is of type complex128"),
        (np.zeros(ROWS, "i4,f4"), "'patient' is of type"),
        (np.zeros(ROWS, "M8"), "'patient' is of type datetime64"),
        (np.where(PATIENT == "p1", np.nan, 0), "group 'patient' is missing in 3 of 120 rows"),
        (np.array([{}] * ROWS, object), "dataset.group: .* cannot be read"),
    ],
)
def test_arrays_that_say_no_group_are_refused(array, message, tmp_path):
    dataset = images_with_arrays(tmp_path)
    with np.load(tmp_path / "own.npz") as stored:
        np.savez(tmp_path / "own.npz", **{**stored, "patient": array})
    with pytest.raises(DataError, match=f"own.npz: .*{message}|{message}"):
        replace(dataset, group="patient").load(0, tmp_path)


def test_an_hdf5_array_of_another_shape_is_refused(tmp_path):
    dataset = replace(galaxy10(tmp_path), group="images")
    with pytest.raises(DataError, match=r"dataset.group: .*'images' is of shape \[120, 8, 8, 3\]"):
        dataset.load(0, tmp_path)


PARTS = np.repeat(["train", "valid", "test"], (100, 40, 60))


def parted(folder: Path, words: Any = PARTS, **overrides: Any) -> Any:
    """ETTh1 over a made-up file with a split of each step."""
    lines = series_lines(config_of("etth1").columns, len(words))
    lines = [",".join(two) for two in zip(lines, ["part", *words], strict=True)]
    write(folder / "made.csv", lines)
    return make("etth1", path="made.csv", sha256=None, split="part", **overrides)


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_window_of_a_series_is_in_two_parts_of_the_column(horizon, tmp_path):
    data = parted(tmp_path, horizon=horizon).load(3, tmp_path)
    size = 24 + horizon
    oil = pd.read_csv(tmp_path / "made.csv")["OT"].to_numpy()
    scale = data.target_scale
    for split, (first, end) in {
        "train": (0, 100), "validation": (100, 140), "test": (140, 200),
    }.items():  # fmt: skip
        wanted = [oil[row + 24 : row + size] for row in range(first, end - size + 1)]
        found = getattr(data, split).targets.numpy() * scale.scale + scale.mean
        assert np.allclose(found, wanted, atol=1e-4)
    past = oil[:100]
    assert np.allclose((scale.mean[0], scale.scale[0]), (past.mean(), past.std()))


def test_shares_written_as_a_column_are_the_same_split(tmp_path):
    words = np.repeat(["train", "validation", "test"], (120, 40, 40))
    column = parted(tmp_path, words).load(0, tmp_path)
    shares = replace(parted(tmp_path, words), split=None).load(0, tmp_path)
    for split in ("train", "validation", "test"):
        one, other = getattr(column, split), getattr(shares, split)
        assert (one.inputs == other.inputs).all()
        assert (one.targets == other.targets).all()
    assert column.naive == shares.naive


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (np.roll(PARTS, 7), r"row 8, column 'part': train after test; a series is split by time"),
        (np.repeat(["test", "train", "val"], 60), "row 61, .* train after test"),
        (np.repeat(["train", "val"], 60), "gives no row to the test split"),
        (
            np.repeat(["train", "val", "test"], (90, 20, 90)),
            r"20 of the validation part .* windows$",
        ),
    ],
)
def test_a_split_against_time_is_refused(words, message, tmp_path):
    with pytest.raises(DataError, match=message):
        parted(tmp_path, words).load(0, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"path": "my.csv", "group": "day"}, "dataset.group=day: a series is split by time"),
        ({"split": "part"}, "dataset.split=part: the sunspots have no column"),
    ],
)
def test_what_a_series_cannot_have_is_told(overrides, message):
    with pytest.raises(ConfigError, match=message):
        make("series", **overrides)


@pytest.mark.parametrize("value", [True, ["a", "b"], ["a"]])
@pytest.mark.parametrize("key", ["group", "split"])
def test_one_column_is_named(key, value):
    with pytest.raises(ConfigError, match=f"dataset.{key}: expected the name of one column"):
        make("digits", **{key: value})


@dataclass(frozen=True, kw_only=True)
class Own(Dataset):
    """A user's, written before `group` and `split` were there."""

    name: ClassVar[str] = "own"
    kind: str = "plain"

    def read(self, folder: Path) -> Table:
        inputs = np.arange(2.0 * ROWS).reshape(ROWS, 2)
        table = Table(inputs, np.arange(ROWS) % 2, ("a", "b"), ("u", "v"), "none", "the test")
        further: dict[str, Any] = {
            "plain": {},
            "columns": {"extra": {"patient": list(PATIENT), 3: WORDS}},
            "groups": {"groups": np.arange(ROWS) // 2, "extra": {"patient": PATIENT}},
            "splits": {"splits": tuple(GIVEN), "extra": {"patient": PATIENT, "part": WORDS}},
        }
        return replace(table, **further[self.kind])

    def preprocessing(self, table: Table) -> None:
        return


def own(**settings: Any) -> Own:
    given: dict[str, Any] = {"validation": 0.2, "test": 0.2, "train_size": None, "split_seed": None}
    return Own(**given, label_noise=0, repeats="together", **settings)


def test_a_dataset_of_ones_own_says_which_columns_it_has(tmp_path):
    assert own().load(0, tmp_path).features == ("a", "b")
    dataset = own(kind="columns", group="patient")
    splits = dataset.split_rows(dataset.table_of(tmp_path), 0)
    assert sum(len(set(PATIENT[rows])) for rows in splits) == ROWS // 3


def test_groups_of_a_column_join_those_that_the_dataset_has(tmp_path):
    """Pairs of rows and threes of rows make sixes."""
    dataset = own(kind="groups", group="patient")
    for seed in range(3):
        splits = dataset.split_rows(dataset.table_of(tmp_path), seed)
        assert sum(len(set(rows // 6)) for rows in splits) == ROWS // 6


@pytest.mark.parametrize("setting", [{"group": "patient"}, {"split": "part"}])
def test_data_that_are_split_by_themselves_take_no_other_split(setting, tmp_path):
    with pytest.raises(ConfigError, match=r"dataset\.(group|split)=.* says by itself which rows"):
        own(kind="splits", **setting).load(0, tmp_path)


@pytest.mark.parametrize("kind", ["split", "labels"])
def test_bytes_of_arrays_that_are_no_text_are_told(kind, tmp_path):
    dataset = images_with_arrays(tmp_path)
    words = {"kind": np.array([b"a", b"b\xff"] * (ROWS // 2)), "part": WORDS.astype("S9")}
    if kind == "split":
        words["kind"] = np.array([b"a", b"b"] * (ROWS // 2))
        words["part"][7] = b"train\xff"
    with np.load(tmp_path / "own.npz") as stored:
        np.savez(tmp_path / "own.npz", **{**stored, **words})
    told = r"'kind' is no text in UTF-8 \(b'b\\xff'\)"
    if kind == "split":
        told = r"row 8, column 'part': b'train\\xff' is no text in UTF-8; expected train, val"
    with pytest.raises(DataError, match=f"own.npz: {told}"):
        replace(dataset, split="part").load(0, tmp_path)
