"""What holds for every dataset: splits, preprocessing on training rows alone, ranges."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pytest
import torch

from regexp.dataset.base import (
    Data,
    DataError,
    Dataset,
    Table,
    TargetScale,
    array_checksum,
)
from regexp.dataset.lazy import ArrayImages
from regexp.dataset.splitting import Splitter
from tests.dataset.made import config_of


@dataclass(frozen=True, kw_only=True)
class Toy(Dataset):
    """Rows whose only input is their number, 0 to n - 1, so that a split shows which it took."""

    name: ClassVar[str] = "toy"
    counts: tuple[int, ...]

    def read(self, folder: Path) -> Table:
        labels = np.repeat(np.arange(len(self.counts)), self.counts)
        return Table(
            inputs=np.arange(len(labels), dtype=float)[:, None],
            targets=labels,
            columns=("row",),
            classes=tuple("abc"[: len(self.counts)]),
            checksum=array_checksum([labels]),
            source="toy.csv",
        )

    def preprocessing(self, table: Table) -> Any:
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer(feature_names_out="one-to-one")


def toy(counts: tuple[int, ...] = (100, 60, 40), kind: type[Toy] = Toy, **overrides: Any) -> Toy:
    return kind(
        **{
            "validation": 0.2,
            "test": 0.25,
            "train_size": None,
            "split_seed": None,
            "label_noise": 0,
            "repeats": "together",
            "counts": counts,
            **overrides,
        }
    )


def rows(data: Data, split: str) -> set[int]:
    return {int(row) for row in getattr(data, split).inputs.flatten()}


def same(first: Data, second: Data, *splits: str) -> bool:
    return all(
        torch.equal(getattr(first, split).inputs[:], getattr(second, split).inputs[:])
        and torch.equal(getattr(first, split).targets, getattr(second, split).targets)
        for split in splits
    )


def test_splits_are_disjoint_and_hold_every_row(tmp_path):
    data = toy().load(0, tmp_path)
    splits = [rows(data, split) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [110, 40, 50]
    assert set.union(*splits) == set(range(200))


@pytest.mark.parametrize("seed", range(5))
def test_splits_are_stratified(seed, tmp_path):
    data = toy(train_size=20).load(seed, tmp_path)
    for split, counts in {
        "train": [10, 6, 4],
        "validation": [20, 12, 8],
        "test": [25, 15, 10],
    }.items():
        assert torch.bincount(getattr(data, split).targets).tolist() == counts


def test_splits_are_keyed_by_the_seed(dataset, tmp_path):
    first = dataset.load(3, tmp_path)
    assert same(first, replace(dataset).load(3, tmp_path), "train", "validation", "test")
    other = dataset.load(4, tmp_path)
    table = dataset.read(tmp_path)
    if table.splits is not None:
        assert other is first  # split by what the data tell
        return
    for split in ("train", "validation", "test"):
        if split == "test" and table.held_out is not None:
            assert np.array_equal(first.test.rows, other.test.rows)
        else:
            assert not same(first, other, split)


def test_split_seed_gives_every_run_the_split_of_that_seed(tmp_path):
    dataset = toy(split_seed=5, train_size=40)
    first, other = dataset.load(0, tmp_path), dataset.load(1, tmp_path)
    assert other is first  # a stack holds the rows of its runs once
    assert same(first, toy(train_size=40).load(5, tmp_path), "train", "validation", "test")


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_label_noise_makes_the_share_of_training_and_validation_labels_wrong(share, tmp_path):
    clean, noisy = toy().load(2, tmp_path), toy(label_noise=share).load(2, tmp_path)
    assert same(clean, noisy, "test")
    for split, count in {"train": 110, "validation": 40}.items():
        before, after = getattr(clean, split), getattr(noisy, split)
        assert torch.equal(before.inputs[:], after.inputs[:])
        assert int((before.targets != after.targets).sum()) == round(share * count)
        assert set(after.targets.tolist()) <= {0, 1, 2}


def test_wrong_labels_are_each_other_class_as_often_and_nested(tmp_path):
    counts = (3000, 3000, 3000)
    clean, some, more = (
        toy(counts, label_noise=share).load(2, tmp_path).train.targets for share in (0, 0.3, 0.6)
    )
    wrong = some != clean
    assert torch.equal(some[wrong], more[wrong])
    steps = torch.bincount((more - clean) % 3, minlength=3)[1:]
    assert abs(int(steps[0] - steps[1])) < 4 * steps.sum().sqrt()
    other = toy(counts, label_noise=0.3).load(3, tmp_path).train.targets
    assert not torch.equal(other, some)


def test_label_noise_of_a_regression_is_refused(tmp_path):
    from regexp.dataset.bundled import Diabetes

    dataset = Diabetes(validation=0.2, test=0.2, train_size=None, split_seed=None, label_noise=0.1,
                       repeats="together")  # fmt: skip
    with pytest.raises(
        ValueError, match=r"dataset.label_noise=0.1: .* no classification \(regression\)"
    ):
        dataset.load(0, tmp_path)


def test_train_size_takes_from_the_training_split_alone(tmp_path):
    whole = toy().load(1, tmp_path)
    for size in (3, 50, 109, 110):
        part = toy(train_size=size).load(1, tmp_path)
        assert len(part.train) == len(rows(part, "train")) == size
        assert rows(part, "train") <= rows(whole, "train")
        assert same(part, whole, "validation", "test")


def test_training_rows_are_counted_before_they_are_loaded(dataset, tmp_path):
    for each in (dataset, replace(dataset, train_size=32)):  # a row of each class, of 31 at most
        for seed in (0, 1, 0):
            counted = each.training_rows(seed, tmp_path)
            assert counted == len(each.load(seed, tmp_path).train)


class Grouped(Toy):
    """The same rows in groups of 7 to 26, so that seeds differ in how many they train on."""

    def read(self, folder: Path) -> Table:
        groups = np.repeat(np.arange(12), [*range(7, 29, 2), 13])
        order = np.random.default_rng(0).permutation(len(groups))
        return replace(super().read(folder), groups=groups[order])


@pytest.mark.parametrize("overrides", [{}, {"split_seed": 3}, {"train_size": 30}])
def test_training_rows_are_counted_once_where_seeds_differ_in_them(overrides, tmp_path):
    each = toy(kind=Grouped, **overrides)
    loaded = [len(each.load(seed, tmp_path).train) for seed in range(6)]
    assert (len(set(loaded)) > 1) is (not overrides)
    with mock.patch.object(Splitter, "split", autospec=True, side_effect=Splitter.split) as split:
        for _ in range(3):  # jobs
            assert [each.training_rows(seed, tmp_path) for seed in range(6)] == loaded
    assert split.call_count == (1 if "split_seed" in overrides else 6)


def test_train_size_beyond_the_training_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dataset.train_size: 111 rows .* has 110"):
        toy(train_size=111).load(0, tmp_path)


def with_other_numbers(table: Table, rows: Any) -> Table:
    """The table with other numbers in some of its rows; categories stay what they are."""
    if isinstance(table.inputs, ArrayImages):
        array = table.inputs.array.copy()
        array[rows] = 255 - array[rows] // 3
        return replace(table, inputs=ArrayImages(array))
    assert isinstance(table.inputs, np.ndarray)
    inputs = table.inputs.copy()
    numeric = [place for place, name in enumerate(table.columns) if name not in table.levels]
    inputs[np.ix_(rows, numeric)] = inputs[np.ix_(rows, numeric)][::-1] / 3
    targets = table.targets.copy()
    if table.standardize_targets:
        targets[rows] *= 3
    return replace(table, inputs=inputs, targets=targets)


def test_preprocessing_sees_training_rows_alone(dataset, tmp_path, monkeypatch):
    """Other numbers in the validation and test rows leave the training tensors as they are."""
    table = dataset.read(tmp_path)
    if table.splits is not None:
        pytest.skip("a series reads by time: see test_series.py")
    dataset = replace(dataset, repeats="apart")  # which inputs are equal moves splits
    before = dataset.load(0, tmp_path)
    _, validation, test = dataset.split_rows(table, 0)

    changed = with_other_numbers(table, np.concatenate([validation, test]))
    monkeypatch.setattr(type(dataset), "read", lambda *_: changed)
    after = replace(dataset).load(0, tmp_path)
    assert same(before, after, "train")
    assert before.features == after.features
    assert before.target_scale == after.target_scale
    assert not torch.equal(before.test.inputs[:], after.test.inputs[:])


def test_tensors(dataset, tmp_path):
    data = dataset.load(0, tmp_path)
    for split in (data.train, data.validation, data.test):
        inputs = split.inputs[:]
        assert inputs.dtype == torch.float32
        assert inputs.shape == split.inputs.shape
        assert len(split) == len(inputs) == len(split.targets)
        assert inputs[0].numel() == len(data.features) == len(set(data.features))
        assert torch.isfinite(inputs).all()
        if data.task == "classification":
            assert split.targets.dtype == torch.int64
            assert split.targets.shape == (len(split),)
            assert set(split.targets.tolist()) == set(range(len(data.classes)))
        else:
            assert split.targets.dtype == torch.float32
            assert split.targets.ndim == 2
            assert data.classes == ()
    assert data.name
    assert len(data.checksum) == 64


def test_the_table_is_read_once(tmp_path, monkeypatch):
    reads = []
    read = Toy.read

    def count(self, folder):
        reads.append(folder)
        return read(self, folder)

    monkeypatch.setattr(Toy, "read", count)
    dataset = toy()
    for seed in range(3):
        dataset.load(seed, tmp_path)
    assert len(reads) == 1


def test_numbers_live_in_yaml_alone(dataset, choice):
    """No number has a default, and the YAML names each of them."""
    own = [item for item in fields(dataset) if item.init]
    # classes that are made in Python may know nothing of them
    later = ("group", "split", "resampling", "test_rest", "test_seed")
    for item in own:
        assert item.default is (Dataset.EARLIER[item.name] if item.name in later else MISSING)
        assert item.default_factory is MISSING
    assert {item.name for item in own} == set(config_of(choice)) - {"_target_"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"validation": 0}, "dataset.validation: expected a share"),
        ({"validation": 1.2}, "dataset.validation: expected a share"),
        ({"test": -0.1}, "dataset.test: expected a share"),
        ({"test": "0.2"}, "dataset.test: expected a share"),
        ({"test": float("nan")}, "dataset.test: expected a share"),
        ({"validation": 0.5, "test": 0.5}, r"validation \+ dataset.test: .* below 1"),
        ({"train_size": 0}, "dataset.train_size: expected a whole number"),
        ({"train_size": 10.5}, "dataset.train_size: expected a whole number"),
        ({"train_size": True}, "dataset.train_size: expected a whole number"),
        ({"split_seed": -1}, "dataset.split_seed: expected a whole number"),
        ({"test_seed": -1}, "dataset.test_seed: expected a whole number"),
        ({"label_noise": 1}, "dataset.label_noise: expected a share"),
        ({"label_noise": -0.1}, "dataset.label_noise: expected a share"),
        ({"repeats": True}, "dataset.repeats: expected 'together' or 'apart', got True"),
        ({"resampling": "fair"}, "resampling: expected 'balanced' or 'independent', got 'fair'"),
        ({"test_rest": 1}, "dataset.test_rest: expected true or false, got 1"),
        ({"split_seed": 0.5}, "dataset.split_seed: expected a whole number"),
    ],
)
def test_impossible_numbers_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        toy(**overrides)


@pytest.mark.parametrize(
    ("counts", "overrides", "message"),
    [
        ((50,), {}, r"toy.csv: all of its 50 rows are of one class \('a'\)"),
        ((50, 2), {}, "class 'b' has 2 row"),
        (
            (90, 3),
            {"test": 0.1},
            r"class 'b' .* gets none of .* the test split; raise dataset.test",
        ),
        ((50, 50), {"test": 0.001}, "^dataset.test=0.001: of the 100 rows"),
        ((50, 50, 50), {"test": 0.01}, "^dataset.test=0.01: of the 150 rows"),
        ((50, 50, 50), {"train_size": 2}, "^dataset.train_size=2: class .* raise"),
    ],
)
def test_too_few_rows_are_refused(counts, overrides, message, tmp_path):
    with pytest.raises(DataError, match=message):
        toy(counts, **overrides).load(0, tmp_path)


def test_array_checksum_sees_values_types_and_shapes():
    array = np.arange(6)
    others = [array[::-1], array.astype(float), array.reshape(2, 3)]
    checksums = {array_checksum([other]) for other in [array, array.copy(), *others]}
    assert len(checksums) == 4


def test_target_scale_leads_back_to_the_targets_unit():
    targets = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    scale = TargetScale.fit(targets)
    assert scale.mean == (3.0, 5.0)
    assert np.allclose(scale.scale, (np.sqrt(14 / 3), 1))  # a constant is left unscaled
    scaled = scale.apply(targets)
    assert np.allclose(scaled * np.array(scale.scale) + np.array(scale.mean), targets)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, 12345.678])
def test_equal_targets_are_not_scaled_by_what_rounding_leaves(value):
    targets = np.full((37, 1), value)
    assert TargetScale.fit(targets) == TargetScale((value,), (1.0,))


def test_a_column_of_equal_values_stays_a_column_of_zeros_beside_others():
    targets = np.stack([np.full(37, 0.1), np.arange(37.0)], axis=1)
    scaled = TargetScale.fit(targets).apply(targets)
    assert not scaled[:, 0].any()
    assert scaled[:, 1].std() == pytest.approx(1)
