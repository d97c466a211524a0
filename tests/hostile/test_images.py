"""Images that others made, and their labels, are read or refused by the one documented error."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.hostile import tables
from tests.hostile.support import mutated, refused, searching
from tests.hostile.test_tables import check, load

SPLITS = {
    "validation": 0.2,
    "test": 0.2,
    "train_size": None,
    "split_seed": None,
    "label_noise": 0,
    "repeats": "together",
}
ROWS = 15
KINDS = st.sampled_from(("uint8", "<f8", ">i4", "bool", "O", "U3", "S1", "M8[s]", "u1,f4"))


def images(path: str, **changes: Any) -> dict[str, Any]:
    """The node of a folder or file of images."""
    return {
        "_target_": "regexp.dataset.images.LabelledImages", **SPLITS, "path": path,
        "array": "images", "identifiers": None, "labels": None, "identifier_column": "a",
        "label_column": "kind", "encoding": None, "classes": None, "size": None, **changes,
    }  # fmt: skip


def further(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A setting that names a column for the splits, or none."""
    keys = st.sampled_from(("group", "group", "split"))
    return st.just({}) | st.dictionaries(keys, st.sampled_from(names), max_size=1)


@cache
def archive() -> bytes:
    """Images and labels as an `.npz`."""
    file = io.BytesIO()
    pixels = np.arange(ROWS * 48, dtype=np.uint8).reshape(ROWS, 4, 4, 3)
    kinds = np.array(["x", "y", "z"] * (ROWS // 3))
    np.savez_compressed(file, images=pixels, kind=kinds, objid=np.arange(ROWS))
    return file.getvalue()


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """An `.npz` whose arrays are of any type and shape."""
    file = io.BytesIO()
    made = {}
    for name in ("images", "kind", "objid"):
        shape = draw(
            st.sampled_from(((ROWS, 4, 4, 3), (ROWS,), (ROWS, 4, 4), (), (0,), (ROWS, 0, 0, 3)))
        )
        kind = draw(st.sampled_from(("uint8", "U3")) | KINDS)
        made[draw(st.sampled_from((name, name, "a/../../b")))] = np.zeros(shape, dtype=kind)
    np.savez(file, **made)  # type: ignore[arg-type]
    return file.getvalue()


@searching(0.5)
@given(data=st.data(), size=st.sampled_from((None, None, 2, 9)))
def test_an_npz_is_loaded_or_refused(nowhere: Path, data: st.DataObject, size: int | None) -> None:
    path = nowhere / "images.npz"
    path.write_bytes(data.draw(mutated(archive()) | arrays() | st.binary(max_size=100)))
    node = images(path.name, size=size, identifiers=data.draw(st.sampled_from((None, "objid"))))
    node |= data.draw(further("objid", "images"))
    with refused(nowhere, DataError, ConfigError, naming=(str(path), "dataset.")):
        check(load(node, nowhere))


@searching(0.5)
@given(
    case=tables.cases(), header=st.sampled_from((b"", b"a,kind\n")), column=further("a", "target")
)
def test_labels_are_read_or_refused(
    nowhere: Path, case: tables.Case, header: bytes, column: dict[str, Any]
) -> None:
    (nowhere / "images.npz").write_bytes(archive())
    labels = nowhere / "labels.csv"
    labels.write_bytes(header + case[0])
    node = images("images.npz", labels=labels.name, identifiers="objid", label_column="target")
    node |= column | ({"label_column": "kind"} if header else {})
    with refused(nowhere, DataError, ConfigError, naming=(str(nowhere), "dataset.")):
        check(load(node, nowhere))


PICTURES = (("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("JPEG", "L"), ("GIF", "P"))


@cache
def picture(kind: str, mode: str) -> bytes:
    """A small image file."""
    file = io.BytesIO()
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


@searching(0.5)
@given(data=st.data(), kind=st.sampled_from(PICTURES), suffix=st.sampled_from((".png", ".jpg")))
def test_a_picture_is_loaded_or_refused(
    nowhere: Path, data: st.DataObject, kind: tuple[str, str], suffix: str
) -> None:
    for row in range(9):
        path = nowhere / "abc"[row % 3] / f"{row}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture("PNG", "RGB"))
    content = picture(*kind)
    path.write_bytes(data.draw(mutated(content) | st.just(content)))
    with refused(nowhere, DataError, ConfigError, naming=(str(nowhere),)):
        check(load(images(str(nowhere)), nowhere))
    path.unlink()


@cache
def store(compression: str | None) -> bytes:
    """Images and labels as HDF5."""
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        pixels = np.arange(ROWS * 48, dtype=np.uint8).reshape(ROWS, 4, 4, 3)
        made.create_dataset("images", data=pixels, compression=compression)
        made.create_dataset("ans", data=np.arange(ROWS) % 3)
        made["day"] = np.array([f"day {row // 2}" for row in range(ROWS)], dtype=object)
    return file.getvalue()


@searching(0.5)
@given(data=st.data(), compression=st.sampled_from((None, "gzip")), lazily=st.booleans())
def test_a_damaged_hdf5_file_is_loaded_or_refused(
    nowhere: Path, data: st.DataObject, compression: str | None, lazily: bool
) -> None:
    path = nowhere / "made.h5"
    path.write_bytes(data.draw(mutated(store(compression))))
    node: dict[str, Any] = {
        "_target_": "regexp.dataset.galaxy10.Galaxy10", **SPLITS, "file": path.name, "known": {},
        "sha256": None, "url": "https://example.org/made.h5", "classes": ["a", "b", "c"],
        "size": None, "memory": 0 if lazily else 1, **data.draw(further("day", "images")),
    }  # fmt: skip
    with refused(nowhere, DataError, ConfigError, naming=(str(path), "dataset.")):
        check(load(node, nowhere))
