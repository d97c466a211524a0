"""Bad files: each gives one error that names the file, the column and the row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from regexp.dataset.base import DataError
from regexp.dataset.columns import read_columns, read_fields
from tests.dataset.made import galaxy_lines, make, wine_lines, write


def edit(lines: list[str], row: int, column: str, text: str, separator: str = ",") -> list[str]:
    """`lines` with another field in a row, counted from 1."""
    index = [name.strip('"') for name in lines[0].split(separator)].index(column)
    fields = lines[row].split(separator)
    fields[index] = text
    return [*lines[:row], separator.join(fields), *lines[row + 1 :]]


def load(tmp_path: Path, name: str, lines: list[str] | bytes, file: str = "bad.csv") -> str:
    """The message of the error that reading a file gives."""
    path = tmp_path / file
    if isinstance(lines, bytes):
        path.write_bytes(lines)
    else:
        write(path, lines)
    with pytest.raises(DataError) as caught:
        make(name, file=file, sha256=None).load(0, tmp_path)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.3O", "'0.3O' is no number"),
        ("", "empty, expected a number"),
        ("  ", "empty, expected a number"),
        ("NaN", "'NaN', expected a finite number"),
        ("-inf", "'-inf', expected a finite number"),
        ("NA", "'NA' is no number"),
        ("-999", "-999.0, expected a fraction from 0 to 1"),
        ("1.01", "1.01, expected a fraction from 0 to 1"),
    ],
)
def test_field_that_is_no_vote_fraction(tmp_path, text, message):
    found = load(tmp_path, "galaxies", edit(galaxy_lines(), 7, "P_DK", text))
    assert f"bad.csv: row 7 (line 8), column 'P_DK': {message}" in found


def test_columns_that_are_not_read_may_hold_anything(tmp_path):
    lines = edit(galaxy_lines(), 7, "P_EL_DEBIASED", "null")
    write(tmp_path / "odd.csv", lines)
    assert make("galaxies", file="odd.csv", sha256=None).load(0, tmp_path)


@pytest.mark.parametrize("flags", [("1", "1"), ("0", "0"), ("0.5", "0.5"), ("2", "-1")])
def test_flags_that_are_no_class(tmp_path, flags):
    lines = edit(galaxy_lines(), 3, "SPIRAL", flags[0])
    lines = edit(edit(lines, 3, "ELLIPTICAL", flags[1]), 3, "UNCERTAIN", "0")
    message = load(tmp_path, "galaxies", lines)
    assert "row 3 (line 4), column 'SPIRAL, ELLIPTICAL, UNCERTAIN'" in message
    assert "expected one 1 and two 0" in message


def test_mark_that_is_no_class(tmp_path):
    message = load(tmp_path, "wine_quality", edit(wine_lines(), 5, "quality", "5.5", ";"))
    assert "row 5 (line 6), column 'quality': 5.5, expected a whole number" in message


def test_missing_column(tmp_path):
    lines = galaxy_lines()
    lines[0] = lines[0].replace("P_ACW", "P_AC")
    message = load(tmp_path, "galaxies", lines)
    assert "line 1 (the header) has no column 'P_ACW' (nearest: P_CW, P_AC" in message


def test_column_that_is_there_twice(tmp_path):
    lines = galaxy_lines()
    lines[0] = lines[0].replace("P_EL_DEBIASED", "P_EL")
    assert "has the column 'P_EL' more than once" in load(tmp_path, "galaxies", lines)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolon"), ("\t", "tab")])
def test_wrong_separator_of_galaxies(tmp_path, separator, name):
    lines = [line.replace(",", separator) for line in galaxy_lines()]
    message = load(tmp_path, "galaxies", lines)
    assert f"line 1 (the header) is separated by {name} {separator!r}, expected comma" in message


def test_wrong_separator_of_wines(tmp_path):
    message = load(tmp_path, "wine_quality", [line.replace(";", ",") for line in wine_lines()])
    assert "is separated by comma ',', expected semicolon ';'" in message


@pytest.mark.parametrize(("change", "count"), [(",9", 17), (None, 3)])
def test_row_of_another_length(tmp_path, change, count):
    """A field too many would shift the columns; one too few is a file cut short."""
    lines = galaxy_lines()
    lines[9] = lines[9] + change if change else ",".join(lines[9].split(",")[:3])
    message = load(tmp_path, "galaxies", lines)
    assert f"row 9 (line 10) has {count} fields, the header 16" in message


def test_lines_are_counted_through_blank_ones(tmp_path):
    lines = edit(galaxy_lines(), 7, "P_DK", "x")
    assert "row 7 (line 10)" in load(tmp_path, "galaxies", [*lines[:3], "", "", *lines[3:]])


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_empty_file(tmp_path, content):
    assert "the file is empty; expected a header with P_EL" in load(tmp_path, "galaxies", content)


def test_header_without_rows(tmp_path):
    assert "a header and no rows" in load(tmp_path, "galaxies", galaxy_lines()[:1])


def test_one_class_only(tmp_path):
    lines = [line for line in galaxy_lines() if line.endswith(("UNCERTAIN", "0,0,1"))]
    message = load(tmp_path, "galaxies", lines)
    assert "all of its 60 rows are of one class ('uncertain')" in message


def test_too_few_rows_of_a_class(tmp_path):
    message = load(tmp_path, "wine_quality", edit(wine_lines(), 5, "quality", "9", ";"))
    assert "class '9' has 1 row(s)" in message


def zipped(lines: list[str]) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(zipped(galaxy_lines())[:2000], id="cut short"),
        pytest.param(zipped(galaxy_lines())[:2000] + b"\xff" * 3000, id="overwritten"),
        pytest.param(zipped(galaxy_lines())[:-8] + bytes(8), id="another checksum"),
        pytest.param("\n".join(galaxy_lines()).encode(), id="not gzipped"),
    ],
)
def test_damaged_gzip(tmp_path, content):
    message = load(tmp_path, "galaxies", content, "bad.csv.gz")
    assert "the gzip file is damaged or cut short" in message


def test_binary_file(tmp_path):
    assert "no UTF-8 text" in load(tmp_path, "galaxies", zipped(galaxy_lines()))


def test_quote_that_is_never_closed(tmp_path):
    lines = galaxy_lines(4000)
    lines[5] = '"' + lines[5]
    assert "cannot be read as separated columns" in load(tmp_path, "galaxies", lines)


def test_good_files(tmp_path):
    """Quoted names, a byte order mark, blank lines and gzip are all right."""
    text = '\ufeff"a b" ; c;d\r\n1;x;2\r\n\r\n-3e-1;;4.5\r\n\r\n'
    (tmp_path / "plain.csv").write_bytes(text.encode())
    (tmp_path / "zipped.csv.gz").write_bytes(gzip.compress(text.encode()))
    for path in tmp_path.iterdir():
        columns = read_columns(path, ["d", "a b"], ";")
        assert columns.values.tolist() == [[2, 1], [4.5, -0.3]]
        assert columns.lines.tolist() == [2, 4]


def test_blank_lines_before_the_header_are_left_out(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("\n\na,b\n1,2\n")
    assert [fields for _, fields in read_fields(file, ",")] == [["a", "b"], ["1", "2"]]
