"""Any table of a user's: a CSV, Parquet or ARFF file, the columns in it and what to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from regexp.dataset.base import DataError
from regexp.dataset.checks import (
    EARLIER,
    EARLIER_OF_TABLES,
    as_names,
    as_separator,
    check_text,
    unexpected,
)
from regexp.dataset.columns import UTF_8, naming_encoding
from regexp.dataset.files import file_checksum, find
from regexp.dataset.framed import Frame, FrameDataset, refused

if TYPE_CHECKING:
    from regexp.dataset.frames import Text


@dataclass(frozen=True, kw_only=True)
class TableFile(FrameDataset):
    """A user's own table; see `FrameDataset` for what becomes of its columns.

    Words of a CSV that are mostly numbers are numbers, refused or told, see `words.Words`.
    Numbers that are categories, classes, groups or splits are as they are written where numbers
    would merge or alter some: 01 and 1 are two, and so are 3.1 and 3.10. As other inputs they are
    numbers; of leading zeros a remark tells.

    Args:
        path: the file, absolute or relative to the working directory or the data folder; Parquet if
            its name ends in .parquet or .pq, ARFF if in .arff (needs liac-arff, the extra `arff`),
            else a CSV with a header. CSV and ARFF may be gzipped (.gz).
        separator: the character between two fields of a CSV.
        header: whether the first line of a CSV has the names of the columns; they are 1, 2, 3 ...
            if not.
        encoding: of a CSV or ARFF, as Python names it; None for UTF-8.
        decimal: "." or ",", the character before the decimals of a number in a CSV.
        missing: see `FrameDataset`; in a CSV beside an empty field, NA, NaN, null, None and what
            else pandas takes for a missing value.
        target, task, columns, drop, categorical, max_levels, rows_without_target: see
            `FrameDataset`.
        group, split, weight: see there.
    """

    name: ClassVar[str] = "table"
    EARLIER: ClassVar[Mapping[str, Any]] = {**EARLIER, **EARLIER_OF_TABLES}
    PLACES: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str
    separator: str
    header: bool
    encoding: str | None
    decimal: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target is None:
            raise refused("target", "expected a column, or a list of columns; got none")
        object.__setattr__(self, "separator", as_separator(self.separator))
        check_text(self.encoding, self.decimal)
        if not isinstance(self.header, bool):
            raise unexpected(
                "header", self.header, "true or false (columns are named 1, 2, 3 ...);"
            )

    def read_frame(self, folder: Path) -> Frame:
        """All columns of the file."""
        from regexp.dataset import arff, frames

        path = find("dataset.path", self.path, folder)
        if not path.is_file():
            raise DataError(
                f"{path} is no file", key="dataset.path", expected="a CSV, Parquet or ARFF file"
            )
        text = self.text()
        with naming_encoding(path):
            columns = frames.read_frame(path, text)
        return Frame(
            columns,
            name=Path(path.name.removesuffix(".gz")).stem,
            source=str(path),
            checksum=file_checksum(path),
            text=None if frames.is_typed(path) else text,
            declared=arff.declared(columns) if arff.is_arff(path) else {},
        )

    def text(self) -> Text:
        """How the file is written, if it is a CSV."""
        from regexp.dataset.frames import Text

        missing = as_names(self.missing)
        encoding = self.encoding or UTF_8
        return Text(self.separator, missing, encoding, self.decimal, self.header)
