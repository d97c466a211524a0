"""Galaxy Zoo 1, Table 2: the votes of volunteers on the shape of galaxies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regexp.dataset.base import Table
from regexp.dataset.checks import (
    are_distinct,
    check_no_target,
    is_number,
    is_whole,
    unexpected,
)
from regexp.dataset.columns import read_columns
from regexp.dataset.files import FileDataset, further_in
from regexp.errors import ConfigError

VOTES = ("P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG", "P_CS")
DEBIASED = ("P_EL_DEBIASED", "P_CS_DEBIASED")
FLAGS = ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")

COLUMNS = "dataset.columns"


@dataclass(frozen=True, kw_only=True)
class Galaxies(FileDataset):
    """667,944 galaxies; seven fractions of votes to spiral, elliptical or uncertain.

    The columns: elliptical, spiral clockwise, spiral anticlockwise, edge-on, don't know, merger,
    all spirals together; each in [0, 1]. The class is the one of the table's three flags that is 1.
    The flags are votes corrected for distance ("debiased") and cut at 0.8, so the two debiased
    columns hold part of the label and are refused as features unless `allow_leakage` is set.

    Args:
        file, sha256, known, url: see `FileDataset`.
        columns: the vote fractions that are read as features.
        allow_leakage: accept the debiased columns among them.
        features: "engineered" for `expansion`, "raw" for the standardized columns alone.
        degree, log_offset, threshold, keep: see `regexp.dataset.features.expansion`; give either
            `threshold` or `keep`.

    References:
        Lintott et al., MNRAS 389, 1179 (2008), https://doi.org/10.1111/j.1365-2966.2008.13689.x;
        Lintott et al., MNRAS 410, 166 (2011), https://doi.org/10.1111/j.1365-2966.2010.17432.x
    """

    name: ClassVar[str] = "galaxies"

    columns: Sequence[str]
    allow_leakage: bool
    features: str
    degree: int
    log_offset: float
    threshold: float | None
    keep: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_columns()
        check_no_target(self.further_columns, *FLAGS)
        if self.features not in ("engineered", "raw"):
            raise unexpected("features", self.features, "'engineered' or 'raw'")
        if not is_whole(self.degree, 1) or self.degree > 4:
            raise unexpected("degree", self.degree, "a whole number from 1 to 4")
        if not is_number(self.log_offset) or self.log_offset <= 0:
            above = "a number above 0 (log(0) is infinite)"
            raise unexpected("log_offset", self.log_offset, above)
        if (self.threshold is None) == (self.keep is None):
            raise ConfigError(
                "exactly one of them must be a number and the other null; got "
                f"{self.threshold!r} and {self.keep!r}",
                key="dataset.threshold, dataset.keep",
            )
        if self.threshold is not None and not (
            is_number(self.threshold) and 0 < self.threshold <= 1
        ):
            raise unexpected("threshold", self.threshold, "a correlation above 0, at most 1")
        if self.keep is not None and not is_whole(self.keep, 1):
            raise unexpected("keep", self.keep, "a whole number of features (1 or more)")

    def _check_columns(self) -> None:
        columns = list(self.columns)
        if not are_distinct(columns, 1):
            raise unexpected("columns", columns, "one or more different columns")
        choices = VOTES + DEBIASED
        for column in columns:
            if column in FLAGS:
                raise ConfigError(f"{column} is the label and can be no feature", key=COLUMNS)
            if column not in choices:
                near = get_close_matches(str(column), choices, n=2) or choices
                raise ConfigError(
                    f"no vote fraction is called {column!r}",
                    key=COLUMNS, cure=f"nearest: {', '.join(near)}",
                )  # fmt: skip
        if not isinstance(self.allow_leakage, bool):
            raise unexpected("allow_leakage", self.allow_leakage, "true or false")
        leaks = [column for column in columns if column in DEBIASED]
        if leaks and not self.allow_leakage:
            raise ConfigError(
                f"{', '.join(leaks)} would leak the label: SPIRAL, ELLIPTICAL and UNCERTAIN are "
                "debiased votes cut at 0.8, so debiased columns give away part of the answer (4 to "
                "6 points of accuracy). Leave them out, or set dataset.allow_leakage=true if that "
                "is what you want to show",
                key=COLUMNS,
            )

    def read(self, folder: Path) -> Table:
        """The vote fractions asked for and the class of each galaxy."""
        path, checksum = self.locate(folder)
        columns = tuple(self.columns)
        table = read_columns(path, (*columns, *FLAGS), ",")
        inputs, flags = table.values[:, : len(columns)], table.values[:, len(columns) :]

        wrong = np.argwhere((inputs < 0) | (inputs > 1))
        if len(wrong):
            row, column = wrong[0]
            table.refuse(
                row, columns[column], f"{inputs[row, column]}, expected a fraction from 0 to 1"
            )
        bad = np.flatnonzero(((flags != 0) & (flags != 1)).any(axis=1) | (flags.sum(axis=1) != 1))
        if len(bad):
            fault = f"{flags[bad[0]].tolist()}, expected one 1 and two 0"
            table.refuse(bad[0], ", ".join(FLAGS), fault)
        # A part of the table that has no galaxy of a class is a task without that class.
        present = np.flatnonzero(flags.any(axis=0))
        return Table(
            inputs=inputs,
            targets=flags[:, present].argmax(axis=1),
            columns=columns,
            classes=tuple(FLAGS[index].lower() for index in present),
            checksum=checksum,
            source=self.source_of(path, checksum),
            extra=further_in(path, ",", self.further_columns),
        )

    def preprocessing(self, table: Table) -> Any:
        """`expansion`, or standardization alone."""
        if self.features == "raw":
            from regexp.dataset.scaling import Standardizer

            return Standardizer()
        from regexp.dataset.features import expansion

        return expansion(self.degree, self.log_offset, self.threshold, self.keep)
