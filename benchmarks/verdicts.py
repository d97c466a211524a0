"""`python -m benchmarks.verdicts`: how often a verdict is wrong, and how often it finds an effect.

Sweeps of 16 techniques and a baseline are simulated and judged by `regexp.compare` as real ones.
First no technique helps: how many sweeps claim that one does? Then one technique is better by the
difference of which a verdict on the same data has said that it would have been seen: how many
sweeps see it?

Scores come from random numbers, correlated as overlapping splits make them or with heavy and skewed
tails, and from ridge regressions that are really trained on splits of made-up data, new for every
sweep. An arm of such a sweep, technique or baseline, is a choice of half of the features; all
features matter alike, so no arm is better on average over data, though one may be on those at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import make_parser, one_thread

one_thread()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from numpy.random import Generator, default_rng  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from regexp.compare.statistics import ALPHA, compare_family, holm, overlap_of, p_value  # noqa: E402
from regexp.compare.verdict import outcome  # noqa: E402

Scores = NDArray[np.float64]
"""[arms, seeds]; the first arm is the baseline."""

Rows = NDArray[np.int64]

Draw = Callable[[Generator, Generator, int, int], Scores]
"""From generators for what belongs to the data and to the runs, numbers of arms and seeds. No arm
is better than another on average."""

TEST, VALIDATION = 0.2, 0.2  # of the rows, as in conf/dataset
OVERLAP = overlap_of(TEST, VALIDATION)
FEATURES = 20
STRENGTHS = np.array([0.1, 1.0, 10.0, 100.0])  # of ridge, chosen on the validation rows


@dataclass(frozen=True)
class World:
    """Where scores come from.

    Attributes:
        name: for people.
        draw: the scores of a sweep.
        seeds: of every arm.
        overlap: as for `compare`; None where all seeds share one split.
        lower_is_better: whether the scores are errors.
    """

    name: str
    draw: Draw
    seeds: int
    overlap: float | None
    lower_is_better: bool = False

    def sweep(
        self, data: Generator, runs: Generator, techniques: int, effect: float = 0.0
    ) -> pd.DataFrame:
        """The comparison of one sweep, whose first technique is better by `effect`."""
        scores = self.draw(data, runs, techniques + 1, self.seeds)
        scores[1] += -effect if self.lower_is_better else effect
        baseline, *others = map(pd.Series, scores)
        return compare_family(
            {arm: (other, baseline) for arm, other in enumerate(others)},
            overlap=self.overlap,
            lower_is_better=self.lower_is_better,
        )

    def outcomes(self, compared: pd.DataFrame) -> list[str]:
        """The verdicts in a word."""
        rows = (row for _, row in compared.iterrows())
        return [outcome(row, lower_is_better=self.lower_is_better) for row in rows]


def numbers(
    data: Generator,
    runs: Generator,
    arms: int,
    seeds: int,
    *,
    overlap: float = 0.0,
    tails: str = "normal",
) -> Scores:
    """Random scores; differences correlate by overlap / (1 + overlap), as those of splits do."""
    shape = (arms, seeds)
    match tails:
        case "heavy":
            own = runs.standard_t(3, shape)
        case "skewed":
            own = runs.exponential(1.0, shape)
        case "skewed techniques":  # and a baseline that never varies: nothing cancels
            own = runs.exponential(1.0, shape)
            own[0] = 1.0
        case _:
            own = runs.standard_normal(shape)
    of_arm = np.sqrt(overlap) * data.standard_normal((arms, 1))
    of_seed = 3 * runs.standard_normal(seeds)  # cancels in the differences
    return np.asarray(own + of_arm + of_seed)


def ridge(
    data: Generator,
    runs: Generator,
    arms: int,
    seeds: int,
    *,
    rows: int,
    classify: bool = False,
    train_size: int | None = None,
    one_split: bool = False,
    arms_differ: bool = True,
) -> Scores:
    """Test scores of ridge regressions.

    Args:
        data: where the rows and the arms' features come from, and the split if there is one.
        runs: where the splits come from, and what the seeds draw beside them.
        arms, seeds: of the sweep.
        rows: of the data.
        classify: score the share of signs that are right, else the mean squared error.
        train_size: of the training rows; None for all.
        one_split: for all seeds; they then draw something else.
        arms_differ: an arm has the same features for every seed, and with one split the seeds
            draw training rows with replacement. Else every run draws its features by itself, as
            networks do initial weights, so that arms are equal on the data at hand too.
    """
    inputs = data.standard_normal((rows, FEATURES))
    values = inputs.sum(1) / np.sqrt(FEATURES) + data.standard_normal(rows)
    targets = np.sign(values) if classify else values
    cuts = (round((1 - TEST - VALIDATION) * rows), round((1 - TEST) * rows))
    split = np.split(data.permutation(rows), cuts)
    features = _features(data, arms)
    scores = np.empty((arms, seeds))
    for seed in range(seeds):
        train, validation, test = split if one_split else np.split(runs.permutation(rows), cuts)
        train = train[:train_size]
        if not arms_differ:
            features = _features(runs, arms)
        elif one_split:
            train = runs.choice(train, len(train))
        seen = inputs[:, features].transpose(1, 0, 2)  # [arms, rows, features]
        outputs = _fitted(seen, targets, train, validation)[:, test]
        right = np.sign(outputs) == targets[test]
        losses = right if classify else np.square(outputs - targets[test])
        scores[:, seed] = losses.mean(1)
    return scores


def _features(rng: Generator, arms: int) -> Rows:
    """Half of the features for each arm, [arms, features]."""
    return np.stack([rng.choice(FEATURES, FEATURES // 2, replace=False) for _ in range(arms)])


def _fitted(inputs: Scores, targets: Scores, train: Rows, validation: Rows) -> Scores:
    """Outputs [arms, rows] of the ridge regression that is best on the validation rows.

    Args:
        inputs: [arms, rows, features].
        targets: [rows].
        train, validation: rows.
    """
    x = inputs[:, train]
    turned = x.transpose(0, 2, 1)
    penalty = STRENGTHS[:, None, None] * np.eye(x.shape[2])
    square = (turned @ x)[:, None] + penalty  # [arms, strengths, features, features]
    right = (turned @ targets[train])[:, None, :, None]
    weights = np.linalg.solve(square, right)[..., 0]  # [arms, strengths, features]
    outputs = inputs[:, validation] @ weights.transpose(0, 2, 1)  # [arms, rows, strengths]
    best = np.square(outputs - targets[validation, None]).mean(1).argmin(1)
    return np.asarray((inputs @ weights[np.arange(len(weights)), best, :, None])[..., 0])


def worlds() -> list[World]:
    """Worlds in which the verdict must be right."""
    found = []
    for seeds in (3, 5, 10, 20):
        draw = partial(numbers, overlap=OVERLAP)
        found.append(World("normal, correlated as splits are", draw, seeds, OVERLAP))
    for rows, seeds in ((60, 10), (150, 5), (150, 10), (150, 20), (600, 10)):
        name = f"ridge, {rows} rows, error"
        found.append(World(name, partial(ridge, rows=rows), seeds, OVERLAP, True))
    draw = partial(ridge, rows=600, train_size=50)
    found.append(World("ridge, 50 of 360 training rows, error", draw, 10, OVERLAP, True))
    for rows, seeds in ((60, 3), (60, 10), (150, 10), (600, 10)):
        draw = partial(ridge, rows=rows, classify=True)
        found.append(World(f"ridge, {rows} rows, accuracy", draw, seeds, OVERLAP))
    for tails in ("normal", "heavy", "skewed"):
        found.append(World(f"{tails}, one split", partial(numbers, tails=tails), 10, None))
    equal = partial(ridge, rows=150, one_split=True, arms_differ=False)
    found.append(World("ridge, 150 rows, one split, error", equal, 10, None, True))
    equal = partial(equal, classify=True)
    found.append(World("ridge, 150 rows, one split, accuracy", equal, 10, None))
    return found


def beyond() -> list[World]:
    """Worlds in which the verdict is wrong, as they are not what it speaks of."""
    chance = partial(ridge, rows=150, one_split=True)
    skewed = partial(numbers, tails="skewed techniques")
    return [
        World("one split, read as if about other data (ridge)", chance, 10, None, True),
        World("skewed techniques, constant baseline", skewed, 10, None),
        World("the same, lower is better", skewed, 10, None, True),
    ]


def errors(world: World, techniques: int, sweeps: int, seed: int) -> dict[str, float]:
    """Shares of sweeps with a false claim.

    Returns:
        `helps`: some technique is said to help. `any`: to help or to hurt. `plain`: the same by
        paired t-tests that know nothing of overlap. `single`: by the right tests without Holm's
        correction.
    """
    counts = dict.fromkeys(("helps", "any", "plain", "single"), 0)
    for sweep in range(sweeps):
        data, runs = (default_rng([seed, sweep, part]) for part in range(2))
        compared = world.sweep(data, runs, techniques)
        found = world.outcomes(compared)
        counts["helps"] += "helps" in found
        counts["any"] += "helps" in found or "hurts" in found
        counts["single"] += bool((compared["p"] < ALPHA).any())
        error = compared["sd"] / np.sqrt(compared["pairs"])
        plain = holm(p_value(compared["mean"], error, compared["pairs"]))
        counts["plain"] += bool((plain < ALPHA).any())
    return {name: count / sweeps for name, count in counts.items()}


def power(world: World, techniques: int, sweeps: int, seed: int) -> float:
    """Share of sweeps that say that the first technique helps, which it does.

    It is better by the difference that would have been seen, as another sweep on the same data
    says from its own spread.
    """
    count = 0
    for sweep in range(sweeps):
        silent, found = (
            (default_rng([seed, sweep, 0]), default_rng([seed, sweep, part])) for part in (1, 2)
        )
        effect = float(world.sweep(*silent, techniques)["detectable"].iloc[0])
        if np.isfinite(effect):
            compared = world.sweep(*found, techniques, effect)
            count += world.outcomes(compared)[0] == "helps"
    return count / sweeps


def main(arguments: list[str] | None = None) -> None:
    """Print both tables, in Markdown."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated for each row")
    parser.add_argument("--techniques", type=int, default=16, help="of each sweep")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.techniques, options.sweeps = 3, 1
    settings = (options.techniques, options.sweeps, options.seed)
    print(f"{options.techniques} techniques, {options.sweeps} sweeps a row; percent of sweeps.\n")
    print("No technique helps, but the verdict on one of them is")
    print("| scores | seeds | helps | helps or hurts | ..., plain t-test | ..., without Holm |")
    print("|---|---:|---:|---:|---:|---:|")
    for world in [*worlds(), *beyond()]:
        shares = [f"{100 * share:.1f}" for share in errors(world, *settings).values()]
        print(f"| {world.name} | {world.seeds} | {' | '.join(shares)} |", flush=True)
    print(
        "\nOne helps by the difference that would have been seen (power 80%), and the verdict is\n"
    )
    print("| scores | seeds | helps |")
    print("|---|---:|---:|")
    for world in worlds():
        share = f"{100 * power(world, *settings):.1f}"
        print(f"| {world.name} | {world.seeds} | {share} |", flush=True)


if __name__ == "__main__":
    main()
