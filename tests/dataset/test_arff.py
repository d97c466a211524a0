"""ARFF files: what is read of them, against what was written and against scipy's reader."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from scipy.io import arff as scipy_arff

from regexp.dataset.arff import declared, is_arff
from regexp.dataset.base import DataError
from regexp.dataset.frames import Text, read_frame
from tests.dataset.made import make, write

pytest.importorskip("arff")

HEADER = [
    "% a comment with 50% and 'quotes",
    "@RELATION 'my pets'",
    "@attribute\t'body weight' REAL",
    "@ATTRIBUTE legs integer",
    "@attribute colour {'dark, red', \"blue\",01 , 1,green}",
    "@attribute born date 'yyyy-MM-dd'",
    "@attribute note string",
    "@attribute kind {fish,dog,cat}",
    "",
    "@DATA",
]


def lines(rows: int = 60) -> list[str]:
    """Rows of cats and dogs, no fish."""
    colours = ["'dark, red'", "blue", "01", "1", "?"]
    body = [
        f"{row / 4 if row % 7 else '?'}, {row % 5},{colours[row % 5]},'2020-01-0{row % 9 + 1}', "
        f"'it\\'s, {row}', {['dog', 'cat'][row // 2 % 2]}"
        for row in range(rows)
    ]
    return [*HEADER, *body[:30], "", "% in the middle", *body[30:]]


def read(path):
    return read_frame(path, Text(","))


def test_columns_have_the_types_that_are_declared(tmp_path):
    frame = read(write(tmp_path / "a.arff", lines()))
    rows = np.arange(60)
    weight = np.where(rows % 7, rows / 4, np.nan)
    assert list(frame) == ["body weight", "legs", "colour", "born", "note", "kind"]
    assert np.array_equal(frame["body weight"], weight, equal_nan=True)
    assert frame["legs"].tolist() == (rows % 5).tolist()
    assert frame["colour"].tolist()[:4] == ["dark, red", "blue", "01", "1"]
    assert frame["colour"].isna().tolist() == (rows % 5 == 4).tolist()
    assert frame["born"].tolist()[:2] == ["2020-01-01", "2020-01-02"]
    assert frame["note"].tolist()[3] == "it's, 3"
    assert declared(frame)["colour"] == ("dark, red", "blue", "01", "1", "green")
    assert declared(frame)["kind"] == ("fish", "dog", "cat")


def test_levels_are_the_declared_ones_and_classes_those_that_occur(tmp_path):
    write(tmp_path / "a.arff", lines())
    table = make("table", path="a.arff", target="kind", drop=["note", "born"]).table_of(tmp_path)
    assert table.name == "a"
    assert table.levels["colour"] == ("dark, red", "blue", "01", "1", "green", "missing")
    assert table.inputs[:5, 2].tolist() == [0, 1, 2, 3, 5]
    assert table.classes == ("dog", "cat")
    assert table.targets[:4].tolist() == [0, 0, 1, 1]
    data = make("table", path="a.arff", target="kind", drop=["note", "born"]).load(0, tmp_path)
    assert data.features[-6:-4] == ("colour=dark, red", "colour=blue")
    assert "colour=green" in data.features
    regression = make("table", path="a.arff", target="legs", task="regression", drop=["note"])
    assert regression.load(0, tmp_path).task == "regression"


def test_it_is_what_scipy_reads(tmp_path):
    random = np.random.default_rng(0)
    body = [f"{x!r},{n},{'pq'[n % 2]}" for n, x in enumerate(random.normal(size=40).tolist())]
    header = ["@relation r", "@attribute x real", "@attribute n integer", "@attribute c {p,q}"]
    path = write(tmp_path / "plain.arff", [*header, "@data", *body])
    frame = read(path)
    limit = csv.field_size_limit()
    records, meta = scipy_arff.loadarff(path)
    csv.field_size_limit(limit)  # which it changes for the whole process
    assert declared(frame) == {"c": meta["c"][1]}
    for name in ("x", "n"):
        assert np.array_equal(frame[name], records[name])
    assert frame["c"].tolist() == [level.decode() for level in records["c"]]


def test_sparse_rows(tmp_path):
    header = ["@relation r", "@attribute a numeric", "@attribute c {p,q}", "@attribute b numeric"]
    path = write(tmp_path / "s.arff", [*header, "@data", "{0 1.5, 1 q}", "{}", "{2 ?}", "{2 -1}"])
    frame = read(path)
    assert frame["a"].tolist() == [1.5, 0, 0, 0]
    assert frame["c"].tolist() == ["q", "p", "p", "p"]
    assert np.array_equal(frame["b"], [0, 0, np.nan, -1], equal_nan=True)


def test_gzipped_and_in_another_encoding(tmp_path):
    text = "@relation r\n@attribute c {größer,klein}\n@data\n" + "größer\nklein\n" * 20
    (tmp_path / "z.ARFF.gz").write_bytes(gzip.compress(text.encode()))
    assert read(tmp_path / "z.ARFF.gz")["c"].tolist() == ["größer", "klein"] * 20
    (tmp_path / "l.arff").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"set 'dataset\.encoding=latin-1'"):
        make("table", path="l.arff", target="c").read_frame(tmp_path)
    latin = make("table", path="l.arff", target="c", encoding="latin-1").read_frame(tmp_path)
    assert latin.declared == {"c": ("größer", "klein")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Invalid layout"),
        ("x,y\n1,2\n", "Invalid layout"),
        ("@relation r\n@attribute a real\n@data\n", "a header and no rows"),
        ("@relation r\n@attribute a real\n@data\n1\nfoo\n", "[Ii]nvalid numerical value.* line 5"),
        ("@relation r\n@attribute c {p,q}\n@data\np\nr\n", "value r not found .* line 5"),
        ("@relation r\n@attribute a real\n@data\n1,2\n", "instance format in line 4"),
        ("@relation r\n@attribute a string\n@data\n50%,%d\n", "BadDataFormat, at line 4"),
        ("@relation r\n@attribute a real\n@attribute a real\n@data\n1,2\n", "already in use"),
        ("@relation r\n@attribute a relational\n@data\n1\n", "Bad @ATTRIBUTE type, at line 2"),
        ("@relation r\n@attribute a real\n@data\n1\n\0\n", "NUL byte"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content, message, tmp_path):
    (tmp_path / "a.arff").write_text(content)
    with pytest.raises(DataError, match=rf"a\.arff.*{message}"):
        read(tmp_path / "a.arff")


def test_a_name_says_what_a_file_is(tmp_path):
    names = ("a.arff", "B.ARFF", "a.arff.gz", "arff", "a.csv")
    assert [is_arff(tmp_path / name) for name in names] == [True, True, True, False, False]
