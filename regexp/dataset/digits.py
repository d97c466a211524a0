"""Handwritten digits, 8 x 8 pixels, as they ship with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from regexp.dataset.base import Dataset, Table, array_checksum


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """1,797 images of the digits 0 to 9; inputs [rows, 1, 8, 8] in [0, 1].

    A pixel counts the dark ones of 4 x 4 finer pixels, 0 to 16, and is divided by 16: a constant
    of the data, so that nothing is fitted.

    References:
        Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998,
        https://doi.org/10.24432/C50P49 (scikit-learn ships its test part)
    """

    name: ClassVar[str] = "digits"

    def read(self, folder: Path) -> Table:
        """The arrays of `sklearn.datasets.load_digits`; `folder` is not used."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        return Table(
            inputs=digits.data,
            targets=digits.target,
            columns=tuple(digits.feature_names),
            classes=tuple(str(name) for name in digits.target_names),
            checksum=array_checksum([digits.data, digits.target]),
            source="sklearn.datasets.load_digits",
            shape=(1, 8, 8),
        )

    def preprocessing(self, table: Table) -> Any:
        """Division by 16, fitted on nothing."""
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer(_scale, feature_names_out="one-to-one")


def _scale(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels / 16
