"""Galaxy Zoo: leaking columns, engineered features, and the yardsticks on the real table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from regexp.dataset.galaxies import VOTES
from tests.dataset.made import galaxy_lines, make, real_folder, write

SUBSET = "gz1_table2_subset_6185.csv"


def galaxies(folder, lines=None, **overrides):
    write(folder / "galaxies.csv", galaxy_lines() if lines is None else lines)
    return make("galaxies", **{"file": "galaxies.csv", "sha256": None, **overrides})


@pytest.mark.parametrize("column", ["P_EL_DEBIASED", "P_CS_DEBIASED"])
def test_columns_that_leak_the_label_are_refused_with_the_reason(column):
    with pytest.raises(ValueError, match=rf"dataset.columns: {column} would leak the label: SPIR"):
        make("galaxies", columns=["P_EL", column])


def test_leaking_columns_can_be_asked_for(tmp_path):
    asked = {"columns": ["P_EL", "P_EL_DEBIASED"], "features": "raw", "allow_leakage": True}
    assert galaxies(tmp_path, **asked).load(0, tmp_path).features == ("P_EL", "P_EL_DEBIASED")


def test_flags_can_be_no_features_even_then():
    with pytest.raises(ValueError, match=r"dataset.columns: SPIRAL is the label"):
        make("galaxies", columns=["SPIRAL"], allow_leakage=True)


def test_raw_features_are_the_standardized_columns(tmp_path):
    data = galaxies(tmp_path, features="raw").load(0, tmp_path)
    assert data.features == VOTES
    assert data.classes == ("spiral", "elliptical", "uncertain")
    votes = np.array([line.split(",")[4:11] for line in galaxy_lines()[1:]], dtype=float)
    everything = torch.cat([data.train.inputs, data.validation.inputs, data.test.inputs])
    # Standardization keeps the order of each column.
    assert np.allclose(
        np.corrcoef(np.sort(everything.numpy(), axis=0).T, np.sort(votes, axis=0).T).diagonal(7), 1
    )


@pytest.mark.parametrize("train_size", [20, 60, None])
def test_every_seed_keeps_the_same_number_of_features(tmp_path, train_size):
    dataset = galaxies(tmp_path, train_size=train_size)
    assert {len(dataset.load(seed, tmp_path).features) for seed in range(10)} == {20}


def test_a_table_without_one_of_the_classes_is_a_task_without_it(tmp_path):
    lines = [line for line in galaxy_lines() if not line.endswith("1,0,0")]
    data = galaxies(tmp_path, lines).load(0, tmp_path)
    assert data.classes == ("elliptical", "uncertain")
    assert torch.bincount(data.test.targets).tolist() == [6, 12]


def test_real_table():
    """The real subset is found by the default settings, and its classes are counted."""
    data = make("galaxies").load(0, real_folder(SUBSET))
    if "subset" not in data.source:
        pytest.skip("the whole table lies there too and is taken first")
    targets = torch.cat([data.train.targets, data.validation.targets, data.test.targets])
    assert torch.bincount(targets).tolist() == [1662, 651, 3872]
    assert data.classes == ("spiral", "elliptical", "uncertain")
    assert data.checksum.startswith("b13691ee")


def accuracy(dataset, folder):
    """Mean test accuracy of logistic regression over five seeds."""
    scores = []
    for seed in range(5):
        data = dataset.load(seed, folder)
        model = LogisticRegression(max_iter=1000)
        model.fit(data.train.inputs.numpy(), data.train.targets.numpy())
        scores.append(model.score(data.test.inputs.numpy(), data.test.targets.numpy()))
    return float(np.mean(scores))


def test_galaxies_of_equal_votes_stay_together():
    folder, dataset = real_folder(SUBSET), make("galaxies", file=SUBSET)
    table = dataset.read(folder)
    votes = [tuple(row) for row in table.inputs]
    assert len(votes) - len(set(votes)) == 486
    train, validation, test = dataset.split_rows(table, 0)
    assert [len(rows) for rows in (train, validation, test)] == [3711, 1237, 1237]
    assert not {votes[row] for row in test} & {votes[row] for row in [*train, *validation]}


def test_yardsticks_on_the_real_table():
    """Seven raw votes 0.841; engineered features lose nothing; leaking columns add 4 points."""
    folder = real_folder(SUBSET)
    raw = accuracy(make("galaxies", file=SUBSET, features="raw"), folder)
    assert raw == pytest.approx(0.841, abs=0.01)
    assert accuracy(make("galaxies", file=SUBSET), folder) > raw - 0.005
    debiased = [*VOTES, "P_EL_DEBIASED", "P_CS_DEBIASED"]
    leaking = make("galaxies", file=SUBSET, features="raw", columns=debiased, allow_leakage=True)
    assert accuracy(leaking, folder) > raw + 0.03


def test_the_real_table_gives_twenty_features_for_ten_seeds():
    folder, dataset = real_folder(SUBSET), make("galaxies", file=SUBSET)
    features = [dataset.load(seed, folder).features for seed in range(10)]
    assert {len(names) for names in features} == {20}
    assert set(VOTES[:6]) <= set.intersection(*map(set, features))
