"""Ridge regressions that are really trained on splits of made-up rows, new for every sweep.

An arm, technique or baseline, is a choice of half of the features. All features matter alike, so
that no arm is better over tables. On the table at hand one may be, unless every run draws its
features by itself, as networks do initial weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.worlds.sweep import TEST, VALIDATION, Sweep
from regexp.compare.estimator import Design

FEATURES = 20
STRENGTHS = np.array([0.1, 1.0, 10.0, 100.0])  # of ridge, chosen on the validation rows
FOLDS = 5

Scores = NDArray[np.float64]
Rows = NDArray[np.int64]


def ridge(
    sweep: int,
    *,
    seed: int,
    techniques: int,
    seeds: int,
    rows: int,
    classify: bool = False,
    train_size: int | None = None,
    balanced: bool = False,
    one_split: bool = False,
    redrawn: bool = False,
) -> Sweep:
    """One sweep.

    Args:
        sweep: its number.
        seed: of the simulation.
        techniques, seeds: how many.
        rows: of the table.
        classify: score whether the sign is right, else the squared error.
        train_size: of the training rows; None for all. The others are tested as well.
        balanced: test folds are disjoint in blocks of five seeds, and so are training rows where
            they are few.
        one_split: for all seeds, which then draw training rows with replacement.
        redrawn: every run draws its features, so that arms are equal on the table too.
    """
    data, runs = (default_rng([seed, sweep, part]) for part in range(2))
    inputs = data.standard_normal((rows, FEATURES))
    values = inputs.sum(1) / np.sqrt(FEATURES) + data.standard_normal(rows)
    targets = np.sign(values) if classify else values
    features = _features(data, techniques + 1)
    differences, tested = [], []
    splits = _splits(data if one_split else runs, rows, seeds, balanced, one_split)
    test_rows = round(TEST * rows)
    for train, validation, test in splits:
        learned = train[:train_size]
        if one_split:
            learned = runs.choice(learned, len(learned))
        else:
            test = np.concatenate([test, train[len(learned) :]])
        if redrawn:
            features = _features(runs, techniques + 1)
        seen = inputs[:, features].transpose(1, 0, 2)  # [arms, rows, features]
        outputs = _fitted(seen, targets, learned, validation, test)
        right = np.sign(outputs) == targets[test]
        scores = right.astype(float) if classify else -np.square(outputs - targets[test])
        differences.append(scores[1:] - scores[0])
        tested.append(test)
    design = Design(rows, len(learned), len(validation), one_split)
    return Sweep(np.stack(differences, 1), np.stack(tested), design, test_rows)


def _splits(
    rng: Generator, rows: int, seeds: int, balanced: bool, one_split: bool
) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Training, validation and test rows of every seed."""
    test, validation = round(TEST * rows), round(VALIDATION * rows)
    order = rng.permutation(rows)
    for seed in range(seeds):
        fold = seed % FOLDS
        if balanced:
            turned = np.roll(order, -round(fold * rows / FOLDS))
        else:
            turned = order
        train, held_out, tested = np.split(turned, (rows - validation - test, rows - test))
        yield train, held_out, tested
        if not one_split and (not balanced or fold == FOLDS - 1):
            order = rng.permutation(rows)


def _features(rng: Generator, arms: int) -> Rows:
    """Half of the features for each arm, [arms, features]."""
    return np.stack([rng.choice(FEATURES, FEATURES // 2, replace=False) for _ in range(arms)])


def _fitted(inputs: Scores, targets: Scores, train: Rows, validation: Rows, test: Rows) -> Scores:
    """Outputs [arms, test rows] of the ridge regression that is best on the validation rows.

    Args:
        inputs: [arms, rows, features].
        targets: [rows].
        train, validation, test: rows.
    """
    x = inputs[:, train]
    turned = x.transpose(0, 2, 1)
    penalty = STRENGTHS[:, None, None] * np.eye(x.shape[2])
    square = (turned @ x)[:, None] + penalty  # [arms, strengths, features, features]
    right = (turned @ targets[train])[:, None, :, None]
    weights = np.linalg.solve(square, right)[..., 0]  # [arms, strengths, features]
    outputs = inputs[:, validation] @ weights.transpose(0, 2, 1)  # [arms, rows, strengths]
    best = np.square(outputs - targets[validation, None]).mean(1).argmin(1)
    return np.asarray((inputs[:, test] @ weights[np.arange(len(weights)), best, :, None])[..., 0])
