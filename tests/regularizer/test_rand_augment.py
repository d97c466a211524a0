"""RandAugment: its operations against Pillow's on bytes, and free of the scale of the inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from regexp.regularizer.base import Batch
from regexp.regularizer.image_operations import OPERATIONS, transform
from tests.support import make_step, technique

SIDE = 24
ENHANCE = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "color": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}
POINTWISE: dict[str, Any] = {"solarize": ImageOps.solarize, "posterize": ImageOps.posterize}
MOVED = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


@pytest.fixture
def photo():
    """Bytes [SIDE, SIDE, 3], gray and smooth, with black and white in it."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    gray = np.sin(5 * x + 2 * y) + np.cos(7 * y * x) + 0.3 * np.sin(40 * x)
    gray = (255 * (gray - gray.min()) / np.ptp(gray)).round().astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, 2)


def ours(photo, name, sign, magnitude):
    """One operation of ours on bytes."""
    image = torch.from_numpy(photo.astype(float)).permute(2, 0, 1)[None]
    operation = torch.tensor([OPERATIONS.index(name)])
    new = transform(image, operation, torch.tensor([sign]), torch.tensor(magnitude).double())
    return new[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", ENHANCE)
@pytest.mark.parametrize("sign", [-1, 1])
def test_enhancements_are_pillows(photo, name, sign):
    if name == "color":  # any weights of the channels; equal ones are those of a gray copy
        photo[:, :, 1] = 255 - photo[:, :, 1]
        gray = photo.astype(float).mean(2, keepdims=True)
        expected = gray + (1 + 0.45 * sign) * (photo - gray)
    else:
        image = ENHANCE[name](Image.fromarray(photo)).enhance(1 + 0.45 * sign)
        expected = np.array(image, dtype=float)
    new = ours(photo, name, sign, 0.5)
    assert not np.array_equal(new, photo)
    if name != "color":
        new = new.clip(0, 255)  # bytes end there
    np.testing.assert_allclose(new, expected, atol=1.5)  # bytes are rounded, twice


@pytest.mark.parametrize(("name", "argument"), [("solarize", 102), ("posterize", 5)])
def test_solarize_and_posterize_are_pillows(photo, name, argument):
    """At the magnitudes .6 and .75: the threshold 255 - .6 * 255, and 8 - 3 bits."""
    expected = np.array(POINTWISE[name](Image.fromarray(photo), argument), dtype=float)
    new = ours(photo, name, 1, {"solarize": 0.6, "posterize": 0.75}[name])
    if name == "solarize":
        at_the_threshold = np.isin(photo, (102,))
        np.testing.assert_allclose(new[~at_the_threshold], expected[~at_the_threshold], atol=1e-9)
    else:  # 32 levels of 255 / 32 where Pillow has 8
        np.testing.assert_allclose(new / (255 / 32), expected / 8, atol=1.0 + 1e-9)
        assert len(np.unique(new)) == len(np.unique(expected)) == 32


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("sign", [-1, 1])
def test_moves_are_pillows(photo, name, sign):
    amount = sign * 0.8
    angle = amount * math.pi / 6 if name == "rotate" else 0.0
    shear = {other: 0.3 * amount if other == name else 0.0 for other in MOVED}
    shift = {other: 150 / 331 * amount * SIDE if other == name else 0.0 for other in MOVED}
    a, b = math.cos(angle), shear["shear_x"] - math.sin(angle)
    d, e = shear["shear_y"] + math.sin(angle), math.cos(angle)
    # Pillow counts from the corner of the first pixel: the centre of the image must stay.
    c = SIDE / 2 * (1 - a - b) - shift["translate_x"]
    f = SIDE / 2 * (1 - d - e) - shift["translate_y"]
    moved = Image.fromarray(photo).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    new, expected = ours(photo, name, sign, 0.8), np.array(moved, dtype=float)
    inside = np.array(
        Image.new("L", (SIDE, SIDE), 255).transform(
            (SIDE, SIDE), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
        )
    ) == 255  # fmt: skip
    # At the border Pillow takes the nearest pixel, ours goes to 0 within half a pixel.
    inside &= ours(np.full_like(photo, 255), name, sign, 0.8)[:, :, 0] > 254.9
    assert inside.mean() > 0.4
    np.testing.assert_allclose(new[inside], expected[inside], atol=1.5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_do_not_depend_on_the_scale_of_the_inputs(name):
    """Standardized or not: of a x + b comes a T(x) + b; moves bring zeros in, so b = 0 there."""
    x = torch.randn(4, 3, 9, 7, dtype=torch.float64)
    shift = 0.0 if name in MOVED else -1.5
    operation = torch.full((4,), OPERATIONS.index(name))
    sign, magnitude = torch.tensor([-1, 1, -1, 1]), torch.tensor(0.7).double()
    new = transform(x, operation, sign, magnitude)
    scaled = transform(4 * x + shift, operation, sign, magnitude)
    torch.testing.assert_close(scaled, 4 * new + shift, rtol=0, atol=1e-12)
    assert torch.equal(new, x) == (name == "identity")


def test_every_operation_is_drawn_for_single_images_with_both_signs():
    image, rows = torch.randn(3, 8, 8, dtype=torch.float64), 2400
    images = image.expand(rows, 3, 8, 8)
    step = technique("rand_augment", operations=1, magnitude=7.0)
    new = step.batch(make_step(), Batch(images, torch.zeros(rows, 1))).inputs
    magnitude, counts, unsigned = torch.tensor(7.0).double() / 10, [], []
    for index, name in enumerate(OPERATIONS):
        signs = torch.tensor([-1, 1])
        both = transform(image.expand(2, 3, 8, 8), torch.full((2,), index), signs, magnitude)
        same = [(new - one).abs().amax((1, 2, 3)) < 1e-9 for one in both]
        if torch.equal(*both):
            unsigned.append(name)
            counts.append(int(same[0].sum()))
        else:
            assert min(int(one.sum()) for one in same) > 60  # 100 are expected
            counts.append(int((same[0] | same[1]).sum()))
    assert unsigned == ["identity", "solarize", "posterize"]
    assert sum(counts) == rows
    assert stats.chisquare(counts).pvalue > 1e-3


def test_operations_follow_one_another():
    batch = Batch(torch.randn(6, 1, 8, 8), torch.zeros(6, 1))
    twice = technique("rand_augment", operations=2).batch(make_step(), batch).inputs
    rng, images = make_step().rng, batch.inputs
    for _ in range(2):
        operation, sign = rng.integers(len(OPERATIONS), (6,)), 2 * rng.integers(2, (6,)) - 1
        images = transform(images, operation, sign, torch.tensor(0.9))
    torch.testing.assert_close(twice, images)


def test_an_image_of_one_value_stays_finite():
    batch = Batch(torch.full((40, 1, 6, 6), 2.0), torch.zeros(40, 1))
    new = technique("rand_augment").batch(make_step(), batch).inputs
    assert new.isfinite().all()


def test_no_operations_change_no_bit():
    batch = Batch(torch.randn(12, 3, 5, 5), torch.ones(12, 1))
    none = technique("rand_augment", operations=0).batch(make_step(), batch)
    assert torch.equal(none.inputs, batch.inputs)
