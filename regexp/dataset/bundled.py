"""Tables that ship with scikit-learn: a few hundred rows each, and no file to fetch."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from regexp.dataset.base import CLASSIFICATION, REGRESSION, Dataset, Table, array_checksum


@dataclass(frozen=True, kw_only=True)
class Bundled(Dataset, ABC):
    """A table of numbers, standardized by its training rows; so is the target of a regression."""

    loader: ClassVar[str]
    """A function of `sklearn.datasets`."""
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What it is called with."""

    def read(self, folder: Path) -> Table:
        """The arrays of scikit-learn's loader; `folder` is not used."""
        from sklearn import datasets

        bunch = getattr(datasets, self.loader)(**self.options)
        classes = tuple(str(name) for name in bunch.get("target_names", ()))
        return Table(
            inputs=bunch.data,
            targets=bunch.target if classes else bunch.target[:, None],
            columns=tuple(str(name) for name in bunch.feature_names),
            classes=classes,
            checksum=array_checksum([bunch.data, bunch.target]),
            source=f"sklearn.datasets.{self.loader}",
            task=CLASSIFICATION if classes else REGRESSION,
            standardize_targets=not classes,
        )

    def preprocessing(self, table: Table) -> Any:
        """Standardization: mean 0 and variance 1 on the training rows."""
        from regexp.dataset.scaling import Standardizer  # takes time

        return Standardizer()


@dataclass(frozen=True, kw_only=True)
class BreastCancer(Bundled):
    """569 tumours, malignant or benign, by 30 measures of cell nuclei; inputs [rows, 30].

    References:
        Wolberg, Mangasarian, Street & Street, "Breast Cancer Wisconsin (Diagnostic)", UCI, 1993,
        https://doi.org/10.24432/C5DW2B
    """

    name: ClassVar[str] = "breast_cancer"
    loader: ClassVar[str] = "load_breast_cancer"


@dataclass(frozen=True, kw_only=True)
class Diabetes(Bundled):
    """442 patients: the disease's progression in a year, 25 to 346, by 10 measures; a regression.

    References:
        Efron, Hastie, Johnstone & Tibshirani, "Least angle regression", Annals of Statistics 32(2),
        2004, https://doi.org/10.1214/009053604000000067
    """

    name: ClassVar[str] = "diabetes"
    loader: ClassVar[str] = "load_diabetes"
    # As measured: by default the measures come scaled by all rows, test rows among them.
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({"scaled": False})


@dataclass(frozen=True, kw_only=True)
class Wine(Bundled):
    """178 wines of three growers by 13 measures; inputs [rows, 13].

    References:
        Aeberhard & Forina, "Wine", UCI, 1992, https://doi.org/10.24432/C5PC7J
    """

    name: ClassVar[str] = "wine"
    loader: ClassVar[str] = "load_wine"


@dataclass(frozen=True, kw_only=True)
class Iris(Bundled):
    """150 irises of three species by 4 measures; inputs [rows, 4].

    References:
        Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7(2),
        1936, https://doi.org/10.1111/j.1469-1809.1936.tb02137.x
    """

    name: ClassVar[str] = "iris"
    loader: ClassVar[str] = "load_iris"
