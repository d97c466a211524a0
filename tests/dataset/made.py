"""Small files of data, datasets over them, and the real data where they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

from tests.dataset.made_openml import keep

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))

GALAXY_HEADER = (
    "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,"
    "SPIRAL,ELLIPTICAL,UNCERTAIN"
)


@cache
def _read(name: str) -> Any:
    return OmegaConf.load(ROOT / "conf" / f"{name}.yaml")


def config_of(name: str) -> Any:
    """`conf/dataset/<name>.yaml`, after what conf/config.yaml says of all datasets."""
    return OmegaConf.merge(_read("config").dataset, _read(f"dataset/{name}"))  # a copy


def make(name: str, **overrides: Any) -> Any:
    """The dataset of `conf/dataset/<name>.yaml`, as Hydra makes it."""
    config = config_of(name)
    try:
        return instantiate(config, **overrides)
    except InstantiationException as error:
        raise error.__cause__ or error from None  # what the dataset said


def galaxy_lines(rows: int = 120) -> list[str]:
    """A table of made-up galaxies: 1/4 spiral, 1/4 elliptical, 1/2 uncertain."""
    random = np.random.default_rng(0)
    lines = [GALAXY_HEADER]
    for row in range(rows):
        votes = random.dirichlet(np.ones(6))
        spirals = votes[1:4].sum()
        values = [*votes, spirals, votes[0], spirals]
        flags = ["1,0,0", "0,1,0", "0,0,1", "0,0,1"][row % 4]
        fractions = ",".join(f"{value:.3f}" for value in values)
        lines.append(f"{587727178986356823 + row},00:00:01.5,-10:22:25.7,40,{fractions},{flags}")
    return lines


def wine_lines(rows: int = 120) -> list[str]:
    """A table of made-up wines with the marks 5, 6 and 7."""
    random = np.random.default_rng(0)
    names = (
        '"fixed acidity";"volatile acidity";"citric acid";"residual sugar";"chlorides";'
        '"free sulfur dioxide";"total sulfur dioxide";"density";"pH";"sulphates";"alcohol";'
        '"quality"'
    )
    return [names] + [
        ";".join(f"{value:.3f}" for value in random.random(11)) + f";{5 + row % 3}"
        for row in range(rows)
    ]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def series_lines(columns: Sequence[str], rows: int = 200) -> list[str]:
    """A made-up series: waves with noise, and a column of dates that nobody asks for."""
    random = np.random.default_rng(0)
    lines = [",".join(["date", *columns])]
    for row in range(rows):
        values = [np.sin(row / (3 + k)) * (k + 1) + random.normal() for k in range(len(columns))]
        lines.append(",".join([f"2020-01-01 {row}", *(f"{value:.4f}" for value in values)]))
    return lines


def table_lines(rows: int = 120) -> list[str]:
    """A made-up table: numbers with gaps, two categories, a class and an amount to predict."""
    random = np.random.default_rng(0)
    lines = ["age,income,colour,member,kind,amount"]
    for row in range(rows):
        age = "" if row % 10 == 3 else f"{random.uniform(20, 60):.1f}"
        income = f"{random.normal() * 1e4:.2f}"
        colour = ["red", "green", "blue", ""][int(random.integers(4))]
        member = ["True", "False"][int(random.integers(2))]
        kind = ["cat", "dog", "bird"][row % 3]
        lines.append(f"{age},{income},{colour},{member},{kind},{100 + random.normal() * 30:.3f}")
    return lines


def made_images(rows: int = 60, size: int = 8) -> NDArray[np.uint8]:
    """Made-up images, [rows, size, size, 3]."""
    return np.random.default_rng(0).integers(0, 256, (rows, size, size, 3), dtype=np.uint8)


def write_images(folder: Path, rows: int = 60, size: int = 8) -> dict[str, Any]:
    """An `.npz` of made-up images and the CSV of their labels, in another order."""
    names = np.array([f"{1000 + row}" for row in range(rows)])
    np.savez(folder / "images.npz", images=made_images(rows, size), objid=names)
    lines = [f"{1000 + row},{row % 3}" for row in reversed(range(rows))]
    write(folder / "labels.csv", ["OBJID,label3", *lines])
    return {"path": "images.npz", "labels": "labels.csv", "size": size // 2}


def write_hdf5(folder: Path, rows: int = 60, size: int = 8, classes: int = 10) -> dict[str, Any]:
    """A file like those of Galaxy10, of made-up images."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "made.h5", "w") as file:
        file["images"] = made_images(rows, size)
        file["ans"] = np.arange(rows, dtype=np.uint8) % classes
    return {"file": "made.h5", "sha256": None, "size": size // 2}


def ts_series(rows: int = 60, length: int = 7) -> NDArray[np.float64]:
    """Made-up series of two channels, [rows, length, 2]."""
    return np.random.default_rng(rows).normal(size=(rows, length, 2)).round(4) * [1, 50] + [0, 9]


def ts_lines(rows: int = 60, length: int = 7) -> list[str]:
    """Those of `ts_series` as a file of the UEA archive, with classes in turn."""
    header = ["# made up", "@problemName Made", "@timeStamps false", "@classLabel true Up dOWN x"]
    body = [
        ":".join(
            [*(",".join(map(repr, one)) for one in series.T.tolist()), ["dOWN", "Up"][row % 2]]
        )
        for row, series in enumerate(ts_series(rows, length))
    ]
    return [*header, "@univariate false", "", "@data", *body]


def idx_bytes(array: NDArray[Any]) -> bytes:
    """An array of bytes as an IDX file has it."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_idx_files(folder: Path, rows: int = 60, tested: int = 15) -> dict[str, Any]:
    """Files like MNIST's, of made-up grey images of three classes."""
    images, labels = (
        made_images(rows + tested)[..., 0],
        np.arange(rows + tested, dtype=np.uint8) % 3,
    )
    place = folder / "made_idx"
    place.mkdir()
    for name, part in {"train": slice(rows), "t10k": slice(rows, None)}.items():
        (place / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(images[part]))
        (place / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(labels[part]))
    return {"path": "made_idx"}


def write_image_folder(folder: Path, rows: int = 60, below: str = "photos") -> dict[str, Any]:
    """A folder of PNG files, made-up images, a sub-folder for each of three classes."""
    for row, image in enumerate(made_images(rows)):
        place = folder / below / ["ant", "bee", "cow"][row % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row:03d}.png")
    return {"path": below, "size": 4}


def made_files(name: str, folder: Path) -> dict[str, Any]:
    """Write made-up files for a dataset that needs some; the overrides that make it read them."""
    if name in ("galaxies", "wine_quality"):
        write(folder / "made.csv", galaxy_lines() if name == "galaxies" else wine_lines())
        return {"file": "made.csv", "sha256": None}
    if name == "etth1":
        write(folder / "made.csv", series_lines(config_of(name).columns))
        return {"path": "made.csv", "sha256": None}
    if name == "table":
        write(folder / "made.csv", table_lines())
        return {"path": "made.csv", "target": "kind"}
    if name == "galaxy_images":
        return write_images(folder)
    if name == "openml":
        keep(folder)
        return {"id": 77}
    if name == "idx":
        return write_idx_files(folder)
    if name == "ts":
        return {"path": write(folder / "Made_TRAIN.ts", ts_lines()).name}
    if name == "image_folder":
        return write_image_folder(folder)
    if name.startswith("galaxy10"):
        return write_hdf5(folder)
    return {}


def real_folder(*files: str) -> Path:
    """The folder of real files; the test skips where one is not there."""
    folder = Path(os.environ.get("REGEXP_DATA") or ROOT.parent / "shared" / "data")
    for file in files:
        if not (folder / file).is_file():
            pytest.skip(f"no {file} in {folder}; set REGEXP_DATA to the folder that has it")
    return folder
