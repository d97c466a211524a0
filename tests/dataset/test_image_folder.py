"""Folders of images, a folder a class: held against the arrays saved, and Pillow's crop."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from regexp.dataset.base import DataError
from regexp.dataset.image_files import read_images
from regexp.errors import ConfigError
from tests.dataset.made import made_images, make, write_image_folder

CLASSES = ("ant", "bee", "cow")


def test_sub_folders_are_the_classes(tmp_path):
    given = write_image_folder(tmp_path)
    deep = tmp_path / "photos" / "bee" / "more"
    deep.mkdir()
    (tmp_path / "photos" / "bee" / "001.png").rename(deep / "001.PNG")
    for hidden in (".hidden", "bee/.ipynb_checkpoints", "bee/more/.thumbnails"):
        (tmp_path / "photos" / hidden).mkdir()
        (tmp_path / "photos" / hidden / "001-checkpoint.png").write_bytes(b"no image")
    (tmp_path / "photos" / "ant" / "._0.png").write_bytes(b"no image")
    (tmp_path / "photos" / "notes.txt").write_text("nothing")
    table = make("image_folder", **given | {"size": None}).table_of(tmp_path)
    assert table.classes == CLASSES
    assert table.name == "photos"
    assert np.bincount(table.targets).tolist() == [20, 20, 20]
    images = made_images(60).transpose(0, 3, 1, 2)
    for label in range(3):
        read = {image.tobytes() for image in table.inputs.array[table.targets == label]}
        assert read == {image.tobytes() for image in images[label::3]}
    assert table.remarks == ()
    assert table.splits is table.held_out is None


def test_linked_folders_are_read_and_links_back_are_not(tmp_path):
    given = write_image_folder(tmp_path)
    more = tmp_path / "elsewhere"
    (tmp_path / "photos" / "ant").rename(more)
    (tmp_path / "photos" / "ant").mkdir()
    (tmp_path / "photos" / "ant" / "more").symlink_to(more)
    (more / "back").symlink_to(tmp_path / "photos" / "ant")
    table = make("image_folder", **given).table_of(tmp_path)
    assert np.bincount(table.targets).tolist() == [20, 20, 20]


def test_train_val_and_test_are_the_splits(tmp_path):
    for split, rows in (("train", 30), ("val", 12), ("test", 9)):
        write_image_folder(tmp_path, rows, f"photos/{split}")
    dataset = make("image_folder", path="photos", size=4)
    first, other = dataset.load(0, tmp_path), dataset.load(1, tmp_path)
    assert first is other
    sizes = [len(split) for split in (first.train, first.validation, first.test)]
    assert sizes == [30, 12, 9]
    assert first.test.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first.classes == CLASSES


@pytest.mark.parametrize(("name", "told"), [("test", 0), ("Valid", 1)])
def test_one_folder_beside_train_is_the_test(name, told, tmp_path):
    for split, rows in (("train", 30), (name, 9)):
        write_image_folder(tmp_path, rows, f"photos/{split}")
    data = make("image_folder", path="photos", size=4, repeats="apart").load(0, tmp_path)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [24, 6, 9]
    assert data.test.rows.tolist() == list(range(30, 39))
    assert not data.shared_split
    assert sum(f"{name!r} is the test" in line for line in data.remarks) == told


def test_images_that_are_no_squares_are_cropped_or_refused(tmp_path):
    random = np.random.default_rng(0)
    for number, shape in enumerate([(12, 8), (8, 13), (8, 8), (16, 8)]):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    table = make("image_folder", path="photos", size=4).table_of(tmp_path)
    files = [tmp_path / "photos" / name for name in ("a/0.png", "a/2.png", "b/1.png", "b/3.png")]
    for read, file in zip(table.inputs.array, files, strict=True):
        with Image.open(file) as image:
            width, height = image.size
            left, top = (width - 8) // 2, (height - 8) // 2
            square = np.asarray(image.crop((left, top, left + 8, top + 8)), dtype=float)
        means = square.reshape(4, 2, 4, 2, 3).mean((1, 3)).transpose(2, 0, 1)
        assert np.abs(read - means).max() <= 0.5
    with pytest.raises(DataError, match="would be distorted"):
        make("image_folder", path="photos", size=4, crop=False).table_of(tmp_path)
    with pytest.raises(DataError, match=r"different sizes .*; set dataset\.size"):
        make("image_folder", path="photos", size=None, crop=False).table_of(tmp_path)


def test_images_of_other_formats_are_told(tmp_path):
    given = write_image_folder(tmp_path)
    Image.fromarray(made_images(1)[0]).save(tmp_path / "photos" / "ant" / "x.bmp")
    [told] = make("image_folder", **given).table_of(tmp_path).remarks
    assert told == "photos: 1 image left out, of another format than PNG and JPEG ('ant/x.bmp')."


def test_folders_that_are_not_clear_are_refused(tmp_path):
    def fails(message):
        with pytest.raises(DataError, match=message):
            make("image_folder", path="photos", size=4).load(0, tmp_path)

    fails("no 'photos' in")
    (tmp_path / "photos").mkdir()
    fails("no sub-folder, one a class")
    write_image_folder(tmp_path, 30, "photos/train")
    write_image_folder(tmp_path, 9, "photos/test")
    (tmp_path / "photos" / "zoo").mkdir()
    fails("are splits and classes")
    (tmp_path / "photos" / "zoo").rmdir()
    (tmp_path / "photos" / "train" / "dog").mkdir()
    fails(r"train/dog: no \.png, \.jpg, \.jpeg file for the class 'dog'")
    (tmp_path / "photos" / "train" / "dog").rename(tmp_path / "photos" / "test" / "dog")
    Image.fromarray(made_images(1)[0]).save(tmp_path / "photos" / "test" / "dog" / "x.png")
    fails("no image of the class 'dog' is among those for training")
    (tmp_path / "photos" / "test" / "dog" / "x.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"dataset\.crop: expected true or false"):
        make("image_folder", path="photos", crop=1)


def test_a_class_may_be_called_as_a_split_is(tmp_path):
    for name in ("train", "plane"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for row, image in enumerate(made_images(20)):
            Image.fromarray(image).save(tmp_path / "photos" / name / f"{row}.png")
    table = make("image_folder", path="photos", size=4).table_of(tmp_path)
    assert table.classes == ("plane", "train")
    assert table.splits is table.held_out is None


def test_photographs_stand_upright(tmp_path):
    """A camera that is turned writes the rows as its sensor has them, and how they are seen."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    [image] = read_images(tmp_path, [tmp_path / "turned.png"], None, crop=False, grey=False)
    assert (image == np.rot90(pixels, -1).transpose(2, 0, 1)).all()


def test_images_that_use_few_of_their_levels_are_told(tmp_path):
    shades = np.random.default_rng(0).integers(0, 4096, (40, 8, 8)).astype(np.uint16)
    for at, image in enumerate(shades):  # 12 bits
        folder = tmp_path / "photos" / CLASSES[at % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{at}.png")
    by_folder = make("image_folder", path="photos", size=None)
    labelled = make("galaxy_images", path="photos", size=4, labels=None, classes=None)
    for dataset, brightest in ((by_folder, 16), (labelled, 12)):
        [remark] = [one for one in dataset.table_of(tmp_path).remarks if "brighter" in one]
        largest = int(remark.partition("brighter than ")[2].split()[0])
        assert brightest <= largest <= 16


def test_transparent_pixels_are_told(tmp_path):
    for clear in (False, True):
        for at in range(40):
            pixels = np.full((8, 8, 4), 255, dtype=np.uint8)
            pixels[2:6, 2:6, :3] = at
            pixels[0, 0, 3] = 0 if clear and at == 7 else 255
            folder = tmp_path / f"clear{clear}" / CLASSES[at % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{at}.png")
        table = make("image_folder", path=f"clear{clear}", size=None).table_of(tmp_path)
        told = [remark for remark in table.remarks if "transparent" in remark]
        assert len(told) == clear
        assert not told or "7.png, for one, has transparent pixels" in told[0]


def test_sixteen_bits_are_scaled_and_a_palette_may_be_transparent(tmp_path):
    """Pillow would cut off all above 255, and warns of the other."""
    shades = np.linspace(0, 65535, 64).reshape(8, 8).round().astype(np.uint16)
    Image.fromarray(shades).save(tmp_path / "deep.png")
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    Image.fromarray(colours, "RGBA").quantize(16).save(tmp_path / "few.png")
    wanted = np.rint(shades / 257).astype(np.uint8)
    for grey in (True, False):
        images = read_images(tmp_path, [tmp_path / "deep.png"] * 2, None, crop=False, grey=grey)
        assert (images == wanted).all()
        assert images.shape[1] == (1 if grey else 3)
    assert read_images(
        tmp_path, [tmp_path / "few.png"], None, crop=False, grey=False
    ).shape == (1, 3, 8, 8)  # fmt: skip
