"""Windows over a time series: the past as inputs, what comes next as targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import (
    REGRESSION,
    DataError,
    Dataset,
    Rows,
    Splits,
    Table,
    TargetScale,
    array_checksum,
    summed,
)
from regexp.dataset.checks import (
    EARLIER,
    EARLIER_OF_TEXT,
    Name,
    Names,
    are_distinct,
    as_names,
    as_separator,
    check_no_target,
    check_text,
    check_url,
    is_sha256,
    is_whole,
    unexpected,
)
from regexp.dataset.columns import UTF_8, naming_encoding, read_columns
from regexp.dataset.download import download
from regexp.dataset.files import check_file, find, further_in
from regexp.dataset.lazy import LazyInputs
from regexp.dataset.preparation import Preparation
from regexp.dataset.splitting import check_train_size
from regexp.dataset.windows import SUNSPOTS, sliding, sunspots
from regexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Series(Dataset):
    """Windows over a series with equal steps of time; inputs [rows, window, channels].

    Row i starts at time t: its inputs are the columns at t ... t + window - 1, its targets the
    target column at t + window ... t + window + horizon - 1, [rows, horizon].

    **Splits** follow time: the first part of the series is for training, the next for validation,
    the last for testing, whatever the seed. A window belongs to a part if all its values, inputs
    and targets, lie in it; the others are dropped: at each of the two borders those that start
    within the window + horizon - 1 steps before it. In each part windows start at its first value
    and then every `stride` steps.

    **Scaling** is to mean 0 and variance 1 of each column, over the values that the training
    windows cover, so over the past alone; the target is scaled as its column. `Data.target_scale`
    leads back to its own unit.

    **The naive forecast** says that the last value of the target persists; `Data.naive` has its
    error.

    Args:
        validation, test: shares of the series, in time.
        train_size: the last so many windows of the training part are used; None for all.
        split_seed, test_seed, group: None; a series is split by time.
        split: a column of the file, see `Dataset`, that follows time: first all training steps,
            then all validation steps, then all test steps. None for shares of the series.
        path: a text file of separated columns, one row a time step in order, absolute or relative
            to the working directory or the data folder; None for statsmodels' sunspots (yearly
            numbers, 1700 to 2008, column SUNACTIVITY). Gaps and words are refused.
        separator: the character between two fields.
        encoding: as Python names it; None for UTF-8.
        decimal: "." or ",", the character before the decimals of a number.
        sha256: the checksum that the file must have; None accepts any.
        url: address that the file is downloaded from if it is not there; None for none.
        columns: the channels; None for the target alone.
        target: the column that is forecast. It need not be a channel.
        window: time steps of the past.
        horizon: time steps ahead, all of which are forecast.
        stride: time steps between the starts of two windows.

    References:
        Zhou et al., "Informer", AAAI 2021, https://arxiv.org/abs/2012.07436 (ETTh1; it splits by
        months); Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., 5.2,
        https://otexts.com/fpp3/ (the naive method)
    """

    name: ClassVar[str] = "series"
    EARLIER: ClassVar[Mapping[str, Any]] = {**EARLIER, **EARLIER_OF_TEXT}
    PLACES: ClassVar[frozenset[str]] = frozenset({"path", "sha256", "url"})

    path: str | None
    separator: str
    encoding: str | None
    decimal: str
    sha256: str | None
    url: str | None
    columns: Names | None
    target: Name
    window: int
    horizon: int
    stride: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group is not None:
            raise ConfigError(
                "a series is split by time, which groups of steps would break up",
                key="dataset.group", got=self.group, cure="leave it null",
            )  # fmt: skip
        if self.split is not None and self.path is None:
            raise ConfigError(
                "the sunspots have no column that says a split",
                key="dataset.split", got=self.split, cure="set dataset.path, or leave it null",
            )  # fmt: skip
        check_no_target(self.further_columns, str(self.target))
        for key in ("window", "horizon", "stride"):
            value = getattr(self, key)
            if not is_whole(value, 1):
                raise unexpected(key, value, "a whole number of time steps (1 or more)")
        if seeds := [key for key in ("split_seed", "test_seed") if getattr(self, key) is not None]:
            raise ConfigError(
                "a series is split by time, the same for all seeds",
                key=f"dataset.{seeds[0]}", cure="leave it null",
            )  # fmt: skip
        object.__setattr__(self, "separator", as_separator(self.separator))
        check_text(self.encoding, self.decimal)
        if not are_distinct(self._channels, 1):
            columns = "one or more different columns, or null for the target alone;"
            raise unexpected("columns", list(self._channels), columns)
        if self.sha256 is not None and not is_sha256(self.sha256):
            digits = "64 hexadecimal digits, or null (any file);"
            raise unexpected("sha256", self.sha256, digits)
        if self.url is not None:
            check_url(self.url)

    @property
    def _channels(self) -> tuple[str, ...]:
        return as_names(self.target if self.columns is None else self.columns)

    def read(self, folder: Path) -> Table:
        """The windows, scaled and split."""
        name, values, target, checksum, source = self._series(folder)
        splits = self._windows(len(values), name, source)
        # From the first value of the first training window to the last target of the last.
        past = slice(splits[0][0], splits[0][-1] + self.window + self.horizon)
        if (target[past] == target[past][0]).all():
            raise DataError(
                f"column {self.target!r} is {target[past][0, 0]:g} throughout the training part; "
                "there is nothing to learn",
                key=source,
            )
        with summed(source):
            scale = TargetScale.fit(target[past])
            scales = TargetScale.fit(values[past], of_equal=np.inf)  # see `Standardizer`

            ends = sliding(target, self.horizon)[self.window :, :, 0]  # [starts, horizon]
            last = target[self.window - 1 : self.window - 1 + len(ends)]
            error = (ends - last) / scale.scale[0]  # of the naive forecast
            named = zip(("train", "validation", "test"), splits, strict=True)
            naive = {key: float(np.sqrt((error[rows] ** 2).mean())) for key, rows in named}
        return Table(
            inputs=sliding(values, self.window)[: len(ends)],
            targets=ends,
            columns=tuple(
                f"{column}[{time}]" for time in range(-self.window, 0) for column in self._channels
            ),
            classes=(),
            checksum=checksum,
            source=source,
            shape=(self.window, len(self._channels)),
            task=REGRESSION,
            name=name,
            target_scale=TargetScale(scale.mean * self.horizon, scale.scale * self.horizon),
            input_scale=scales,
            splits=splits,
            naive=naive,
        )

    def assigned(self, table: Table) -> Table:
        """The same: `read` has split it, as `split` is of steps and not of windows."""
        return table

    def preprocessing(self, table: Table) -> Any:
        """Standardization by what was fitted while reading, which knows the past."""
        from regexp.dataset.features import ColumnScaler

        assert table.input_scale is not None
        return ColumnScaler(table.input_scale.mean, table.input_scale.scale)

    def read_inputs(self, rows: Any, preparation: Preparation) -> NDArray[Any] | LazyInputs:
        """Windows [rows, window, channels] of new steps of time, in the columns' own units.

        Args:
            rows: windows as an array; or steps of time, as a data frame or a text file with the
                channels as columns, of which every window is taken, the last one included, after
                which nothing is known yet.
            preparation: of a run.
        """
        from regexp.dataset import new_images, new_rows
        from regexp.dataset.frames import Text

        if isinstance(rows, Path) and rows.suffix.lower() not in new_images.ARRAYS:
            text = Text(self.separator, (), self.encoding or UTF_8, self.decimal)
            with new_rows.as_of_the_run(text):
                values = self._read(rows, self._channels)
        elif new_rows.is_frame(rows := new_rows.as_pandas(rows)):
            values = new_rows.numbers_of(rows, self._channels)
        else:
            return super().read_inputs(rows, preparation)
        if len(values) < self.window:
            raise DataError(f"{len(values)} steps of time are less than a window of {self.window}")
        return sliding(values, self.window)

    @property
    def last_known(self) -> int:
        """The last step of the first window."""
        return self.window - 1

    def _series(
        self, folder: Path
    ) -> tuple[str, NDArray[np.float64], NDArray[np.float64], str, str]:
        """Name, channels [time, channels], target [time, 1], checksum and source."""
        channels = self._channels
        wanted = (*channels, *({str(self.target)} - set(channels)))
        if self.path is None:
            name, source = "sunspots", "statsmodels.datasets.sunspots"
            if wanted != (SUNSPOTS,):
                raise DataError(
                    f"the sunspots have the one column {SUNSPOTS}, got {', '.join(wanted)}",
                    key="dataset.columns, dataset.target",
                    cure="set dataset.path for a series of your own",
                )
            values = sunspots()
            checksum = array_checksum([values])
        else:
            try:
                path = find("dataset.path", self.path, folder)
            except DataError:
                if self.url is None:
                    raise
                path = folder / Path(self.path).name
                missing = f"no {path.name} in {folder} nor in the working directory"
                download(self.url, path, self.sha256, missing)
            checksum = check_file(path, self.sha256)
            name, source = path.stem, str(path)
            values = self._read(path, wanted)
        place = wanted.index(str(self.target))
        return name, values[:, : len(channels)], values[:, place : place + 1], checksum, source

    def _read(self, path: Path, columns: Sequence[str]) -> NDArray[np.float64]:
        """Columns of a file, [time, columns]."""
        comma = "if the comma is before the decimals, set 'dataset.decimal=\",\"'"
        encoding, decimal = self.encoding or UTF_8, self.decimal
        with naming_encoding(path):
            return read_columns(
                path, columns, self.separator, encoding, decimal, comma=comma
            ).values

    def _windows(self, steps: int, name: str, source: str) -> Splits:
        """The starts of the windows of each split."""
        train_steps, validation_steps = self._lengths(steps, source)
        borders = {
            "train": (0, train_steps),
            "validation": (train_steps, train_steps + validation_steps),
            "test": (train_steps + validation_steps, steps),
        }
        size = self.window + self.horizon
        starts: list[Rows] = []
        for key, (first, end) in borders.items():
            if end - first < size:
                shares = key != "train" and self.split is None
                raising = f" or raise dataset.{key}" if shares else ""
                raise DataError(
                    f"{self.window} + {self.horizon} steps are more than the {end - first} of the "
                    f"{key} part of {source} ({steps} steps)",
                    key="dataset.window + dataset.horizon",
                    cure="take shorter windows" + raising,
                )
            starts.append(np.arange(first, end - size + 1, self.stride))
        train, validation_starts, test_starts = starts
        if self.train_size is not None:
            check_train_size(self.train_size, len(train), name)
            train = train[-self.train_size :]  # the latest: what comes next is most like them
        return train, validation_starts, test_starts

    def _lengths(self, steps: int, source: str) -> tuple[int, int]:
        """How many steps of time the training and the validation part have."""
        if self.split is None:
            test, validation = round(self.test * steps), round(self.validation * steps)
            return steps - test - validation, validation
        from regexp.dataset.assigned import as_series, lengths_in_time

        further = further_in(Path(source), self.separator, self.further_columns, self.encoding)
        name = str(self.split)
        try:
            train, validation, _ = lengths_in_time(as_series(name, further[name], steps))
        except DataError as error:
            raise DataError(str(error), key=source) from error
        return train, validation
