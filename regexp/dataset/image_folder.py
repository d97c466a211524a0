"""Images in folders, a folder a class, as torchvision's ImageFolder has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from regexp.dataset.assigned import WORDS
from regexp.dataset.base import DataError, Dataset, Rows, Splits, Table
from regexp.dataset.checks import check_size, unexpected
from regexp.dataset.files import find, joint_checksum
from regexp.dataset.image_files import SUFFIXES, files_below, read_images, told_of_images
from regexp.dataset.lazy import ArrayImages, ChannelScaler
from regexp.dataset.pixels import RGB, pixel_names
from regexp.errors import count, few

Files = Mapping[str, Sequence[Path]]
"""The files of each class, by its name."""

OTHERS = (".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")
"""What torchvision would read, or people have, and this does not."""


@dataclass(frozen=True)
class _Parts:
    """What the sub-folders of a folder are.

    Args:
        files: by split, "" where the folder has none.
        remarks: see `Table`.
    """

    files: Mapping[str, Files]
    remarks: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Images in colour and their classes; inputs [rows, 3, size, size], standardized by channel.

    The sub-folders of `path` are the classes, in alphabetical order, and all PNG and JPEG files
    below one are its images, as in `torchvision.datasets.ImageFolder`. If the sub-folders are
    `train`, `val` and `test` (or other words that `dataset.split` takes), they are the splits, and
    have the classes in them. With `train` and one other, that one is the test of every run, and
    validation rows are taken from `train` by the seed. All images are held in memory as bytes.

    Args:
        path: the folder, absolute or relative to the working directory or the data folder.
        size: pixels a side that images are reduced to, see `regexp.dataset.pixels.area_average`;
            None to leave them, if they are of one size.
        crop: take the square in the middle of images that are none, as torchvision's
            `Resize(size)` and `CenterCrop(size)` do; False refuses them where `size` is given.
    """

    name: ClassVar[str] = "image_folder"
    PLACES: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str
    size: int | None
    crop: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        if not isinstance(self.crop, bool):
            raise unexpected("crop", self.crop, "true or false")

    def read(self, folder: Path) -> Table:
        """All images as bytes, and their classes."""
        path = find("dataset.path", self.path, folder)
        if not path.is_dir():
            raise DataError(f"{path} is no folder", key="dataset.path")
        parts = _parts(path)
        classes = tuple(next(iter(parts.files.values())))
        files: list[Path] = []
        targets: list[int] = []
        ends = []
        for of_split in parts.files.values():
            for label, name in enumerate(classes):
                files += of_split.get(name, ())
                targets += [label] * len(of_split.get(name, ()))
            ends.append(len(files))
        splits, held_out = _told(ends)
        images = ArrayImages(read_images(path, files, self.size, crop=self.crop))
        return Table(
            inputs=images,
            targets=np.array(targets, dtype=np.int64),
            columns=pixel_names(RGB, *images.shape[2:]),
            classes=classes,
            checksum=joint_checksum(files, path),
            source=str(path),
            name=path.name,
            splits=splits,
            held_out=held_out,
            remarks=(*parts.remarks, *told_of_images(path.name, files, images.array)),
        )

    def preprocessing(self, table: Table) -> ChannelScaler:
        """Standardization of each channel over the training images."""
        return ChannelScaler()


def _told(ends: Sequence[int]) -> tuple[Splits | None, Rows | None]:
    """The splits, or the rows of the test, where the parts of the rows that end here are these."""
    if len(ends) == 1:
        return None, None
    if len(ends) == 2:
        return None, np.arange(*ends)
    train, validation, test = ends
    return (np.arange(train), np.arange(train, validation), np.arange(validation, test)), None


def _parts(path: Path) -> _Parts:
    """The images of a folder by split and class.

    Raises:
        DataError: there are none; or what the sub-folders are is not clear.
    """
    named = {word: split for split, words in WORDS.items() for word in words}
    folders = {folder.name: folder for folder in _folders(path)}
    found = {name: named[name.lower()] for name in folders if name.lower() in named}
    if len(set(found.values())) < 2 or "train" not in found.values():  # names of classes
        return _Parts({"": _classes(path, folders)}, _left_out(path))
    others = [name for name in folders if name not in found]
    if others or len(set(found.values())) < len(found):
        raise DataError(
            f"{path}: the folders {few([repr(name) for name in folders])} are splits and classes, "
            "or a split twice; let them be train, val and test, or the classes"
        )
    by_split = {found[name]: (name, folders[name]) for name in folders}
    files: dict[str, Files] = {}
    for split in (split for split in WORDS if split in by_split):
        name, folder = by_split[split]
        files[name] = _classes(folder, {one.name: one for one in _folders(folder)})
    train, *rest = files.values()
    for name, of_split in list(files.items())[1:]:
        if new := [label for label in of_split if label not in train]:
            raise DataError(
                f"{path / name}: no image of the class {new[0]!r} is among those for training"
            )
    remarks = _left_out(path)
    if len(rest) == 1 and "validation" in by_split:
        name = by_split["validation"][0]
        remarks += (
            f"{path.name}: {name!r} is the test, as there is no other; rows for validation are "
            "taken from the training images.",
        )
    return _Parts(files, remarks)


def _classes(path: Path, folders: Mapping[str, Path]) -> Files:
    """The files of each class of a folder, in alphabetical order."""
    files = {name: files_below(folder) for name, folder in sorted(folders.items())}
    if not files:
        raise DataError(
            f"{path}: no sub-folder, one a class, is in this folder; dataset=galaxy_images reads "
            "images whose classes stand in a CSV"
        )
    empty = [name for name, of_class in files.items() if not of_class]
    if empty:
        raise DataError(
            f"{path / empty[0]}: no {', '.join(SUFFIXES)} file for the class {empty[0]!r}"
        )
    return files


def _folders(path: Path) -> list[Path]:
    return [one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")]


def _left_out(path: Path) -> tuple[str, ...]:
    """A line on images that are not read, if there are any."""
    others = files_below(path, OTHERS)
    if not others:
        return ()
    names = few([repr(str(file.relative_to(path))) for file in others])
    left_out = count(len(others), "image")
    return (f"{path.name}: {left_out} left out, of another format than PNG and JPEG ({names}).",)
