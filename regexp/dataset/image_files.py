"""Files of images, read into one array of bytes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.data import DataError
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import area_average, check_reducible

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".png", ".jpg", ".jpeg")


def files_below(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The files in a folder and below, by their paths, but hidden ones and those of hidden folders.

    Programs keep other copies of images in such, as `.ipynb_checkpoints` and `._0.png` are. Links
    to folders are followed, once to each that a link leads back to.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder, followlinks=True):
        above = {parent.resolve() for parent in (Path(place), *Path(place).parents)}
        folders[:] = [
            one
            for one in folders
            if not one.startswith(".") and (Path(place) / one).resolve() not in above
        ]
        found += [Path(place) / one for one in files if not one.startswith(".")]
    return sorted(one for one in found if one.suffix.lower() in suffixes and one.is_file())


def read_images(
    folder: Path, files: Sequence[Path], size: int | None, *, crop: bool = False, grey: bool = False
) -> NDArray[np.uint8]:
    """PNG and JPEG files, reduced, [len(files), channels, height, width].

    Args:
        folder: where they lie, for messages.
        files: one or more.
        size: pixels a side that they are reduced to by `area_average`; None to leave them.
        crop: take the square in the middle of an image that is none.
        grey: make them grey, of one channel; else they have three colours.

    Raises:
        DataError: a file is damaged; images are too small, no squares or of different sizes.
    """
    first = _read_image(files[0], size, crop, grey)
    check_fits(folder, len(files) * first.size)
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    for row, file in enumerate(files):
        image = _read_image(file, size, crop, grey)
        if image.shape != first.shape:
            sizes = sorted({first.shape[1:], image.shape[1:]})
            raise DataError(
                f"{folder}: images of different sizes ({', '.join(map(str, sizes))}); set "
                "dataset.size"
            )
        images[row] = image
    return images


def told_of_images(name: str, files: Sequence[Path], images: NDArray[np.uint8]) -> tuple[str, ...]:
    """Remarks on images for training.

    Args:
        name: of the data.
        files: that they were read from.
        images: as `read_images` gave them.
    """
    return (*_told_of_clear(name, files), *_told_of_range(name, images))


def _told_of_range(name: str, images: NDArray[np.uint8]) -> tuple[str, ...]:
    """A remark where images use less than a quarter of the levels that bytes have."""
    largest = int(images.max())
    if largest >= 64:
        return ()
    return (
        f"{name}: no pixel is brighter than {largest} of 255, as where a camera's 12 bits lie in "
        "files of 16; those below are lost here, so stretch them over the range.",
    )


def _told_of_clear(name: str, files: Sequence[Path]) -> tuple[str, ...]:
    """A remark where files have transparent pixels."""
    from PIL import Image

    for file in files:
        with Image.open(file) as image:
            clear = image.has_transparency_data
            if clear and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
                return (
                    f"{name}: {file.name}, for one, has transparent pixels, which are read as "
                    "the colour that is stored for them; paint images onto a ground if what is "
                    "clear should count.",
                )
    return ()


def reduced(images: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    """Images [rows, channels, height, width] with `size` pixels a side; None leaves them."""
    return images if size is None else area_average(images, size)


def _read_image(file: Path, size: int | None, crop: bool, grey: bool) -> NDArray[np.uint8]:
    """[channels, height, width] of a file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # a palette with transparency or a broken EXIF is read all the same
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as opened:
                image = _upright(opened)
                if image.mode.startswith("I"):  # 16 bits, of which Pillow would cut off the bright
                    deep = (np.asarray(image).astype(np.int64) + 128) // 257
                    pixels = deep.astype(np.uint8)[..., None].repeat(1 if grey else 3, axis=2)
                else:
                    pixels = np.atleast_3d(np.asarray(image.convert("L" if grey else "RGB")))
    except Exception as error:  # a damaged file makes the library raise anything
        raise DataError(f"{file}: cannot be read as an image: {error}") from error
    if crop:
        pixels = _middle(pixels)
    check_reducible(file, size, *pixels.shape[:2])
    return reduced(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None], size)[0]


def _upright(image: Picture) -> Picture:
    """An image turned as its camera says that it is seen, where its EXIF can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF makes the library raise anything
        return image


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square in the middle of an image, [side, side, 3]."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
