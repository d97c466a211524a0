"""A test split that the data tell: held against the numbers that are the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from regexp.dataset.base import Data, DataError, Dataset, Table
from regexp.errors import ConfigError
from tests.dataset.made import config_of

TESTED = np.array([3, 50, 51, 52, 99])


@dataclass(frozen=True, kw_only=True)
class HeldOut(Dataset):
    """100 rows, each its own number, of three classes; five of them are the test."""

    name: ClassVar[str] = "held_out"

    def read(self, folder: Path) -> Table:
        rows = np.arange(100.0)[:, None]
        return Table(
            inputs=rows,
            targets=np.arange(100) % 3,
            columns=("row",),
            classes=("a", "b", "c"),
            checksum="",
            source="here",
            held_out=TESTED,
        )

    def preprocessing(self, table: Table) -> None:
        return


class Repeated(HeldOut):
    """The same with repeats: 0 and 1 among those that are split, 2 of 50, which is in the test."""

    def read(self, folder: Path) -> Table:
        table = super().read(folder)
        inputs = np.asarray(table.inputs).copy()
        inputs[1], inputs[2], inputs[4] = inputs[0], inputs[50], inputs[0]
        return replace(table, inputs=inputs)


def held_out(kind: type[HeldOut] = HeldOut, **overrides: Any) -> HeldOut:
    common = {key: value for key, value in config_of("iris").items() if key != "_target_"}
    return kind(**{**common, **overrides})


def rows(data: Data, split: str) -> list[int]:
    found: torch.Tensor = getattr(data, split).rows
    return sorted(int(row) for row in found)


def test_the_test_split_is_that_of_the_data_and_the_seed_splits_the_others(tmp_path):
    first, other = (held_out(test=0.7).load(seed, tmp_path) for seed in (0, 1))
    for data in (first, other):
        assert data.test.rows is TESTED
        assert data.test.inputs[:].flatten().tolist() == TESTED.tolist()
        assert len(data.validation) == 19  # a fifth of the 95 others
        every = [*rows(data, "train"), *rows(data, "validation"), *TESTED]
        assert sorted(every) == list(range(100))
        assert torch.bincount(data.validation.targets).tolist() in ([7, 6, 6], [6, 7, 6], [6, 6, 7])
        assert not data.shared_split
    assert rows(first, "validation") != rows(other, "validation")


def test_settings_of_the_others_do_what_they_do_elsewhere(tmp_path):
    whole = held_out().load(5, tmp_path)
    few = held_out(train_size=12).load(5, tmp_path)
    assert set(rows(few, "train")) < set(rows(whole, "train"))
    assert rows(few, "validation") == rows(whole, "validation")
    for dataset, count in ((held_out(), 76), (held_out(train_size=12), 12)):
        assert dataset.training_rows(5, tmp_path) == len(dataset.load(5, tmp_path).train) == count
    same = held_out(split_seed=5)
    assert same.load(0, tmp_path) is same.load(1, tmp_path)
    assert rows(same.load(0, tmp_path), "train") == rows(whole, "train")
    assert same.load(0, tmp_path).shared_split


def test_equal_rows_stay_together_but_for_those_of_the_test(tmp_path):
    for seed in range(20):
        dataset = held_out(Repeated)
        data = dataset.load(seed, tmp_path)
        assert data.test.rows is TESTED
        assert len({0, 1, 4} & set(rows(data, "validation"))) in (0, 3)
        assert len(data.validation) == 19
        assert dataset.training_rows(seed, tmp_path) == len(data.train)
    tested, repeated = data.remarks
    assert "1 of 5 test rows have the inputs of a training or validation row" in tested
    assert "2 of 95 rows repeat the inputs of an earlier one" in repeated


def test_a_column_can_say_groups_and_no_other_split(tmp_path):
    table = replace(held_out().read(tmp_path), extra={"of": np.arange(100) // 4})

    class Grouped(HeldOut):
        def read(self, folder: Path) -> Table:
            return table

    for seed in range(5):
        data = held_out(Grouped, group="of").load(seed, tmp_path)
        assert data.test.rows is TESTED
        groups = [{row // 4 for row in rows(data, split)} for split in ("train", "validation")]
        assert not groups[0] & groups[1]
    with pytest.raises(ConfigError, match=r"dataset.split=of: here says by itself"):
        held_out(Grouped, split="of").load(0, tmp_path)


def test_a_class_needs_a_row_for_training_and_one_for_validation(tmp_path):
    class Rare(HeldOut):
        def read(self, folder: Path) -> Table:
            table = super().read(folder)
            targets = np.where(np.arange(100) < 50, 0, 1)
            targets[[7, 50, 51, 52]] = 2  # one of them to be split
            return replace(table, targets=targets)

    with pytest.raises(DataError, match=r"'c' has 1 row\(s\); training and validation split need"):
        held_out(Rare).load(0, tmp_path)
