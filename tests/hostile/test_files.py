"""Files made to harm: what would run, reach out of them, or unpack without end is refused."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regexp.config.nodes import build_node
from regexp.dataset import columns, limits
from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.dataset.conftest import server
from tests.dataset.made import made_images, make, table_lines, write, write_images

__all__ = ["server"]  # the fixture

h5py = pytest.importorskip("h5py")


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of one megabyte."""
    monkeypatch.setattr(limits, "memory", lambda: 2**20)


def table(path: str, **changes: Any) -> Any:
    """The dataset of a user's table."""
    return make("table", **{"path": path, "target": "kind", **changes})


def test_words_in_a_table_are_words(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither names of columns nor what stands in them is called, looked up or counted."""
    monkeypatch.setenv("SECRET", "told")
    words = [
        "os.mkdir",
        "${oc.env:SECRET}",
        "=1+1",
        "{_target_: os.mkdir}",
        "../../x",
        "!!python/x",
    ]
    lines = ["_target_,_args_,${oc.env:SECRET},kind"]
    lines += [f"{words[row % 6]},{words[row % 5]},{row},{'ab'[row % 2]}" for row in range(60)]
    write(nowhere / "table.csv", lines)
    read = table("table.csv").read(nowhere)
    assert read.columns == ("_target_", "_args_", "${oc.env:SECRET}")
    assert set(read.levels["_target_"]) == set(words)
    assert set(read.levels["_args_"]) == set(words[:5])
    data = table("table.csv").load(0, nowhere)
    assert "_target_=os.mkdir" in data.features
    assert [path.name for path in nowhere.iterdir()] == ["table.csv"]


def test_a_text_that_unpacks_without_end_is_refused(nowhere: Path, small_memory: None) -> None:
    lines = "a,kind\n" + "1,x\n" * 300_000
    (nowhere / "bomb.csv.gz").write_bytes(gzip.compress(lines.encode()))
    with pytest.raises(DataError, match=r"bomb.csv.gz: unpacks to"):
        table("bomb.csv.gz").load(0, nowhere)


def test_a_line_without_end_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "LINE", 1000)
    (nowhere / "line.csv.gz").write_bytes(gzip.compress(b"a,kind\n" + b"," * 2000))
    with pytest.raises(DataError, match="a line of more than 1,000 characters"):
        table("line.csv.gz").load(0, nowhere)


def test_a_parquet_file_that_unpacks_without_end_is_refused(
    nowhere: Path, small_memory: None
) -> None:
    pd.DataFrame({"a": np.zeros(10**6), "kind": 0}).to_parquet(nowhere / "bomb.parquet")
    assert (nowhere / "bomb.parquet").stat().st_size < 2**18
    with pytest.raises(DataError, match=r"bomb.parquet: unpacks to"):
        table("bomb.parquet").load(0, nowhere)


def test_an_npz_that_unpacks_without_end_is_refused(nowhere: Path, small_memory: None) -> None:
    made = write_images(nowhere)
    np.savez_compressed(
        nowhere / "images.npz", images=np.zeros((60, 200, 200, 3), np.uint8), objid=0
    )
    with pytest.raises(DataError, match=r"images.npz: unpacks to"):
        make("galaxy_images", **made).load(0, nowhere)


def bomb(width: int, height: int) -> bytes:
    """A PNG file of such a size, and no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [12_000, 100_000])
def test_a_picture_that_unpacks_without_end_is_refused(nowhere: Path, side: int) -> None:
    (nowhere / "pictures" / "a").mkdir(parents=True)
    (nowhere / "pictures" / "a" / "bomb.png").write_bytes(bomb(side, side))
    dataset = make("galaxy_images", path="pictures", labels=None, classes=None, size=8)
    with pytest.raises(DataError, match=r"bomb.png: cannot be read as an image: .*decompression"):
        dataset.load(0, nowhere)


def test_pictures_too_large_to_be_inputs_need_a_size(nowhere: Path) -> None:
    np.savez(nowhere / "large.npz", images=np.zeros((1, 2049, 2048), np.uint8), kind=["a"])
    given = {"path": "large.npz", "labels": None, "identifiers": None, "label_column": "kind"}
    with pytest.raises(DataError, match=r"large.npz: .* set dataset.size"):
        make("galaxy_images", **given, classes=None, size=None).load(0, nowhere)


def link(file: Any, secret: Path) -> None:
    file["images"] = h5py.ExternalLink(str(secret), "images")


def external(file: Any, secret: Path) -> None:
    file.create_dataset("images", (15, 4, 4, 3), "u1", external=[(str(secret), 0, 720)])


def virtual(file: Any, secret: Path) -> None:
    layout = h5py.VirtualLayout((15, 4, 4, 3), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "images", (15, 4, 4, 3))
    file.create_virtual_dataset("images", layout)


def softly(file: Any, secret: Path) -> None:
    file["other"] = h5py.ExternalLink(str(secret), "images")
    file["images"] = h5py.SoftLink("/other")


def group(file: Any, secret: Path) -> None:
    file.create_group("images")


@pytest.mark.parametrize("way", [link, external, virtual, softly, group])
@pytest.mark.parametrize("key", ["images", "ans"])
def test_hdf5_reads_no_other_file(nowhere: Path, way: Any, key: str) -> None:
    with h5py.File(nowhere / "secret.h5", "w") as secret:
        secret["images"] = made_images(15, 4)
    with h5py.File(nowhere / "made.h5", "w") as file:
        way(file, nowhere / "secret.h5")
        if key == "ans":
            file.move("images", "ans")
            file["images"] = made_images(15, 4)
    dataset = make("galaxy10", file="made.h5", sha256=None, size=None)
    with pytest.raises(DataError, match=f"made.h5: '{key}' is no array of the file's own"):
        dataset.load(0, nowhere)


def test_hdf5_that_claims_endless_rows_is_refused(nowhere: Path, small_memory: None) -> None:
    with h5py.File(nowhere / "made.h5", "w") as file:
        file.create_dataset("images", (10**6, 1, 1, 3), "u1", chunks=(1000, 1, 1, 3))
        file.create_dataset("ans", (10**6,), "u1", chunks=(1000,))
    assert (nowhere / "made.h5").stat().st_size < 2**16
    with pytest.raises(DataError, match=r"made.h5: unpacks to"):
        make("galaxy10", file="made.h5", sha256=None, size=None).load(0, nowhere)


def test_a_pipe_is_no_file(nowhere: Path) -> None:
    """Its reader would wait for ever."""
    os.mkfifo(nowhere / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe.csv is neither a file nor a folder"):
        table("pipe.csv").load(0, nowhere)
    (nowhere / "pictures").mkdir()
    os.mkfifo(nowhere / "pictures" / "pipe.png")
    with pytest.raises(DataError, match=r"no .png, .jpg, .jpeg file in this folder"):
        make("galaxy_images", path="pictures", labels=None, classes=None).load(0, nowhere)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody/x", "x/" * 3000])
def test_names_that_no_file_has_are_missing(nowhere: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"dataset.path: "):
        table(name).load(0, nowhere)
    with pytest.raises(DataError, match=r"dataset.file: no file"):
        make("wine_quality", file=name, sha256=None).load(0, nowhere)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a/..", "https://example.org/", "https://example.org/.", "a/b.csv",
        "file:///etc/passwd", "ftp://example.org/x", "sftp://example.org/x", "doi:10.1/x/y",
        "https:///x", "https://example.org/a\nb", "https://example.org/..\\x", "https://[/x", "",
    ],
)  # fmt: skip
def test_addresses_that_give_no_file_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"dataset.url: expected the address of a file"):
        make("wine_quality", url=url, known={}, sha256=None)
    with pytest.raises(ValueError, match=r"dataset.url: expected the address of a file"):
        make("series", url=url, path="x.csv")


def test_a_download_stays_in_its_folder(server: Any, nowhere: Path) -> None:
    """The name in a header, or in the path of a series, does not matter."""
    server.files["/x.csv"] = b"t\n" + b"".join(b"%d\n" % (row % 7) for row in range(99))
    (nowhere / "data").mkdir()
    dataset = make("series", url=f"{server.address}/x.csv", path="no/../../up/x.csv", target="t")
    dataset.load(0, nowhere / "data")
    found = [path for path in nowhere.rglob("*") if path.is_file()]
    assert found == [nowhere / "data" / "x.csv"]


def test_a_download_leaves_room_on_the_disk(
    server: Any, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/x.csv"] = b"x" * 1000
    free = [limits.DISK + 999]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free[0]))
    dataset = make("series", url=f"{server.address}/x.csv", path="x.csv")
    with pytest.raises(DataError, match="larger than what the disk has room for"):
        dataset.load(0, nowhere)
    assert not list(nowhere.iterdir())
    free[0] += 1
    with pytest.raises(DataError, match=r"x.csv: line 1 \(the header\) has no column"):
        dataset.load(0, nowhere)


@pytest.mark.parametrize("key", ["drop", "target", "columns", "categorical", "missing"])
def test_a_text_that_looks_like_a_node_is_a_text(nowhere: Path, key: str) -> None:
    write(nowhere / "table.csv", table_lines())
    node = "{_target_: os.mkdir, path: x}"
    dataset = table("table.csv", **{key: node if key == "target" else [node]})
    if key == "missing":  # any word may stand for a missing value
        dataset.load(0, nowhere)
    else:
        with pytest.raises(DataError, match=f"dataset.{key}: .* has no column '{{_target_"):
            dataset.load(0, nowhere)
    assert [path.name for path in nowhere.iterdir()] == ["table.csv"]


def test_what_a_constructor_raises_names_its_key() -> None:
    """Whatever it is: a class of a user's may raise anything."""
    with pytest.raises(ConfigError, match=r"model: ZeroDivisionError: division by zero"):
        build_node("model", {"_target_": "operator.truediv", "_args_": [1, 0]})
    with pytest.raises(ConfigError, match=r"model: RuntimeError: .*can't allocate"):
        build_node("model", {"_target_": "torch.nn.Linear", "_args_": [10**9, 10**9]})
    with pytest.raises(ConfigError, match=r"model: .*") as caught:
        build_node("model", {"_target_": "torch.empty", "_args_": [10**22]})
    assert "frame #" not in str(caught.value)


def test_numbers_too_large_to_be_standardized_are_refused(nowhere: Path) -> None:
    lines = ["a,kind", "1e308,x"] + [f"{row},{'xy'[row % 2]}" for row in range(60)]
    write(nowhere / "table.csv", lines)
    for seed in range(4):  # whichever part has the row
        with pytest.raises(DataError, match=r"table.csv: .* too large"):
            table("table.csv").load(seed, nowhere)


def test_the_end_of_a_text_in_quotation_marks_is_not_lost(nowhere: Path) -> None:
    write(nowhere / "table.csv", ["a,kind", "1,x", '2,"y', "3,x", "4,y"])
    with pytest.raises(DataError, match="a quotation mark is not closed"):
        table("table.csv").load(0, nowhere)


def test_an_object_of_a_table_is_no_image(nowhere: Path) -> None:
    file = io.BytesIO()
    np.savez(file, images=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (nowhere / "images.npz").write_bytes(file.getvalue())
    given = {"path": "images.npz", "labels": None, "identifiers": None, "label_column": "images"}
    with pytest.raises(DataError, match=r"cannot be read as an .npz"):
        make("galaxy_images", **given, classes=None).load(0, nowhere)
