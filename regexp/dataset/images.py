"""Images of a user's: a folder of PNG and JPEG files or an .npz, and their classes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import DataError, Dataset, Table
from regexp.dataset.checks import (
    EARLIER,
    are_distinct,
    check_no_target,
    check_size,
    check_text,
    unexpected,
)
from regexp.dataset.columns import UTF_8, find_columns, naming_encoding, read_fields
from regexp.dataset.data import asked_by
from regexp.dataset.files import find, further_in, joint_checksum
from regexp.dataset.image_files import (
    SUFFIXES,
    files_below,
    read_images,
    reduced,
    told_of_images,
)
from regexp.dataset.lazy import ArrayImages, ChannelScaler
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import RGB, check_reducible, pixel_names
from regexp.errors import ConfigError

Place = TypeVar("Place")
"""Of an image: its row in an array, or its file."""

BLOCK = 256
"""Images that are reduced at once."""


@dataclass(frozen=True, kw_only=True)
class LabelledImages(Dataset):
    """Images in colour and their classes; inputs [rows, 3, size, size], standardized by channel.

    All images are held in memory as bytes, once for all runs.

    Args:
        path: absolute, or relative to the working directory or the data folder: an `.npz` file, or
            a folder of PNG and JPEG files (and of its sub-folders).
        array: the name of the images in an `.npz`, uint8 [rows, height, width, 3] or, of grey
            images, [rows, height, width].
        identifiers: the name of the images' identifiers in an `.npz`, by which the rows of `labels`
            are found; None if these are in the order of the images. Of files it is their name, with
            or without suffix.
        labels: a CSV of identifiers and labels, looked for as `path` is; images that it does not
            name are left out. None: the array `label_column` of the `.npz`, or for a folder the
            names of its sub-folders.
        identifier_column, label_column: of `labels`.
        encoding: of `labels`, as Python names it; None for UTF-8.
        classes: names, if labels are the numbers 0, 1, ...; None if the labels are names.
        size: pixels a side that images are reduced to, see `regexp.dataset.pixels.area_average`;
            None to leave them.
        group, split: see `Dataset`; a column of `labels`, or where that is None an array [rows] of
            the `.npz`. A folder without `labels` has none.
    """

    name: ClassVar[str] = "galaxy_images"
    EARLIER: ClassVar[Mapping[str, Any]] = {**EARLIER, "encoding": None}
    PLACES: ClassVar[frozenset[str]] = frozenset({"path", "labels"})

    path: str
    array: str
    identifiers: str | None
    labels: str | None
    identifier_column: str
    label_column: str
    encoding: str | None
    classes: Sequence[str] | None
    size: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        check_text(self.encoding)
        check_no_target(self.further_columns, self.label_column)
        if self.classes is not None and not are_distinct(self.classes, 2):
            names = "two or more different names, or null for labels that are names;"
            raise unexpected("classes", list(self.classes), names)

    def read(self, folder: Path) -> Table:
        """All images as bytes, and their labels."""
        path = find("dataset.path", self.path, folder)
        table = None if self.labels is None else find("dataset.labels", self.labels, folder)
        if path.is_dir():
            images, labels, files = self._read_folder(path, table)
        else:
            images, labels = self._read_npz(path, table)
            files = [path]
        if table is not None or not path.is_dir():  # else names of folders, which are what they are
            _check_labels(str(table or path), labels)
        targets, classes = self._numbered(labels, str(table or path))
        return Table(
            inputs=ArrayImages(images),
            targets=targets,
            columns=pixel_names(RGB, *images.shape[2:]),
            classes=classes,
            checksum=joint_checksum([*files, *([table] if table else [])], path),
            source=str(path),
            name=path.name.removesuffix(".npz"),
            extra=self._further(path, table),
            remarks=told_of_images(path.name, files, images) if path.is_dir() else (),
        )

    def preprocessing(self, table: Table) -> ChannelScaler:
        """Standardization of each channel over the training images."""
        return ChannelScaler()

    def _further(self, path: Path, table: Path | None) -> dict[str, Any]:
        """The column that `group` or `split` names, in the order of the images."""
        if table is not None:
            return further_in(table, ",", self.further_columns, self.encoding)
        extra: dict[str, Any] = {}
        for key, column in self.further_columns.items():
            if path.is_dir():
                raise ConfigError(
                    f"a folder without dataset.labels has no column {column!r}",
                    key=f"dataset.{key}",
                    cure="give dataset.labels, a CSV of file names, labels and this column",
                )
            with asked_by(key):
                extra |= _load(path, [column])
        return extra

    def _read_npz(self, path: Path, table: Path | None) -> tuple[NDArray[np.uint8], list[str]]:
        """Images [rows, 3, size, size] and the label of each."""
        arrays = _load(path, [self.array, self.identifiers, None if table else self.label_column])
        stored = arrays[self.array]
        if stored.dtype != np.uint8 or stored.shape[3:] not in ((), (3,)) or stored.ndim < 3:
            raise DataError(
                f"{path}: {self.array!r} is {stored.dtype} of shape {list(stored.shape)}, expected "
                "uint8 [rows, height, width, 3] or [rows, height, width]"
            )
        check_reducible(path, self.size, *stored.shape[1:3])
        if table is None:
            labels = _texts(path, self.label_column, arrays[self.label_column])
            _check_equal(path, len(stored), len(labels), self.label_column)
            selected = np.arange(len(stored))
        elif self.identifiers is None:
            labels = [label for _, label in self._read_labels(table)]
            _check_equal(table, len(stored), len(labels), "labels")
            selected = np.arange(len(stored))
        else:
            names = _texts(path, self.identifiers, arrays[self.identifiers])
            _check_equal(path, len(stored), len(names), self.identifiers)
            place = {name: row for row, name in enumerate(names)}
            if len(place) < len(names):
                twice = next(name for row, name in enumerate(names) if place[name] != row)
                raise DataError(f"{path}: {self.identifiers!r} has {twice!r} more than once")
            rows, labels = self._labelled(table, path, place)
            selected = np.array(rows, dtype=np.int64)
        return np.concatenate([
            reduced(_channels_first(stored[selected[first : first + BLOCK]]), self.size)
            for first in range(0, len(selected), BLOCK)
        ]), labels  # fmt: skip

    def _read_folder(
        self, path: Path, table: Path | None
    ) -> tuple[NDArray[np.uint8], list[str], list[Path]]:
        """Images [rows, 3, size, size], the label of each, and their files."""
        files = files_below(path)
        if not files:
            raise DataError(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
        if table is None:
            labels = [file.parent.name for file in files]
            if path in {file.parent for file in files}:
                raise DataError(
                    f"{path}: without dataset.labels the classes are the names of its sub-folders, "
                    "but images lie in the folder itself; give dataset.labels, a CSV of file names "
                    "and labels"
                )
        else:
            place = {file.stem: file for file in files} | {file.name: file for file in files}
            twice = len(files) - len({file.stem for file in files})
            if twice:
                raise DataError(
                    f"{path}: {twice} files share their name, but for folder and suffix, with "
                    "another, so that dataset.labels cannot tell them apart; rename them"
                )
            files, labels = self._labelled(table, path, place)
        return read_images(path, files, self.size), labels, files

    def _read_labels(self, table: Path) -> list[tuple[str, str]]:
        """Identifier and label of each row of the CSV."""
        columns = (self.identifier_column, self.label_column)
        with naming_encoding(table):
            fields = read_fields(table, ",", self.encoding or UTF_8)
            _, header = next(fields)
            name, label = find_columns(table, header, columns, ",")
            pairs = [(row[name].strip(), row[label].strip()) for _, row in fields]
        if not pairs:
            raise DataError(f"{table}: a header and no rows")
        if len({name for name, _ in pairs}) < len(pairs):
            raise DataError(f"{table}: column {columns[0]!r} has the same identifier twice")
        return pairs

    def _labelled(
        self, table: Path, path: Path, places: Mapping[str, Place]
    ) -> tuple[list[Place], list[str]]:
        """Where the images are that the rows of the CSV name, and the label of each."""
        pairs = self._read_labels(table)
        missing = [name for name, _ in pairs if name not in places]
        if missing:
            raise DataError(
                f"{table}: {len(missing)} of {len(pairs)} rows have no image in {path}; the first "
                f"is {missing[0]!r}"
            )
        return [places[name] for name, _ in pairs], [label for _, label in pairs]

    def _numbered(
        self, labels: Sequence[str], source: str
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class indices and the classes' names."""
        if self.classes is None:
            names, targets = np.unique(np.array(labels), return_inverse=True)
            return targets, tuple(str(name) for name in names)
        numbers = [str(number) for number in range(len(self.classes))]
        wrong = [row for row, label in enumerate(labels) if label not in numbers]
        if wrong:
            raise DataError(
                f"{source}: row {wrong[0] + 1} has the label {labels[wrong[0]]!r}, expected 0 to "
                f"{len(self.classes) - 1}, as dataset.classes names {len(self.classes)}; "
                "dataset.classes=null takes the labels as names"
            )
        return np.array([int(label) for label in labels], dtype=np.int64), tuple(self.classes)


def _load(path: Path, names: Sequence[str | None]) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` by name; nothing in it is run."""
    try:
        with path.open("rb") as opened:  # numpy leaves a damaged one open
            if not zipfile.is_zipfile(opened):
                raise DataError(f"{path}: cannot be read as an .npz file: it is none, or cut short")
            file = np.load(opened, allow_pickle=False)
            missing = [name for name in names if name is not None and name not in file]
            if missing:
                raise DataError(f"{path}: no {missing[0]!r} in it; found: {', '.join(file)}")
            check_fits(path, sum(member.file_size for member in file.zip.infolist()))
            return {name: file[name] for name in names if name is not None}
    except DataError:
        raise
    except Exception as error:  # a damaged file makes the library raise anything
        raise DataError(f"{path}: cannot be read as an .npz file: {error}") from error


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[rows, height, width(, 3)] -> [rows, 3, height, width]."""
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _texts(path: Path, name: str, array: NDArray[Any]) -> list[str]:
    """An array of labels or identifiers as texts."""
    if array.ndim != 1:
        raise DataError(f"{path}: {name!r} is of shape {list(array.shape)}, expected [rows]")
    from regexp.dataset.kinds import level_of  # takes time

    if array.dtype.kind == "S":  # as other libraries write text
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: {name!r} is no text in UTF-8 ({error.object[:20]!r}); write it as text"
            ) from error
    return [level_of(value) for value in array.tolist()]


def _check_labels(source: str, labels: Sequence[str]) -> None:
    """Raise DataError where images have no label: they are no class of their own."""
    from regexp.dataset.frames import NO_VALUE  # imports pandas

    without = [row for row, label in enumerate(labels) if label in NO_VALUE]
    if without:
        raise DataError(
            f"{source}: {len(without)} of {len(labels)} images have no label, the first in row "
            f"{without[0] + 1} ({labels[without[0]]!r}); leave them out, or name their class"
        )


def _check_equal(path: Path, images: int, others: int, what: str) -> None:
    if images != others:
        raise DataError(f"{path}: {others} {what}, but {images} images")
