"""What a dataset is: rows that are read once, split by the seed and preprocessed by the split.

A dataset says how its rows are read (`read`) and how they are preprocessed (`preprocessing`);
splitting, fitting on the training rows alone and turning arrays into tensors happen here, once for
all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray

from regexp.dataset.checks import (
    BALANCED,
    EARLIER,
    INDEPENDENT,
    TOGETHER,
    Name,
    check_seeds,
    check_splitting,
    is_number,
    is_whole,
    unexpected,
)
from regexp.dataset.data import (
    CLASSIFICATION,
    MULTILABEL,
    REGRESSION,
    Data,
    DataError,
    Rows,
    Split,
    Splits,
    Table,
    TargetScale,
    array_checksum,
    summed,
)
from regexp.dataset.lazy import LazyInputs
from regexp.dataset.noise import with_wrong_classes
from regexp.dataset.preparation import Preparation
from regexp.dataset.read_check import check_read
from regexp.dataset.splitting import Splitter
from regexp.dataset.weights import scaled
from regexp.errors import ConfigError

__all__ = [
    "CLASSIFICATION", "MULTILABEL", "REGRESSION", "Data", "DataError", "Dataset", "Rows", "Split",
    "Splits", "Table", "TargetScale", "array_checksum", "summed",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """How one dataset is read, split and preprocessed. Subclasses are final.

    Args:
        validation: share of all rows that the validation split gets, in (0, 1); where the data
            tell the test rows, a share of the others.
        test: share of all rows that the test split gets, in (0, 1); both together below 1. It
            changes nothing where the data tell the test rows.
        train_size: rows of the training split that are used; None for all of them. Validation and
            test splits are the same for every `train_size`.
        split_seed: None to split by the run's seed; a number for the same split in every run,
            whatever its seed: that of a run with this seed. Runs then share their test rows, so
            that their ensemble can be tested; but the deviation over seeds no longer holds that of
            the split.
        label_noise: share of the training and of the validation rows whose class is replaced by
            another one, each as likely (symmetric noise), in [0, 1). Test rows keep theirs. The
            rows of a smaller share are among those of a larger one.
        repeats: "together" to keep rows of equal inputs in one split, so that no test row is also a
            training row; "apart" to split them like any others. Images that memory does not hold
            are not compared, nor are the windows of a series.
        group: a column, rows of one value in which stay in one split, such as the rows of a
            patient; sizes and classes of the splits are as near to their shares as groups allow.
            Rows of equal inputs in several groups join these, unless `repeats` is "apart". None for
            none.
        split: a column that says of each row train, validation (or val, valid, dev) or test. All
            seeds then have these splits; `validation`, `test` and `repeats` have no say in them,
            and `split_seed` draws the rows of a `train_size` alone. None to split by the seed.
        resampling: "balanced" for seeds that share as few test, validation and training rows as
            they can, in blocks of five (`regexp.dataset.folds`); where rows make no folds, because
            of rare classes, large groups or a test split of more than half, and by "independent",
            each seed splits by itself.
        test_rest: whether rows of the training split that a `train_size` leaves are tested as well;
            not those of a training row's group, nor of its inputs unless `repeats` is "apart", nor
            where the data or `test_seed` tell the test rows.
        test_seed: None for test rows by the split; a number for those of a run with this seed in
            every run, whose split is then of the other rows, into as many for training and for
            validation as without. It changes nothing where the data tell the test rows.

    Raises:
        ConfigError: a number that is out of its range; both `group` and `split`.
    """

    name: ClassVar[str]
    EARLIER: ClassVar[Mapping[str, Any]] = EARLIER
    """What runs did that were recorded before a setting was there, by setting."""
    PLACES: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where rows lie, and what lies there is in the checksum: runs that differ in
    these alone are the same."""

    validation: float
    test: float
    train_size: int | None
    split_seed: int | None
    label_noise: float
    repeats: str
    group: Name | None = None
    split: Name | None = None
    resampling: str = INDEPENDENT
    test_rest: bool = False
    test_seed: int | None = None
    _tables: dict[Path, Table] = field(default_factory=dict, init=False, repr=False, compare=False)
    _counts: dict[Any, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _shared: dict[Path, Data] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in ("validation", "test"):
            share = getattr(self, key)
            if not is_number(share) or not 0 < share < 1:
                raise unexpected(key, share, "a share of the rows between 0 and 1 (both excluded)")
        if self.validation + self.test >= 1:
            raise ConfigError(
                f"{self.validation} + {self.test} leave no row for training",
                key="dataset.validation + dataset.test",
                cure="their sum must be below 1",
            )
        if self.train_size is not None and not is_whole(self.train_size, 1):
            rows = "a whole number of rows (1 or more), or null for the whole training split;"
            raise unexpected("train_size", self.train_size, rows)
        check_seeds(self.split_seed, self.test_seed)
        if not is_number(self.label_noise) or not 0 <= self.label_noise < 1:
            raise unexpected("label_noise", self.label_noise, "a share of the rows in [0, 1)")
        check_splitting(self.repeats, self.group, self.split, self.resampling, self.test_rest)

    @abstractmethod
    def read(self, folder: Path) -> Table:
        """Read all rows.

        Args:
            folder: where files of data lie or are downloaded to.

        Raises:
            DataError: no file, or a bad one.
        """

    @abstractmethod
    def preprocessing(self, table: Table) -> Any:
        """A new scikit-learn transformer, not yet fitted; None to take the inputs as they are.

        Args:
            table: what was read. Its columns and levels may be used; its rows are not to be looked
                at: the transformer is fitted on those of the training split.
        """

    def read_inputs(self, rows: Any, preparation: Preparation) -> NDArray[Any] | LazyInputs:
        """Inputs of new rows as `read` gives them; see `regexp.dataset.new_rows.inputs_of`."""
        from regexp.dataset.new_rows import inputs_of  # takes time

        return inputs_of(rows, preparation, self)

    @property
    def last_known(self) -> int:
        """The row of a file of new rows, from 0, that the first prediction is of, or follows."""
        return 0

    def text(self) -> Any:
        """How a text file of new rows is written, as `regexp.dataset.frames.Text`."""
        from regexp.dataset.frames import Text

        return Text(getattr(self, "separator", ","))

    @property
    def further_columns(self) -> dict[str, str]:
        """The column that is to be in `Table.extra`, by the setting that names it; or nothing."""
        named = {"group": self.group, "split": self.split}
        return {key: str(column) for key, column in named.items() if column is not None}

    def assigned(self, table: Table) -> Table:
        """What was read, with the groups or the splits that one of its columns says."""
        for key, column in self.further_columns.items():
            from regexp.dataset.assigned import assign

            table = assign(table, key, column, table.name or self.name)
        return table

    def table_of(self, folder: Path) -> Table:
        """All rows, with their groups or splits; read once for this object and folder.

        Raises:
            DataError, ConfigError: as `load`.
        """
        folder = Path(folder).resolve()
        if folder not in self._tables:
            table = self.read(folder)
            check_read(table)
            self._tables[folder] = self.assigned(table)
        return self._tables[folder]

    def load(self, seed: int, folder: Path) -> Data:
        """Read (once for this object and folder), split by `seed`, preprocess.

        Args:
            seed: the run's seed; equal seeds give equal splits, whatever else differs.
            folder: where files of data lie or are downloaded to.

        Raises:
            DataError: no file, a bad one, or rows that cannot be split as asked.
            ConfigError: a setting that does not fit the rows.
        """
        folder = Path(folder).resolve()
        table = self.table_of(folder)
        if self.label_noise and table.task != CLASSIFICATION:
            raise ConfigError(
                f"{table.source} is no classification ({table.task}), only that has wrong classes",
                key="dataset.label_noise", got=self.label_noise, cure="give 0",
            )  # fmt: skip
        if table.splits is None and self.split_seed is None:
            return self._prepare(table, self.split_rows(table, seed), seed)
        if folder not in self._shared:  # one object for all seeds: a stack holds its rows once
            shared_seed = self.split_seed or 0
            splits = self.split_rows(table, shared_seed)
            self._shared[folder] = self._prepare(table, splits, shared_seed)
        return self._shared[folder]

    def split_rows(self, table: Table, seed: int) -> Splits:
        """The rows of the training, validation and test split of a run with this seed.

        Args:
            table: of `table_of`.
            seed: the run's.
        """
        return self._splitter(table).split(seed if self.split_seed is None else self.split_seed)

    def training_rows(self, seed: int, folder: Path) -> int:
        """How many rows the training split of a run with this seed has.

        Raises:
            DataError, ConfigError: as `load`.
        """
        key = Path(folder).absolute(), seed if self.split_seed is None else self.split_seed
        if key not in self._counts:  # every job of a sweep asks
            self._counts[key] = self._splitter(self.table_of(folder)).training_rows(key[1])
        return self._counts[key]

    def _splitter(self, table: Table) -> Splitter:
        return Splitter(
            table,
            table.name or self.name,
            validation=self.validation,
            test=self.test,
            train_size=self.train_size,
            together=self.repeats == TOGETHER,
            balanced=self.resampling == BALANCED,
            test_rest=self.test_rest,
            test_seed=self.test_seed,
        )

    def _prepare(self, table: Table, splits: Splits, seed: int) -> Data:
        """Preprocess as the training rows tell, and them alone."""
        train, validation, test = splits
        remarks = (*table.remarks, *self._splitter(table).remarks())
        if self.label_noise:
            wrong = with_wrong_classes(table, (train, validation), self.label_noise, seed)
            table = replace(table, targets=wrong)
        preparation = Preparation.fit(table, self.preprocessing(table), train)
        weights = table.weights
        if weights is not None:
            weights = scaled(weights, train, table.source)

        def split(rows: Rows) -> Split:
            numbers = rows if table.row_numbers is None else table.row_numbers[rows]
            return Split(
                inputs=preparation.inputs(table.inputs[rows], numbers),
                targets=preparation.targets(table.targets[rows], numbers),
                rows=numbers,
                weights=None if weights is None else torch.tensor(weights[rows], dtype=torch.float),
            )

        return Data(
            train=split(train),
            validation=split(validation),
            test=split(test),
            task=table.task,
            classes=table.classes,
            features=preparation.features,
            checksum=table.checksum,
            name=table.name or self.name,
            source=table.source,
            target_scale=preparation.target_scale,
            naive=table.naive,
            shared_split=table.splits is not None or self.split_seed is not None,
            remarks=remarks,
            summary=tuple(f"{table.name or self.name}: {line}" for line in table.summary),
            preparation=preparation,
            target_names=table.target_names,
        )
