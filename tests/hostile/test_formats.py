"""IDX, ARFF and `.ts` files that others made are read, or refused by the one documented error."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.dataset.made import config_of, idx_bytes, made_images, ts_lines
from tests.hostile.support import mutated, refused, searching
from tests.hostile.test_tables import check, load

ARFF = """% pets
@RELATION r
@ATTRIBUTE a REAL
@ATTRIBUTE b {'x, y', "z",01,1}
@ATTRIBUTE c STRING
@ATTRIBUTE kind {cat,dog}
@DATA
""" + "".join(
    f"{row},{['z', '01', '?'][row % 3]},'w',{['cat', 'dog'][row % 2]}\n" for row in range(30)
)

TOKENS = (
    b"?", b"'", b'"', b",", b":", b"%", b"{", b"}", b"\\", b"\n", b"@data", b"@", b"NaN", b"1e999",
    b"-", b"\0", b"\xff", b"%d", b"@attribute x date 'yyyy'", b"{0 1}", b"true", b" ",
)  # fmt: skip


def node(name: str, **changes: Any) -> dict[str, Any]:
    """The node of a dataset over a file."""
    return {**yaml_of(name), **changes}


@cache
def yaml_of(name: str) -> dict[str, Any]:
    """The YAML of a dataset."""
    content: Any = OmegaConf.to_container(config_of(name))
    return dict(content)


@searching()
@given(content=mutated(ARFF.encode(), TOKENS) | st.binary(max_size=60), packed=st.booleans())
def test_an_arff_is_loaded_or_refused(nowhere: Path, content: bytes, packed: bool) -> None:
    pytest.importorskip("arff")
    path = nowhere / ("a.arff.gz" if packed else "a.arff")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    with refused(nowhere, DataError, ConfigError, naming=(str(path), "dataset.")):
        check(load(node("table", path=path.name, target="kind"), nowhere))
    path.unlink()


@searching()
@given(
    content=mutated("\n".join(ts_lines(30, 3)).encode(), TOKENS) | st.binary(max_size=60),
    pad=st.sampled_from((None, "start", "end")),
    interpolate=st.booleans(),
)
def test_series_are_loaded_or_refused(
    nowhere: Path, content: bytes, pad: str | None, interpolate: bool
) -> None:
    path = nowhere / "a.ts"
    path.write_bytes(content)
    with refused(nowhere, DataError, ConfigError, naming=(str(path), "dataset.")):
        check(load(node("ts", path=path.name, pad=pad, interpolate=interpolate), nowhere))


IMAGES, LABELS = idx_bytes(made_images(30, 4)[..., 0]), idx_bytes(np.arange(30, dtype="u1") % 3)


@searching()
@given(
    images=mutated(IMAGES) | st.just(IMAGES) | st.binary(max_size=60),
    labels=mutated(LABELS) | st.just(LABELS),
    packed=st.booleans(),
    size=st.sampled_from((None, 2, 9)),
)
def test_idx_files_are_loaded_or_refused(
    nowhere: Path, images: bytes, labels: bytes, packed: bool, size: int | None
) -> None:
    (nowhere / "i.gz" if packed else nowhere / "i").write_bytes(
        gzip.compress(images, 1) if packed else images
    )
    (nowhere / "l").write_bytes(labels)
    given = {"images": "i", "labels": "l", "test_images": None, "test_labels": None, "size": size}
    with refused(nowhere, DataError, ConfigError, naming=(str(nowhere), "dataset.")):
        check(load(node("idx", path=str(nowhere), **given), nowhere))
    for path in nowhere.iterdir():
        path.unlink()
