"""Wisconsin breast cancer (diagnostic), as it ships with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from regexp.dataset.base import Dataset, Table, array_checksum


@dataclass(frozen=True, kw_only=True)
class BreastCancer(Dataset):
    """569 tumours, malignant or benign, by 30 measures of cell nuclei; inputs [rows, 30].

    Args:
        validation, test, train_size: see `Dataset`.

    References:
        Wolberg, Mangasarian, Street & Street, "Breast Cancer Wisconsin (Diagnostic)", UCI, 1993,
        https://doi.org/10.24432/C5DW2B
    """

    name: ClassVar[str] = "breast_cancer"

    def read(self, folder: Path) -> Table:
        """The arrays of `sklearn.datasets.load_breast_cancer`; `folder` is not used."""
        from sklearn.datasets import load_breast_cancer

        cancer = load_breast_cancer()
        return Table(
            inputs=cancer.data,
            targets=cancer.target,
            columns=tuple(str(name) for name in cancer.feature_names),
            classes=tuple(str(name) for name in cancer.target_names),
            checksum=array_checksum([cancer.data, cancer.target]),
            source="sklearn.datasets.load_breast_cancer",
        )

    def preprocessing(self) -> Any:
        """Standardization: mean 0 and variance 1 on the training rows."""
        from sklearn.preprocessing import StandardScaler

        return StandardScaler()
