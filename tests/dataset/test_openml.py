"""Tables of OpenML: what is read of a folder as scikit-learn keeps it, against what was written."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.dataset.made import make
from tests.dataset.made_openml import frame_of, keep


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves this machine goes to a port that nobody listens on."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def test_columns_are_what_openml_says_they_are(tmp_path):
    keep(tmp_path)
    table = make("openml", id=77).table_of(tmp_path)
    frame = frame_of()
    assert table.name == "pets"
    assert table.source == "https://www.openml.org/d/77"
    assert table.columns == ("weight", "colour", "note", "a", "b")  # the rows' numbers are left out
    assert table.classes == ("cat", "dog")
    assert np.array_equal(np.array(table.classes)[table.targets], frame["kind"])
    assert np.array_equal(table.inputs[:, 0], frame["weight"], equal_nan=True)
    assert set(table.levels) == {"colour", "note", "a", "b"}
    assert set(table.levels["colour"]) == {"dark, red", "blue", "01", "1", "missing"}
    for place, name in enumerate(table.columns[1:], start=1):
        read = np.array(table.levels[name])[table.inputs[:, place].astype(int)]
        assert np.array_equal(read, frame[name].fillna("missing"))


def test_another_target_and_columns_of_ones_own(tmp_path):
    keep(tmp_path)
    table = make("openml", id=77, target="weight", columns=["colour", "kind"], task=None)
    with pytest.raises(DataError, match="target 'weight' is missing in 1 of 60 rows"):
        table.table_of(tmp_path)
    other = make("openml", id=77, target="a", drop=["note"]).table_of(tmp_path)
    assert other.columns == ("weight", "colour", "b", "kind")
    assert other.classes == ("FALSE", "TRUE")
    [told] = other.remarks
    assert "OpenML's own target 'kind' is an input" in told
    assert told.endswith("""'dataset.drop=["note", "kind"]'""")
    assert not make("openml", id=77, target="a", drop=["note", "kind"]).table_of(tmp_path).remarks


def test_labels_written_as_words(tmp_path):
    keep(tmp_path, target="a,b")
    with pytest.raises(DataError, match=r"'a', 'b' are 0 or 1 in every row; .*task=multilabel"):
        make("openml", id=77).table_of(tmp_path)
    table = make("openml", id=77, task="multilabel").table_of(tmp_path)
    assert table.classes == ("a", "b")
    assert np.array_equal(table.targets, frame_of()[["a", "b"]] == "TRUE")


def test_checksum_is_of_the_rows(tmp_path):
    keep(tmp_path)
    checksum = make("openml", id=77).table_of(tmp_path).checksum
    assert make("openml", id=77, sha256=checksum.upper()).table_of(tmp_path).checksum == checksum
    with pytest.raises(DataError, match=f"not the rows that were .*\n.*{checksum}, expected"):
        make("openml", id=77, sha256="0" * 64).table_of(tmp_path)
    path = tmp_path / "openml" / "openml.org" / "data/v1/download/770/pets.arff.gz"
    content = gzip.decompress(path.read_bytes()).replace(b"blue", b"green")
    keep(tmp_path, md5_checksum=hashlib.md5(content, usedforsecurity=False).hexdigest())
    path.write_bytes(gzip.compress(content))
    assert make("openml", id=77).table_of(tmp_path).checksum != checksum


def test_what_openml_warns_of_is_told(tmp_path):
    keep(tmp_path, warning="half of it is made up")
    [told] = make("openml", id=77).table_of(tmp_path).remarks
    assert told.startswith("pets: OpenML raised a warning")
    assert told.endswith("half of it is made up")


def test_without_a_network_one_error_says_what_to_do_and_nothing_is_left(tmp_path):
    folder = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        make("openml", id=78).load(0, folder)
    said = str(caught.value)
    assert "https://www.openml.org/d/78 could not be downloaded (Connection refused)" in said
    assert f"copy its folder openml to {folder / 'openml'}" in said
    assert "dataset=table dataset.path=FILE.arff" in said
    assert not folder.exists()
    keep(folder)
    assert make("openml", id=77).load(0, folder).name == "pets"  # what is kept needs none


def test_what_is_no_table_is_refused(tmp_path):
    keep(tmp_path, form="Sparse_ARFF")
    with pytest.raises(DataError, match=r"dataset.id=77: .* is sparse"):
        make("openml", id=77).load(0, tmp_path)
    keep(tmp_path, target="")
    with pytest.raises(DataError, match=r"dataset.target: .* names no column as its target; give"):
        make("openml", id=77).load(0, tmp_path)
    keep(tmp_path)
    with pytest.raises(DataError, match=r"dataset.target: .* has no column 'knid'; nearest: kind"):
        make("openml", id=77, target="knid").load(0, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("id", 0), ("id", "credit-g"), ("id", True), ("sha256", "abc")]
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"dataset\.{key}: expected"):
        make("openml", **{"id": 1, key: value})
