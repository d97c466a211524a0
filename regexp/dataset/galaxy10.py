"""Galaxy10: images of galaxies in ten classes, from SDSS or from DECaLS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regexp.dataset.base import DataError, Table
from regexp.dataset.checks import (
    are_distinct,
    check_no_target,
    check_size,
    is_number,
    unexpected,
)
from regexp.dataset.data import asked_by
from regexp.dataset.files import FileDataset
from regexp.dataset.hdf5 import (
    HDF5Images,
    import_h5py,
    open_hdf5,
    reading,
    stored_array,
    stored_column,
)
from regexp.dataset.lazy import ArrayImages, ChannelScaler, Images
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import RGB, pixel_names

IMAGES, ANSWERS = "images", "ans"


@dataclass(frozen=True, kw_only=True)
class Galaxy10(FileDataset):
    """Galaxies in colour to ten classes; inputs [rows, 3, size, size], standardized by channel.

    DECaLS: 17,736 images of 256 x 256 pixels (g, r, z), 2.7 GB. SDSS: 21,785 of 69 x 69 (g, r, i),
    210 MB, with as few as 17 in a class. The file is read with h5py (the extra `hdf5`).

    Args:
        file, sha256, known, url: see `FileDataset`.
        classes: the names of the classes by their number in the file.
        size: pixels a side that images are reduced to, see `regexp.dataset.pixels.area_average`;
            None to leave them.
        memory: gigabytes (1e9 bytes) that all reduced images may take in memory, once for all runs.
            If they take more, they are read from the file whenever they are asked for: slower, in
            memory of a few hundred images.
        group, split: see `Dataset`; an array [rows] of the file.

    References:
        Leung & Bovy, "Deep learning of multi-element abundances from high-resolution spectroscopic
        data", MNRAS 483, 2019, https://doi.org/10.1093/mnras/sty3217, and
        https://github.com/henrysky/Galaxy10; labels of Galaxy Zoo: Lintott et al., MNRAS 410, 166
        (2011), Walmsley et al., MNRAS 509, 3966 (2022), https://arxiv.org/abs/2102.08414
    """

    name: ClassVar[str] = "galaxy10"

    classes: Sequence[str]
    size: int | None
    memory: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        check_no_target(self.further_columns, ANSWERS)
        if not is_number(self.memory) or not self.memory >= 0:
            raise unexpected("memory", self.memory, "gigabytes (0 or more)")
        if not are_distinct(self.classes, 2):
            raise unexpected("classes", list(self.classes), "two or more different names")

    def read(self, folder: Path) -> Table:
        """The labels, and the images or where to read them."""
        import_h5py()  # before gigabytes are downloaded in vain
        path, checksum = self.locate(folder)
        images: Images = HDF5Images(path, IMAGES, self.size)
        with open_hdf5(path) as file:
            stored = stored_array(file, path, ANSWERS)
            if stored.shape != (len(images),):
                shape = None if stored.shape is None else list(stored.shape)
                raise DataError(f"{path}: {len(images)} images, but labels of shape {shape}")
            if stored.dtype.kind not in "iu":
                raise DataError(f"{path}: labels of type {stored.dtype}, expected whole numbers")
            check_fits(path, len(images) * 32)  # row numbers, of all splits
            with reading(path):
                labels = stored[:].astype(np.int64)
            extra: dict[str, Any] = {}
            for key, column in self.further_columns.items():
                with asked_by(key):
                    extra[column] = stored_column(file, path, column, len(images))
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if len(wrong):
            raise DataError(
                f"{path}: row {wrong[0] + 1} has the label {labels[wrong[0]]}, expected 0 to "
                f"{len(self.classes) - 1}, as dataset.classes names {len(self.classes)}"
            )
        if np.prod(images.shape) <= self.memory * 1e9:
            images = ArrayImages.of(images)
        _, channels, height, width = images.shape
        colours = RGB if channels == len(RGB) else [f"channel {n}" for n in range(channels)]
        return Table(
            inputs=images,
            targets=labels,
            columns=pixel_names(colours, height, width),
            classes=tuple(self.classes),
            checksum=checksum,
            source=self.source_of(path, checksum),
            name=path.name.split(".")[0],
            extra=extra,
        )

    def preprocessing(self, table: Table) -> ChannelScaler:
        """Standardization of each channel over the training images."""
        return ChannelScaler()
