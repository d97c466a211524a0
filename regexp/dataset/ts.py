"""Whole series and their classes in `.ts` files, as the UCR and UEA archives have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import CLASSIFICATION, REGRESSION, DataError, Dataset, Table
from regexp.dataset.checks import unexpected
from regexp.dataset.files import find, joint_checksum
from regexp.dataset.lazy import LazyInputs
from regexp.dataset.preparation import Preparation
from regexp.dataset.ts_file import TSFile, read_ts
from regexp.errors import count

ENDS = ("start", "end")
"""Where shorter series may be padded."""


@dataclass(frozen=True, kw_only=True)
class TS(Dataset):
    """Series, each with one class or one number; inputs [rows, time, channels].

    Channels are standardized over all values of the training rows. Test rows are those of
    `test_path`, as published; `dataset.test` changes nothing then, and `dataset.validation` is a
    share of the others.

    Args:
        path: a `.ts` file, absolute or relative to the working directory or the data folder;
            gzipped if its name ends in `.gz`.
        test_path: a second one, of the test; None to split rows for the test off by the seed.
        pad: "start" or "end", where series that are shorter than the longest of both files are
            padded by their channel's mean; None to refuse them. A recurrent network looks at the
            end.
        interpolate: whether missing values are put on the line between their neighbours in time
            (before the first value it is that, and after the last); False to refuse them.

    References:
        Dau et al., "The UCR time series archive", IEEE/CAA Journal of Automatica Sinica 6(6), 2019,
        https://arxiv.org/abs/1810.07758; Bagnall et al., "The UEA multivariate time series
        classification archive", 2018, https://arxiv.org/abs/1811.00075
    """

    name: ClassVar[str] = "ts"
    PLACES: ClassVar[frozenset[str]] = frozenset({"path", "test_path"})

    path: str
    test_path: str | None
    pad: str | None
    interpolate: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pad not in (None, *ENDS):
            raise unexpected("pad", self.pad, f"{' or '.join(map(repr, ENDS))}, or null (refuse);")
        if not isinstance(self.interpolate, bool):
            raise unexpected("interpolate", self.interpolate, "true or false")

    def read(self, folder: Path) -> Table:
        """The series of both files, those of the test last; NaN where they are padded."""
        paths = [find("dataset.path", self.path, folder)]
        if self.test_path is not None:
            paths.append(find("dataset.test_path", self.test_path, folder))
        files = [read_ts(path) for path in paths]
        first, last = files[0], files[-1]
        if first.regression != last.regression or first.channels != last.channels:
            raise DataError(
                f"series of {last.described}, but those of {first.path.name} are of "
                f"{first.described}",
                key=str(last.path),
            )
        length = self._length(files)
        values = np.concatenate([self._padded(file, length) for file in files])
        targets, classes = _targets(files)
        name = first.path.name.split(".")[0]
        return Table(
            inputs=values.reshape(len(values), -1),
            targets=targets,
            columns=tuple(
                f"channel {channel}[{time}]"
                for time in range(length)
                for channel in range(first.channels)
            ),
            classes=classes,
            checksum=joint_checksum(paths, paths[0].parent),
            source=str(first.path),
            shape=(length, first.channels),
            name=name.removesuffix("_TRAIN"),
            held_out=np.arange(len(first.series), len(values)) if len(files) > 1 else None,
            task=REGRESSION if first.regression else CLASSIFICATION,
            standardize_targets=first.regression,
        )

    def preprocessing(self, table: Table) -> Any:
        """Standardization of each channel over all values of the training rows, 0 for padding."""
        from regexp.dataset.features import SeriesScaler  # takes time

        return SeriesScaler(channels=table.shape[1])

    def read_inputs(self, rows: Any, preparation: Preparation) -> NDArray[Any] | LazyInputs:
        """Series [rows, time * channels] of a `.ts` file, or as `Dataset.read_inputs` takes them.

        Args:
            rows: a file may say anything for a class, such as `?`.
            preparation: of a run, which takes series of one length.
        """
        if not isinstance(rows, Path) or not rows.name.lower().removesuffix(".gz").endswith(".ts"):
            values = np.array(super().read_inputs(rows, preparation), dtype=np.float64)
            self._fill_gaps(values.reshape(len(values), *preparation.shape), rows)
            return values
        length, channels = preparation.shape
        file = read_ts(rows, channels=channels)
        longest = max(map(len, file.series))
        if file.channels != channels or longest > length or (not self.pad and longest < length):
            raise DataError(
                f"{rows}: series of {longest} steps and {count(file.channels, 'channel')}; the run "
                f"was trained on {length} steps and {count(channels, 'channel')}"
            )
        self._length([file])
        return self._padded(file, length).reshape(len(file.series), -1)

    def _length(self, files: Sequence[TSFile]) -> int:
        """Of the longest series; DataError if others are shorter and are not to be padded."""
        lengths = {len(one) for file in files for one in file.series}
        if len(lengths) > 1 and self.pad is None:
            raise DataError(
                f"series of {min(lengths)} to {max(lengths)} steps, but a network takes one length",
                key=" and ".join(str(file.path) for file in files),
                cure="set dataset.pad=end (or start) to pad the shorter ones",
            )
        return max(lengths)

    def _padded(self, file: TSFile, length: int) -> NDArray[np.float64]:
        """The series of a file without gaps, [rows, length, channels], NaN where padded."""
        values = np.full((len(file.series), length, file.channels), np.nan)
        for row, one in enumerate(file.series):
            self._fill(one, f"series {row + 1} (line {file.lines[row]})", str(file.path))
            place = slice(length - len(one), None) if self.pad == "start" else slice(len(one))
            values[row, place] = one
        return values

    def _fill_gaps(self, values: NDArray[np.float64], rows: object) -> None:
        """`_fill` the series of an array, [rows, time, channels], NaN at the end that is padded."""
        for row in np.flatnonzero(np.isnan(values).any(axis=(1, 2))):
            known = np.flatnonzero(~np.isnan(values[row]).all(axis=1))
            first = known[0] if self.pad == "start" and len(known) else 0
            last = known[-1] + 1 if self.pad == "end" and len(known) else len(values[row])
            where = str(rows) if isinstance(rows, Path) else "rows"
            self._fill(values[row, first:last], f"series {row + 1}", where)

    def _fill(self, values: NDArray[np.float64], place: str, key: str) -> None:
        """Put missing values of a series, [time, channels], between their neighbours."""
        gone = np.isnan(values)
        if not gone.any():
            return
        if gone.all(axis=0).any():
            raise DataError(f"{place} has a channel without a value", key=key)
        if not self.interpolate:
            cure = "set dataset.interpolate=true to put them between their neighbours in time"
            raise DataError(f"{place} has missing values", key=key, cure=cure)
        times = np.arange(len(values))
        for channel in np.flatnonzero(gone.any(axis=0)):
            known = ~gone[:, channel]
            values[:, channel] = np.interp(times, times[known], values[known, channel])


def _targets(files: Sequence[TSFile]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Class indices [rows] and the classes' names; of a regression numbers [rows, 1] and none."""
    if files[0].regression:
        return np.concatenate([_numbers(file) for file in files])[:, None], ()
    labels = [label for file in files for label in file.labels]
    declared = dict.fromkeys(name for file in files for name in file.classes)
    classes = tuple(name for name in declared if name in {*labels})
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place[label] for label in labels], dtype=np.int64), classes


def _numbers(file: TSFile) -> NDArray[np.float64]:
    """The targets of a regression, [rows]."""
    numbers = np.empty(len(file.labels))
    for row, label in enumerate(file.labels):
        try:
            numbers[row] = float(label)
        except ValueError:
            numbers[row] = math.nan
        if not math.isfinite(numbers[row]):
            raise DataError(
                f"series {row + 1} (line {file.lines[row]}) has the target {label!r}, expected a "
                "finite number",
                key=str(file.path),
            )
    return numbers
