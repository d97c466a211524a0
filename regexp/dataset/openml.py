"""Tables of OpenML by their number: fetched once, kept beside the other data."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.error import HTTPError, URLError

import numpy as np

from regexp.dataset.base import DataError, array_checksum
from regexp.dataset.checks import as_names, is_sha256, is_whole, unexpected
from regexp.dataset.framed import Frame, FrameDataset
from regexp.dataset.kinds import cure

if TYPE_CHECKING:
    import pandas as pd

PAGE = "https://www.openml.org/d/{}"


@dataclass(frozen=True, kw_only=True)
class OpenML(FrameDataset):
    """A table of OpenML; see `FrameDataset` for what becomes of its columns.

    It is read by `sklearn.datasets.fetch_openml`, over HTTPS, and kept in the folder `openml` of
    the data folder, where later runs find it without a network. scikit-learn holds the file's MD5
    against the one that OpenML gives. What OpenML says is nominal is a category, also where its
    levels are numbers; columns that it says to ignore, or that number the rows, are left out.

    Args:
        id: OpenML's number of the data, as in https://www.openml.org/d/31. It stands for one
            version for ever.
        sha256: the checksum that the rows must have, as runs record it; None accepts any.
        target: see `FrameDataset`; None for what OpenML says is the target.
        task, columns, drop, categorical, max_levels, missing, rows_without_target, group, split,
            weight: see `FrameDataset`.

    References:
        Vanschoren, van Rijn, Bischl & Torgo, "OpenML: networked science in machine learning",
        SIGKDD Explorations 15(2), 2013, https://arxiv.org/abs/1407.7722
    """

    name: ClassVar[str] = "openml"
    PLACES: ClassVar[frozenset[str]] = frozenset({"sha256"})

    id: int
    sha256: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.id, 1):
            raise unexpected("id", self.id, "OpenML's number of the data, 31 in openml.org/d/31;")
        if self.sha256 is not None and not is_sha256(self.sha256):
            digits = "64 hexadecimal digits, or null (any rows);"
            raise unexpected("sha256", self.sha256, digits)

    def read_frame(self, folder: Path) -> Frame:
        """All columns but those that OpenML says to leave out."""
        fetched, told = self._fetch(folder)
        frame, source = fetched.frame, PAGE.format(self.id)
        name = str(fetched.details["name"])
        targets = tuple((fetched.details.get("default_target_attribute") or "").split(","))
        if self.target is None and not set(targets) <= set(frame.columns):
            raise DataError(
                f"{source} ({name}) names no column as its target",
                key="dataset.target",
                cure=f"give one of {', '.join(map(str, frame.columns[:20]))}",
            )
        checksum = frame_checksum(frame)
        if self.sha256 is not None and checksum != self.sha256.lower():
            raise DataError(
                f"not the rows that were expected: their SHA-256 is\n  {checksum}, expected\n  "
                f"{self.sha256}.\nIf you trust them, set dataset.sha256={checksum} "
                "(dataset.sha256=null accepts any; the run records their checksum)",
                key=source,
            )
        return Frame(
            frame,
            name=name,
            source=source,
            checksum=checksum,
            targets=targets,
            remarks=(*told, *self._told_of_targets(name, targets, frame)),
        )

    def _told_of_targets(
        self, name: str, targets: tuple[str, ...], frame: pd.DataFrame
    ) -> tuple[str, ...]:
        """A line on targets of OpenML's that are inputs here, where another was asked for."""
        asked, dropped = as_names(self.target) or targets, as_names(self.drop)
        inputs = frame.columns if self.columns is None else as_names(self.columns)
        others = [column for column in targets if column in {*inputs} - {*asked, *dropped}]
        if not others:
            return ()
        return (
            f"{name}: OpenML's own target {', '.join(map(repr, others))} is an input; to leave it "
            f"out: {cure('drop', [*dropped, *others])}",
        )

    def _fetch(self, folder: Path) -> tuple[Any, tuple[str, ...]]:
        """What scikit-learn reads, and what it warns of."""
        from sklearn.datasets import fetch_openml

        made = not folder.exists()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                # The other reader, pandas', makes one of the levels 01 and 1, and drops what
                # follows a percent sign.
                fetched = fetch_openml(
                    data_id=self.id, data_home=folder, target_column=None, as_frame=True,
                    parser="liac-arff", n_retries=1, delay=0.1,
                )  # fmt: skip
        except Exception as error:  # a damaged file makes the library raise anything
            _remove_empty(folder, made)
            raise self._refusal(error, folder) from error
        of_data = (str(one.message) for one in caught if "OpenML" in str(one.message))
        return fetched, tuple(f"{fetched.details['name']}: {' '.join(t.split())}" for t in of_data)

    def _refusal(self, error: Exception, folder: Path) -> DataError:
        page = PAGE.format(self.id)
        if isinstance(error, HTTPError) and error.code != 412:
            error = URLError(f"the server answers {error.code} {error.reason}")
        if isinstance(error, URLError | TimeoutError):
            reason = getattr(error, "reason", error)
            return DataError(
                f"openml: {self.id} is not in {folder / 'openml'}, and {page} could not be "
                f"downloaded ({getattr(reason, 'strerror', None) or reason}).\nWithout a network: "
                "run the same command with dry_run=true on another machine and copy its folder "
                f"openml to {folder / 'openml'}; or download the ARFF file of {page} and read it "
                "with dataset=table dataset.path=FILE.arff"
            )
        if "not found" in str(error):
            return DataError("OpenML has no data of this number", key="dataset.id", got=self.id)
        if "Sparse ARFF" in str(error):
            return DataError(
                f"{page} is sparse, which is not read as a table", key="dataset.id", got=self.id
            )
        return DataError(f"cannot be read as OpenML's table: {error}", key=page)


def frame_checksum(frame: pd.DataFrame) -> str:
    """SHA-256 of columns: their names, numbers, words and which of these are missing."""
    import pandas as pd

    arrays = [np.array([str(name) for name in frame.columns])]
    for name in frame:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            arrays.append(column.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            gone = column.isna().to_numpy()
            words = np.array([str(value) for value in column])
            arrays += [np.where(gone, "", words), gone]
    return array_checksum(arrays)


def _remove_empty(folder: Path, made: bool) -> None:
    """Remove the folders that a failed download left empty, the data folder only if it made it."""
    below = folder / "openml"
    for path in sorted((path for path in below.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # it has files
            path.rmdir()
    for path in (below, *((folder,) if made else ())):
        with contextlib.suppress(OSError):
            path.rmdir()
