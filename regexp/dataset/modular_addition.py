"""Addition modulo a number: the whole table of it, of which a network sees a part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from regexp.dataset.base import Dataset, Table, array_checksum
from regexp.dataset.checks import is_whole, unexpected


@dataclass(frozen=True, kw_only=True)
class ModularAddition(Dataset):
    """All pairs (a, b) of 0 to modulus - 1; the class is (a + b) mod modulus.

    Inputs [rows, 2 * modulus] are two one-hot vectors, of a and of b. Nothing tells a network that
    these are numbers; it can know the sum of a pair that it has not seen only by finding the rule.
    The rows are modulus squared, in the order of a and then b, each class in as many of them.

    Args:
        modulus: of the addition, 2 to 1,000.

    Raises:
        ConfigError: for a modulus that is none.

    References:
        Power, Burda, Edwards, Babuschkin & Misra, "Grokking: generalization beyond overfitting on
        small algorithmic datasets" (2022), https://arxiv.org/abs/2201.02177, whose networks embed
        the two numbers and whose modulus is 97.
    """

    name: ClassVar[str] = "modular_addition"

    modulus: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.modulus, 2) or self.modulus > 1000:
            raise unexpected("modulus", self.modulus, "a whole number from 2 to 1000")

    def read(self, folder: Path) -> Table:
        """The whole table; `folder` is not used."""
        numbers = np.arange(self.modulus)
        first, second = np.repeat(numbers, self.modulus), np.tile(numbers, self.modulus)
        one_hot = np.eye(self.modulus, dtype=np.float32)
        inputs = np.concatenate([one_hot[first], one_hot[second]], axis=1)
        sums = (first + second) % self.modulus
        return Table(
            inputs=inputs,
            targets=sums,
            columns=tuple(f"{term}={number}" for term in "ab" for number in numbers),
            classes=tuple(map(str, numbers)),
            checksum=array_checksum([inputs, sums]),
            source="made, the whole table",
        )

    def preprocessing(self, table: Table) -> None:
        """None: one-hot vectors."""
        return
