"""Rows without targets against what the same rows were when the whole file was read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from regexp.dataset import stored
from regexp.dataset.data import DataError
from regexp.dataset.lazy import LazyInputs
from regexp.dataset.new_rows import _as_numbers
from tests.dataset.made import (
    idx_bytes,
    made_images,
    make,
    write_idx_files,
    write_image_folder,
)

LINES = [
    "size;share;colour;code;true;rank;kind",
    "1,5;12%;red;01;True;1;a",
    "2,25;;blue;1;False;2;b",
    "?;7%;red;22;True;1;a",
    "-3;1 000%;;01;False;3;b",
    *[
        f"{n},5;{n}%;{'red' if n % 2 else 'green'};22;True;{n % 3 + 1};{'ab'[n % 2]}"
        for n in range(40)
    ],
]
TABLE = {
    "path": "table.csv", "target": "kind", "separator": ";", "decimal": ",", "missing": ["?"],
    "categorical": ["code", "rank"],
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A dataset, and the preparation of a run."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("\n".join(LINES))
    dataset = make("table", **TABLE)
    return dataset, dataset.load(0, tmp_path).preparation


def lines(*rows: str, header: str = LINES[0]) -> Path:
    path = Path("new.csv")
    path.write_text("\n".join([header, *rows]))
    return path


def test_any_rows_of_the_file_are_what_they_were(table: tuple[Any, Any], tmp_path: Path) -> None:
    """Three rows cannot tell again what a column is: whether 01 is a code, or 12% a number."""
    dataset, preparation = table
    whole = dataset.table_of(tmp_path).inputs
    for rows in ([0], [1], [2, 3], [1, 4, 5], list(range(len(whole)))):
        got = dataset.read_inputs(lines(*(LINES[row + 1] for row in rows)), preparation)
        assert np.array_equal(got, whole[rows], equal_nan=True)


def test_the_target_may_be_absent_and_columns_may_stand_otherwise(
    table: tuple[Any, Any], tmp_path: Path
) -> None:
    dataset, preparation = table
    path = lines("x;1;True;red;22;9%;3,5", header="more;rank;true;colour;code;share;size")
    [row] = dataset.read_inputs(path, preparation)
    assert preparation.columns == ("size", "share", "colour", "code", "true", "rank")
    levels = preparation.levels
    assert row[:2].tolist() == [3.5, 9.0]
    named = [
        levels[name][int(code)] for name, code in zip(preparation.columns[2:], row[2:], strict=True)
    ]
    assert named == ["red", "22", "True", "1"]


def test_a_data_frame_of_any_types(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    frame = pd.DataFrame(
        {
            "size": ["1,5", None], "share": ["12%", np.nan], "colour": ["red", None],
            "code": ["01", "1"], "true": [True, "FALSE"], "rank": [1.0, "3.0"],
        }
    )  # fmt: skip
    got = dataset.read_inputs(frame, preparation)
    levels = preparation.levels
    assert np.array_equal(got[:, :2], [[1.5, 12], [np.nan, np.nan]], equal_nan=True)
    assert [levels["code"][int(code)] for code in got[:, 3]] == ["01", "1"]
    assert [levels["true"][int(code)] for code in got[:, 4]] == ["True", "False"]
    assert [levels["rank"][int(code)] for code in got[:, 5]] == ["1", "3"]
    assert levels["colour"][int(got[1, 2])] == "missing"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("big;1%;red;01;True;1", r"row 1, column 'size': 'big' is no number, and the run"),
        ("1;1%;pink;01;True;1", r"row 1, column 'colour': 'pink' is no level .*; it knows 'blue'"),
        ("1;1%;red;1.5;True;1", r"column 'code': '1.5' is no level"),
        ("1;1%;red;01;;1", r"row 1, column 'true': no value is no level"),
        ("1;1%;red;?;True;1", r"column 'code': no value is no level"),
    ],
)
def test_what_the_run_does_not_know_is_told(table: tuple[Any, Any], row: str, told: str) -> None:
    dataset, preparation = table
    with pytest.raises(DataError, match=told):
        dataset.read_inputs(lines(row, header=LINES[0].removesuffix(";kind")), preparation)


def test_categories_of_numbers_with_decimal_commas_are_known_again(tmp_path: Path) -> None:
    rows = [f"{row % 4},5;{'ab'[row % 3 % 2]}" for row in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["step;kind", *rows]))
    dataset = make(
        "table", path=str(tmp_path / "table.csv"), target="kind", separator=";", decimal=",",
        categorical=["step"],
    )  # fmt: skip
    preparation = dataset.load(0, tmp_path).preparation
    assert preparation.levels == {"step": ("0.5", "1.5", "2.5", "3.5")}
    (tmp_path / "new.csv").write_text("step\n2,5\n0,5\n")
    assert dataset.read_inputs(tmp_path / "new.csv", preparation).tolist() == [[2.0], [0.0]]


def test_dates_where_the_run_has_numbers_are_told(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    frame = pd.DataFrame(
        {
            "size": [1.0], "share": [pd.Timestamp("2020-01-02")], "colour": ["red"],
            "code": ["01"], "true": [True], "rank": [1],
        }
    )  # fmt: skip
    with pytest.raises(DataError, match=r"row 1, column 'share': .*2020-01-02.* is no number"):
        dataset.read_inputs(frame, preparation)


def test_complex_numbers_are_no_numbers(table: tuple[Any, Any]) -> None:
    """NumPy would leave their imaginary part out."""
    dataset, preparation = table
    frame = pd.DataFrame({"size": [1.5 + 2j], "share": ["12%"], "colour": ["red"], "code": ["01"],
                          "true": [True], "rank": ["1"]})  # fmt: skip
    with pytest.raises(DataError, match=r"'size': expected real numbers, got complex128"):
        dataset.read_inputs(frame, preparation)
    with pytest.raises(DataError, match=r"an array of complex128, expected numbers"):
        _as_numbers(np.zeros((2, 5), complex))


def test_missing_columns_are_named(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    path = lines("1;1%;01", header="size;share;code")
    with pytest.raises(
        DataError, match=r"no columns 'colour', 'true', 'rank'; .* size, share, code"
    ):
        dataset.read_inputs(path, preparation)


def test_arrays_are_of_the_shape_that_was_read(tmp_path: Path) -> None:
    digits = make("digits")
    preparation = digits.load(0, tmp_path).preparation
    images = np.arange(128.0).reshape(2, 8, 8)
    for array in (images, images.reshape(2, 64), images.reshape(2, 1, 8, 8)):
        assert np.array_equal(digits.read_inputs(array, preparation), images.reshape(2, 64))
    np.save(tmp_path / "rows.npy", images)
    assert np.array_equal(
        digits.read_inputs(tmp_path / "rows.npy", preparation), images.reshape(2, 64)
    )
    with pytest.raises(DataError, match=r"array of shape \[2, 8\], expected \[rows, 64\]"):
        digits.read_inputs(images[0, :2], preparation)


def test_an_array_of_objects_is_no_array(tmp_path: Path) -> None:
    digits = make("digits")
    np.save(tmp_path / "rows.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot be read as an array"):
        digits.read_inputs(tmp_path / "rows.npy", digits.load(0, tmp_path).preparation)


def test_images_of_a_folder_and_of_an_array(tmp_path: Path) -> None:
    dataset = make("image_folder", **write_image_folder(tmp_path))
    preparation = dataset.load(0, tmp_path).preparation
    files = sorted((tmp_path / "photos" / "bee").iterdir())
    whole = dataset.table_of(tmp_path).inputs
    rows = [row for row in range(len(whole)) if dataset.table_of(tmp_path).targets[row] == 1]
    array = np.stack([np.asarray(Image.open(file)) for file in files])
    for given in (tmp_path / "photos" / "bee", array, whole.read(np.array(rows))):
        got = dataset.read_inputs(given, preparation)
        assert isinstance(got, LazyInputs)
        assert np.array_equal(got.images.read(np.arange(len(files))), whole.read(np.array(rows)))
    with pytest.raises(DataError, match=r"images of float64 .* expected uint8"):
        dataset.read_inputs(array / 255, preparation)
    with pytest.raises(DataError, match=r"images of 3 x 3 pixels .* trained on 4 x 4"):
        dataset.read_inputs(array[:, :3, :3], preparation)


def test_where_both_orders_of_axes_fit_an_image_the_channels_stand_last(tmp_path: Path) -> None:
    """As in files of IDX, of which the rows that a run was tested on are predicted again."""
    given = write_idx_files(tmp_path)
    images = made_images(60, 3)
    (tmp_path / "made_idx" / "colour").write_bytes(idx_bytes(images))
    dataset = make("idx", **given, images="colour", test_images=None, test_labels=None)
    preparation = dataset.load(0, tmp_path).preparation
    wanted = dataset.table_of(tmp_path).inputs.read(np.arange(60))
    for rows in (tmp_path / "made_idx" / "colour", images):
        got = dataset.read_inputs(rows, preparation)
        assert np.array_equal(got.images.read(np.arange(60)), wanted)


def test_steps_of_a_series_become_every_window(tmp_path: Path) -> None:
    series = make("series", window=5, horizon=2)
    preparation = series.load(0, tmp_path).preparation
    steps = pd.DataFrame({"year": range(9), "SUNACTIVITY": np.arange(9.0)})
    windows = series.read_inputs(steps, preparation)
    assert windows[:, :, 0].tolist() == [[t + n for n in range(5)] for t in range(5)]
    with pytest.raises(DataError, match="4 steps of time are less than a window of 5"):
        series.read_inputs(steps[:4], preparation)
    with pytest.raises(DataError, match="row 2, column 'SUNACTIVITY': no value"):
        series.read_inputs(steps.mask(steps == 1), preparation)


def test_columns_that_pandas_numbers_from_0_are_those_of_a_file_without_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file names them from 1: taken by their numbers, every column would be its neighbour."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(40, 4)).round(3)
    values[:, 3] = np.arange(40) % 2
    Path("rows.csv").write_text("\n".join(",".join(map(str, row)) for row in values))
    dataset = make("table", path="rows.csv", header=False, target=4)
    preparation = dataset.load(0, tmp_path).preparation
    frame = pd.read_csv("rows.csv", header=None)
    named = frame.set_axis(["1", "2", "3", "4"], axis=1)
    texts = frame.rename(columns=str)  # as of Parquet, which has no other names
    for rows in (Path("rows.csv"), frame, frame.drop(columns=3), frame[[2, 0, 1]], named, texts,
                 texts[["2", "0", "1"]]):  # fmt: skip
        assert np.array_equal(dataset.read_inputs(rows, preparation), values[:, :3])
    with pytest.raises(DataError, match=r"numbered from 1, 2, 3, without 0, .* as text"):
        dataset.read_inputs(frame.drop(columns=0), preparation)


def test_parquet_of_a_frame_without_names_is_that_frame(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    values = np.random.default_rng(0).normal(size=(40, 4)).round(3)
    values[:, 3] = np.arange(40) % 2
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in values))
    dataset = make("table", path=str(path), header=False, target=4)
    preparation = dataset.load(0, tmp_path).preparation
    frame = pd.read_csv(path, header=None)
    frame.to_parquet(path.with_suffix(".parquet"))
    read = dataset.read_inputs(path.with_suffix(".parquet"), preparation)
    assert np.array_equal(read, values[:, :3])


def test_a_file_without_a_header_has_all_columns_that_tell_the_places_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the target before them the inputs are b, c and what was left out: other columns."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(40, 5)).round(3)
    values[:, 0] = np.arange(40) % 2
    write = lambda rows: Path("rows.csv").write_text("\n".join(",".join(map(str, r)) for r in rows))
    write(values)
    dataset = make("table", path="rows.csv", header=False, target=1, drop=["5"])
    preparation = dataset.load(0, tmp_path).preparation
    assert np.array_equal(dataset.read_inputs(Path("rows.csv"), preparation), values[:, 1:4])
    write(values[:, 1:])
    frame = pd.read_csv("rows.csv", header=None)
    for rows in (Path("rows.csv"), frame):
        with pytest.raises(DataError, match=r"4 columns without a header, .* a file of 5"):
            dataset.read_inputs(rows, preparation)


def test_what_is_written_otherwise_is_told_how_that_of_the_run_is(table: tuple[Any, Any]) -> None:
    """The run's settings are its own: a cure that names one cannot be obeyed."""
    dataset, preparation = table
    with pytest.raises(DataError) as caught:
        dataset.read_inputs(lines("1,1%,red,01,True,1", header="size,share,colour"), preparation)
    assert "dataset." not in str(caught.value)
    assert "fields separated by ';', decimals after ','" in str(caught.value)


def test_other_columns_may_have_no_name(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    header = LINES[0].removesuffix(";kind")
    wanted = dataset.read_inputs(lines("1;1%;red;01;True;1", header=header), preparation)
    numbered = lines("7;8;8;1;1%;red;01;True;1", header=f";x;x;{header}")
    assert np.array_equal(dataset.read_inputs(numbered, preparation), wanted)


def test_rows_of_a_frame_are_counted_whatever_its_index_is(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    frame = pd.DataFrame(
        {
            "size": [1.0, np.inf], "share": [1.0, 1.0], "colour": ["red"] * 2, "code": ["01"] * 2,
            "true": [True] * 2, "rank": [1, 1],
        },
        index=["first", "second"],
    )  # fmt: skip
    with pytest.raises(DataError, match="row 2, column 'size': inf, expected a finite number"):
        dataset.read_inputs(frame, preparation)


def test_a_level_in_other_letters_is_another_level(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    with pytest.raises(DataError, match="'Red' is no level"):
        dataset.read_inputs(lines("1;1%;Red;01;TRUE;1;a"), preparation)
    levels = {**preparation.levels, "colour": ("Red", "blue")}
    known = replace(preparation, levels=levels)
    with pytest.raises(DataError, match="'red' is no level"):
        dataset.read_inputs(lines("1;1%;red;01;TRUE;1;a"), known)


def test_signs_of_units_stand_at_all_numbers_or_at_none(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    rows = ("1;12%;red;01;True;1;a", "1;0,12;red;01;True;1;a")
    with pytest.raises(DataError, match=r"'share' has numbers of different units"):
        dataset.read_inputs(lines(*rows), preparation)


def test_new_grey_images_are_files_of_any_kind(tmp_path: Path) -> None:
    dataset = make("idx", **write_idx_files(tmp_path))
    preparation = dataset.load(0, tmp_path).preparation
    wanted = dataset.table_of(tmp_path).inputs.read(np.arange(60, 75))  # the test's own file
    folder = tmp_path / "new"
    folder.mkdir()
    for row, image in enumerate(wanted):
        Image.fromarray(image[0]).save(folder / f"{row:02}.png")
    np.save(tmp_path / "new.npy", wanted[:, 0])
    for given in (tmp_path / "made_idx" / "t10k-images-idx3-ubyte", folder, tmp_path / "new.npy"):
        got = dataset.read_inputs(given, preparation)
        assert np.array_equal(got.images.read(np.arange(15)), wanted)
    got = dataset.read_inputs(folder / "03.png", preparation)
    assert np.array_equal(got.images.read(np.arange(1)), wanted[3:4])
    Image.new("RGB", (7, 7)).save(folder / "03.png")
    with pytest.raises(DataError, match=r"images of 7 x 7 pixels and 1 channel; .* 8 x 8 pixels"):
        dataset.read_inputs(folder / "03.png", preparation)
    with pytest.raises(DataError, match=r"no \.png, \.jpg, \.jpeg file; give one"):
        dataset.read_inputs(tmp_path / "made_idx", preparation)


def test_a_file_in_another_encoding_is_told_that_of_the_run(table: tuple[Any, Any]) -> None:
    dataset, preparation = table
    path = lines("1;1%;red;01;True;1;a")
    path.write_bytes(path.read_bytes() + "\né;1%;red;01;True;1;a".encode("latin-1"))
    with pytest.raises(DataError, match="write it as the run's own rows were: utf-8 text"):
        dataset.read_inputs(path, preparation)


def test_a_frame_of_categories_with_gaps_is_read_as_the_file_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a gap is an empty text, and columns have numbers for names."""
    monkeypatch.chdir(tmp_path)
    words = ["a", "b", None] * 10
    columns: dict[Any, Any] = {0: words, 1: range(30), 2: ["x", "y"] * 15}
    frame = pd.DataFrame(columns).astype({0: "category"})
    frame.to_parquet("some.parquet")
    dataset = make("table", path="some.parquet", target="2")
    whole = dataset.table_of(tmp_path).inputs
    preparation = dataset.load(0, tmp_path).preparation
    for gap in (None, ""):
        given = pd.DataFrame(columns | {0: ["a", "b", gap] * 10})
        for one in (given, given.astype({0: "category"})):
            assert np.array_equal(dataset.read_inputs(one, preparation), whole, equal_nan=True)
    assert np.array_equal(dataset.read_inputs(tmp_path / "some.parquet", preparation), whole)


def test_frames_of_other_libraries_are_read_by_the_names_of_their_columns(
    table: tuple[Any, Any],
) -> None:
    """As those of polars; pyarrow's tables say `column_names`."""
    dataset, preparation = table
    frame = pd.read_csv("table.csv", sep=";", decimal=",", dtype={"code": str}, na_values=["?"])
    frame = frame.drop(columns="kind")[::-1]
    expected = dataset.read_inputs(frame, preparation)
    other = frame[sorted(frame.columns, reverse=True)]
    arrow = pytest.importorskip("pyarrow").Table.from_pandas(other, preserve_index=False)
    assert np.array_equal(dataset.read_inputs(arrow, preparation), expected, equal_nan=True)

    class Foreign:
        columns = tuple(other.columns)

    with pytest.raises(DataError, match="rows of Foreign, expected a data frame of pandas or an"):
        dataset.read_inputs(Foreign(), preparation)


def test_steps_of_a_series_in_a_frame_of_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0) ** 2})
    steps.to_csv(tmp_path / "steps.csv", index=False)
    dataset = make("series", path="steps.csv", columns=["a", "b"], target="a", window=4)
    preparation = dataset.load(0, tmp_path).preparation
    arrow = pytest.importorskip("pyarrow").Table.from_pandas(steps[["b", "a"]])
    expected = dataset.read_inputs(steps, preparation)
    assert np.array_equal(dataset.read_inputs(arrow, preparation), expected)


def test_codes_that_have_become_numbers_are_refused(table: tuple[Any, Any]) -> None:
    """pandas reads 01 as 1, which may be another level."""
    dataset, preparation = table
    frame = pd.read_csv("table.csv", sep=";", decimal=",", na_values=["?"]).drop(columns="kind")
    told = (
        r"column 'code' holds numbers, and the run knows codes such as '01', .*dtype=\{'code': str"
    )
    with pytest.raises(DataError, match=told):
        dataset.read_inputs(frame, preparation)
    frame["code"] = np.nan  # no value is no number
    with pytest.raises(DataError, match="no value is no level"):
        dataset.read_inputs(frame, preparation)


@pytest.mark.parametrize("gaps", [False, True])
def test_levels_that_are_words_for_no_value_in_a_csv_are_known_again(
    tmp_path: Path, gaps: bool
) -> None:
    """In Parquet they are words; a CSV of the same rows has the same levels."""
    words = ["NA", "None", "null", "n/a", "x ", None if gaps else "x"]
    frame = pd.DataFrame({"a": range(60), "word": words * 10, "kind": ["u", "v"] * 30})
    frame.to_parquet(tmp_path / "table.parquet")
    path = str(tmp_path / "table.parquet")
    dataset = make("table", path=path, target="kind")
    preparation = dataset.load(0, tmp_path).preparation
    whole = dataset.table_of(tmp_path).inputs
    frame.to_csv(tmp_path / "new.csv", index=False)
    for rows in (tmp_path / "new.csv", tmp_path / "table.parquet", frame):
        assert np.array_equal(dataset.read_inputs(rows, preparation), whole)
    (tmp_path / "new.csv").write_text("a,word\n1,NaN\n2, NA \n")
    if gaps:
        known = preparation.levels["word"]
        read = dataset.read_inputs(tmp_path / "new.csv", preparation)
        assert [known[int(code)] for code in read[:, 1]] == ["missing", "NA"]
    else:
        with pytest.raises(DataError, match="row 1, column 'word': no value is no level"):
            dataset.read_inputs(tmp_path / "new.csv", preparation)


def test_a_number_that_stands_for_no_value_is_none_however_it_is_written(tmp_path: Path) -> None:
    """As pandas has it where all of a column are numbers."""
    rows = [f"{row},{['1', '2', '-999.0'][row % 3]},{'uv'[row % 2]}" for row in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["a,mark,kind", *rows]))
    dataset = make("table", path=str(tmp_path / "table.csv"), target="kind", missing="-999",
                   categorical="mark")  # fmt: skip
    preparation = dataset.load(0, tmp_path).preparation
    assert preparation.levels == {"mark": ("1", "2", "missing")}
    whole = dataset.table_of(tmp_path).inputs
    assert np.array_equal(dataset.read_inputs(tmp_path / "table.csv", preparation), whole)


def prepared(word: str, tmp_path: Path) -> tuple[Any, Any]:
    """A dataset whose column `share` has numbers written so, and the preparation of a run."""
    rows = [f"{row},{word.format(row % 40)},{'uv'[row % 2]}" for row in range(80)]
    (tmp_path / "table.csv").write_text("\n".join(["a,share,kind", *rows]))
    dataset = make("table", path=str(tmp_path / "table.csv"), target="kind")
    found = dataset.load(0, tmp_path).preparation
    described = json.loads(json.dumps(stored.described(found)))
    return dataset, stored.restored(described, stored.dumped(found.pipeline))


@pytest.mark.parametrize(
    ("trained", "new", "told"),
    [
        ("{}%", "0.05", r"'0.05' has no sign, .* numbers with '%'; .* such as 12%"),
        ("{}%", "5", r"'5' has no sign"),
        ("0.{}", "5%", r"'5%' has the sign '%', .* numbers without a sign"),
        ("${}", "€5", r"'€5' has the sign '€', .* numbers with '\$'"),
    ],
)
def test_numbers_with_another_sign_than_the_run_was_trained_on_are_refused(
    trained: str, new: str, told: str, tmp_path: Path
) -> None:
    """5% may be .05 or 5."""
    dataset, preparation = prepared(trained, tmp_path)
    path = tmp_path / "new.csv"
    path.write_text(f"a,share\n1,\n2,{new}\n")
    frame = pd.read_csv(path)
    words = pd.read_csv(path, dtype=str)
    for rows in (path, frame, words, frame.astype(object), words.to_numpy()):
        with pytest.raises(DataError, match=f"column 'share': .*{told[:6]}"):
            dataset.read_inputs(rows, preparation)
    with pytest.raises(DataError, match=f"column 'share': {told}"):
        dataset.read_inputs(words, preparation)


def test_numbers_with_the_sign_of_the_run_are_what_they_were(tmp_path: Path) -> None:
    dataset, preparation = prepared("{}%", tmp_path)
    path = tmp_path / "new.csv"
    path.write_text("a,share\n1,5%\n2,\n")
    array = np.array([[1, 5], [2, np.nan]])  # in the units of the dataset
    for rows in (path, pd.read_csv(path), array, array.astype(object)):
        got = dataset.read_inputs(rows, preparation)
        assert np.array_equal(got, array, equal_nan=True)
    path.write_text("a,share\n2,\n")
    assert np.isnan(dataset.read_inputs(path, preparation)[0, 1])


def test_a_record_that_tells_no_signs_is_read_as_ever(tmp_path: Path) -> None:
    dataset, preparation = prepared("{}%", tmp_path)
    described = stored.described(preparation)
    del described["units"]
    before = stored.restored(described, b"")
    got = dataset.read_inputs(pd.DataFrame({"a": [1.0], "share": [5.0]}), before)
    assert got.tolist() == [[1, 5]]


def test_a_sign_in_steps_of_a_series_is_refused(tmp_path: Path) -> None:
    series = make("series", window=2)
    preparation = series.load(0, tmp_path).preparation
    with pytest.raises(DataError, match="column 'SUNACTIVITY': '5%' has the sign '%'"):
        series.read_inputs(pd.DataFrame({"SUNACTIVITY": ["5%"] * 9}), preparation)


@pytest.mark.parametrize("word", ["?", " ?", "? ", "", " ", -999, "-999", "-999,0 "])
def test_words_for_no_value_are_none_in_text_of_a_frame(
    table: tuple[Any, Any], tmp_path: Path, word: Any
) -> None:
    dataset = replace(table[0], missing=("?", "-999"))
    preparation = dataset.load(0, tmp_path).preparation
    frame = pd.DataFrame(
        {
            "size": [word, "1,5"], "share": ["1%", "2%"], "colour": ["red", "red"],
            "code": ["01", "1"], "true": [True, False], "rank": [1, 2],
        }
    )  # fmt: skip
    for rows in (frame, frame.astype(object), frame.astype({"size": "category"})):
        got = dataset.read_inputs(rows, preparation)[:, 0]
        assert np.array_equal(got, [np.nan, 1.5], equal_nan=True)
    if not str(word).strip().startswith("-999"):  # which is a word among words
        given = frame.assign(size="1,5", colour=[word, "red"])
        got = dataset.read_inputs(given, preparation)[:, 2]
        levels = preparation.levels["colour"]
        assert [levels[int(code)] for code in got] == ["missing", "red"]
    with pytest.raises(DataError, match=r"row 1, column 'share': '\*' is no number"):
        dataset.read_inputs(frame.assign(share=["*", "2%"]), preparation)


def test_bytes_of_new_rows_are_text(tmp_path: Path) -> None:
    """Also for runs that were recorded when their levels were called as Python shows bytes."""
    words = ["é", "b", None] * 20
    columns = {"a": range(60), "word": words, "kind": ["u", "v"] * 30}
    frame = pd.DataFrame(columns)
    coded: list[Any] = [None if word is None else word.encode() for word in words]
    given = frame.assign(word=coded)
    given.to_parquet(tmp_path / "table.parquet")
    dataset = make("table", path=str(tmp_path / "table.parquet"), target="kind")
    preparation = dataset.load(0, tmp_path).preparation
    assert preparation.levels == {"word": ("b", "é", "missing")}
    before = replace(preparation, levels={"word": ("b'b'", str("é".encode()), "missing")})
    whole = dataset.table_of(tmp_path).inputs
    for rows in (tmp_path / "table.parquet", frame, given):
        assert np.array_equal(dataset.read_inputs(rows, preparation), whole)
        assert np.array_equal(dataset.read_inputs(rows, before), whole)
    with pytest.raises(DataError, match=r"row 1, column 'word': .*xff.* is no level"):
        dataset.read_inputs(given.assign(word=b"\xff"), preparation)
