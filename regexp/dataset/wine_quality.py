"""UCI wine quality: what chemistry tells about a taster's mark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import CLASSIFICATION, REGRESSION, Table
from regexp.dataset.checks import as_separator, check_no_target, unexpected
from regexp.dataset.columns import read_columns
from regexp.dataset.files import FileDataset, further_in

MEASURES = (
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)
QUALITY = "quality"


@dataclass(frozen=True, kw_only=True)
class WineQuality(FileDataset):
    """1,599 red wines; 11 measures, standardized, to the mark (3 to 8).

    As a classification each mark that occurs is a class; as a regression the mark is the target,
    in its own unit, and splits are not stratified.

    Args:
        file, sha256, known, url: see `FileDataset`.
        separator: the character between two fields; UCI's file has a semicolon.
        target: "classification" or "regression".

    References:
        Cortez et al., "Modeling wine preferences by data mining from physicochemical properties",
        Decision Support Systems 47(4), 2009, https://doi.org/10.1016/j.dss.2009.05.016
    """

    name: ClassVar[str] = "wine_quality"

    separator: str
    target: str

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "separator", as_separator(self.separator))
        check_no_target(self.further_columns, QUALITY)
        if self.target not in (CLASSIFICATION, REGRESSION):
            raise unexpected("target", self.target, f"'{CLASSIFICATION}' or '{REGRESSION}'")

    def read(self, folder: Path) -> Table:
        """The measures and the mark of each wine."""
        path, checksum = self.locate(folder)
        table = read_columns(path, (*MEASURES, QUALITY), self.separator)
        marks = table.values[:, -1]
        if self.target == REGRESSION:
            classes: tuple[str, ...] = ()
            targets: NDArray[Any] = marks[:, None]
        else:
            bad = np.flatnonzero((marks != marks.round()) | (marks < 0) | (marks > 10))
            if len(bad):
                fault = f"{marks[bad[0]]}, expected a whole number from 0 to 10"
                table.refuse(bad[0], QUALITY, fault)
            names, targets = np.unique(marks, return_inverse=True)
            classes = tuple(str(int(name)) for name in names)
        return Table(
            inputs=table.values[:, :-1],
            targets=targets,
            columns=MEASURES,
            classes=classes,
            checksum=checksum,
            source=self.source_of(path, checksum),
            task=self.target,
            extra=further_in(path, self.separator, self.further_columns),
        )

    def preprocessing(self, table: Table) -> Any:
        """Standardization: mean 0 and variance 1 on the training rows."""
        from regexp.dataset.scaling import Standardizer  # takes time

        return Standardizer()
