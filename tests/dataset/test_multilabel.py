"""Several labels a row: asked for, read, and split, held against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from regexp.dataset.base import MULTILABEL, REGRESSION, DataError, Table
from regexp.dataset.splitting import Splitter
from regexp.errors import ConfigError
from tests.dataset.test_cures import cures, dataset

LABELS = ["sport", "money", "art"]
ASKED = f"dataset.target=[{','.join(LABELS)}]"


def made(rows: int = 200) -> pd.DataFrame:
    """Inputs `a`, `b` and three labels of different frequency, which may come together."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(rows, 2))
    labels = (random.random((rows, 3)) < [0.5, 0.3, 0.2]).astype(int)
    return pd.DataFrame(
        np.concatenate([inputs, labels], axis=1), columns=["a", "b", *LABELS]
    ).astype(dict.fromkeys(LABELS, int))


def write(folder, frame):
    frame.to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def read(path, *overrides):
    return dataset(path, ASKED, *overrides).load(0, path.parent)


def test_several_targets_of_0_and_1_are_asked_about_and_both_cures_work(tmp_path):
    path = write(tmp_path, made())
    with pytest.raises(DataError, match="'sport', 'money', 'art' are 0 or 1 in every row") as told:
        read(path)
    labels, numbers = (read(path, cure) for cure in cures(str(told.value)))
    assert (labels.task, labels.classes) == (MULTILABEL, tuple(LABELS))
    assert (numbers.task, numbers.classes) == (REGRESSION, ())
    expected = made()[LABELS].to_numpy(dtype=np.float32)
    assert labels.train.targets.dtype == torch.float32
    assert labels.target_scale is None
    for split in (labels.train, labels.validation, labels.test):
        assert np.array_equal(split.targets.numpy(), expected[split.rows])
    assert numbers.target_scale is not None


@pytest.mark.parametrize("kind", ["truth", "floats", "parquet"])
def test_true_and_false_are_labels_too(kind, tmp_path):
    plain = read(write(tmp_path, made()), "dataset.task=multilabel")
    frame = made()
    frame[LABELS] = frame[LABELS].astype(float if kind == "floats" else bool)
    path = write(tmp_path, frame)
    if kind == "parquet":
        path = tmp_path / "mine.parquet"
        frame.to_parquet(path)
    other = read(path, "dataset.task=multilabel")
    assert other.classes == plain.classes
    assert torch.equal(other.test.targets, plain.test.targets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"art": 2}, r"target 'art' says not of every row .*, but has 2$"),
        ({"money": "no"}, r"target 'money' says not .* but has 'no'$"),
        ({"sport": 1}, "all of its 200 rows have the target 1 of the label 'sport'"),
    ],
)
def test_what_is_no_label_is_refused(change, message, tmp_path):
    path = write(tmp_path, made().assign(**change))
    with pytest.raises(DataError, match=message):
        read(path, "dataset.task=multilabel")


def test_one_label_is_a_classification(tmp_path):
    path = write(tmp_path, made())
    alone = ("dataset.target=sport", "dataset.task=multilabel")
    with pytest.raises(DataError, match="got 'sport' alone") as told:
        dataset(path, *alone).load(0, tmp_path)
    assert dataset(path, *alone, *cures(str(told.value))).load(0, tmp_path).classes == ("0", "1")


def test_wrong_classes_are_those_of_a_classification(tmp_path):
    path = write(tmp_path, made())
    with pytest.raises(ConfigError, match=r"no classification \(multilabel\)"):
        read(path, "dataset.task=multilabel", "dataset.label_noise=0.1")


def test_a_number_beside_labels_makes_a_regression(tmp_path):
    path = write(tmp_path, made().assign(art=[row / 4 for row in range(200)]))
    assert read(path).task == REGRESSION


def splitter(labels, **shares):
    table = Table(
        inputs=np.arange(len(labels), dtype=float)[:, None],
        targets=labels.astype(np.float32),
        columns=("a",),
        classes=tuple(LABELS),
        checksum="",
        source="made",
        task=MULTILABEL,
    )
    given = {"validation": 0.2, "test": 0.2, "train_size": None, **shares}
    return Splitter(table, "made", **given, together=True)


@pytest.mark.parametrize("seed", range(5))
def test_common_combinations_of_labels_are_in_every_split_by_their_share(seed):
    labels = made(300)[LABELS].to_numpy()
    combinations, counts = np.unique(labels, axis=0, return_counts=True)
    for rows, share in zip(splitter(labels).split(seed), (0.6, 0.2, 0.2), strict=True):
        assert len(rows) == share * 300
        for combination, count in zip(combinations, counts, strict=True):
            found = (labels[rows] == combination).all(axis=1).sum()
            assert count < 10 or abs(found - share * count) < 2


@pytest.mark.parametrize("shares", [{}, {"test": 0.9, "validation": 0.05}, {"train_size": 7}])
@pytest.mark.parametrize("rare", [0, 1, 2, 30])
def test_rare_combinations_are_split_all_the_same(rare, shares):
    """Alone in their combination, which scikit-learn would refuse to stratify by."""
    columns = np.concatenate([np.eye(3, dtype=int)] * 20 + [np.ones((60, 3), dtype=int)])
    columns[:rare] = [[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]][0]
    columns[: rare // 2] = [1, 1, 0]
    splits = splitter(columns, **shares).split(0)
    together = np.concatenate(splits)
    assert len(np.unique(together)) == len(together)
    assert len(together) == 120 or "train_size" in shares
