"""MNIST-1D: ten digits as curves, made from a seed; small, and hard for networks that see no order.

The templates of the digits, and the steps that make rows of them, are those of
https://github.com/greydanus/mnist1d, Copyright Sam Greydanus, Dmitry Kobak and Peter Steinbach,
licensed under the Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0). The
code here is our own; for the same settings and seed it gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import Dataset, Table, array_checksum
from regexp.dataset.checks import is_number, is_whole, unexpected

# Of https://github.com/greydanus/mnist1d (Apache-2.0), `get_templates`: heights along each digit.
TEMPLATES = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])  # fmt: skip

SMOOTHING = 2
"""Standard deviation of the filter that correlates noise, in steps before the last sampling."""

SIGNAL = 1e-8
"""Added to a digit, so that its zeros are told from the padding."""


@dataclass(frozen=True, kw_only=True)
class MNIST1D(Dataset):
    """Ten digits as curves; inputs [rows, length, 1], a series of one channel.

    A row is the template of its digit that is padded at its end by a random number of zeros,
    stretched to one length, scaled, moved around in a circle and sheared, with smooth noise where
    it is padded and independent noise everywhere, and sampled at `length` points. All rows together
    have mean 0 and variance 1, as the published data have.

    **Splits**: the last rows are the test, as published; `dataset.test` changes nothing. Of the
    others `dataset.validation`, a share of them, is cut off by the run's seed. The paper has no
    validation split and trains on all 4,000.

    With the settings of the YAML the rows are those of the paper. The authors give a test accuracy
    of 32% for logistic regression, 68% for an MLP, 91% for a GRU, 94% for a CNN and 96% for people.

    Args:
        generator_seed: of the rows, not of a run.
        samples: rows of all digits together; each has a tenth.
        train_share: of the rows for training and validation, in (0, 1).
        padding: least and most zeros that a template is padded by.
        scale: a row is multiplied by 1 - scale / 2 to 1 + scale / 2.
        translation: a row is moved by 0 to translation - 1 steps; 1 for not at all.
        correlated_noise: standard deviation before smoothing.
        noise: standard deviation of the independent noise.
        shear: a line with a rise of -shear / 2 to shear / 2 is subtracted.
        length: points of a row.
        shuffle: reorder the points, in all rows alike: no structure is left that a convolution or
            a recurrent network could use.

    References:
        Greydanus & Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024,
        https://arxiv.org/abs/2011.14439, appendix A; code and data (Apache-2.0):
        https://github.com/greydanus/mnist1d
    """

    name: ClassVar[str] = "mnist1d"

    generator_seed: int
    samples: int
    train_share: float
    padding: Sequence[int]
    scale: float
    translation: int
    correlated_noise: float
    noise: float
    shear: float
    length: int
    shuffle: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.generator_seed, 0) or self.generator_seed >= 2**32:
            raise unexpected("generator_seed", self.generator_seed, "a whole number below 2**32")
        for key, least in (("samples", 100), ("translation", 1), ("length", 2)):
            value = getattr(self, key)
            if not is_whole(value, least):
                raise unexpected(key, value, f"a whole number ({least} or more)")
        for key in ("scale", "correlated_noise", "noise", "shear"):
            value = getattr(self, key)
            if not is_number(value) or not 0 <= value < float("inf"):
                raise unexpected(key, value, "a number (0 or more)")
        if not is_number(self.train_share) or not 0 < self.train_share < 1:
            share = "a share of the rows between 0 and 1 (both excluded)"
            raise unexpected("train_share", self.train_share, share)
        least, *most = self.padding if isinstance(self.padding, Sequence) else (None,)
        if not is_whole(least, 0) or len(most) != 1 or not is_whole(most[0], least):
            zeros = "two whole numbers of zeros, least and most;"
            raise unexpected("padding", self.padding, zeros)
        if not isinstance(self.shuffle, bool):
            raise unexpected("shuffle", self.shuffle, "true or false")

    def read(self, folder: Path) -> Table:
        """All rows, made anew."""
        curves, digits = self._rows()
        inputs = curves.astype(np.float32)
        return Table(
            inputs=inputs,
            targets=digits,
            columns=tuple(f"x[{time}]" for time in range(self.length)),
            classes=tuple(str(digit) for digit in range(len(TEMPLATES))),
            checksum=array_checksum([inputs, digits]),
            source="https://github.com/greydanus/mnist1d, made anew",
            shape=(self.length, 1),
            held_out=np.arange(int(len(digits) * self.train_share), len(digits)),
        )

    def preprocessing(self, table: Table) -> None:
        """None: as published, all rows together have mean 0 and variance 1."""
        return

    def _rows(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Curves [samples, length] and digits [samples], in the order of the published data."""
        # NumPy's older generator, whose draws are the published ones and change no more.
        random = np.random.RandomState(self.generator_seed)
        digits = np.repeat(np.arange(len(TEMPLATES)), self.samples // len(TEMPLATES))
        templates = _standardized(TEMPLATES)
        curves = np.stack([self._curve(templates[digit], random) for digit in digits])
        order = random.permutation(len(digits))
        curves, digits = curves[order], digits[order]
        if self.shuffle:
            curves = curves[:, random.permutation(self.length)]
        return (curves - curves.mean()) / curves.std(), digits.astype(np.int64)

    def _curve(
        self, template: NDArray[np.float64], random: np.random.RandomState
    ) -> NDArray[np.float64]:
        """One row of a digit, [length]. The order of the draws is that of the published code."""
        from scipy.ndimage import gaussian_filter

        least, most = self.padding
        zeros = least + int(random.rand() * (most - least + 1))
        curve = _sampled(np.pad(template + SIGNAL, (0, zeros)), len(template) + most)
        curve *= 1 + self.scale * (random.rand() - 0.5)
        curve = np.roll(curve, random.choice(self.translation))
        smooth = gaussian_filter(self.correlated_noise * random.randn(len(curve)), SMOOTHING)
        curve = np.where(curve != 0, curve, smooth) + self.noise * random.randn(len(curve))
        rise = self.shear * (random.rand() - 0.5)
        return _sampled(curve - rise * np.linspace(-0.5, 0.5, len(curve)), self.length)


def _standardized(templates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of variance 1 each, starting at 0, and a sixth of that, [digits, points]."""
    centred = templates - templates.mean(axis=1, keepdims=True)
    centred /= centred.std(axis=1, keepdims=True)
    return np.asarray((centred - centred[:, :1]) / 6)


def _sampled(curve: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """The curve at so many equal steps from its start to its end, by linear interpolation."""
    return np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(curve)), curve)
