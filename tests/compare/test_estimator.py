"""The estimator, against scipy, loops that follow its formulas, and draws from its own model."""

import math

import numpy as np
import pytest
from scipy import stats

from regexp.compare.estimator import Design, estimate
from regexp.compare.scope import Estimate

DESIGN = Design(pool=60, training=30, validation=12)


def drawn(
    techniques: int = 4,
    seeds: int = 5,
    rows: int = 60,
    tested: int = 12,
    *,
    of_row: float = 0.3,
    of_seed: float = 0.3,
    gain: float = 0.0,
    entropy: int = 0,
    same_rows: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences by row, (differences, seeds, rows), of techniques that share a baseline."""
    rng = np.random.default_rng(entropy)
    every = np.arange(rows) if same_rows else None
    split = [
        every[:tested] if every is not None else rng.permutation(rows)[:tested]
        for _ in range(seeds)
    ]
    row, seed = np.concatenate(split), np.repeat(np.arange(seeds), tested)
    scores = (
        rng.normal(0, of_row, (techniques + 1, rows))[:, row]
        + rng.normal(0, of_seed, (techniques + 1, seeds))[:, seed]
        + rng.normal(0, 1, (techniques + 1, len(row)))
    )
    return scores[1:] - scores[0] + gain, seed, row


def seed_means(differences: np.ndarray, seed: np.ndarray) -> np.ndarray:
    return np.stack([differences[:, seed == each].mean(1) for each in np.unique(seed)], axis=1)


def every_number(found: Estimate) -> np.ndarray:
    return np.concatenate([np.ravel(each) for scope in (found.table, found.rows)
                           for each in vars(scope).values()])  # fmt: skip


def test_of_one_technique_whose_seeds_vary_the_table_has_the_paired_t_test() -> None:
    data = drawn(1, of_seed=3, gain=2)
    found = estimate(*data, DESIGN)
    [means] = seed_means(*data[:2])
    test = stats.ttest_1samp(means, 0)
    assert found.mean[0] == pytest.approx(means.mean())
    assert found.table.p[0] == found.table.adjusted[0] == pytest.approx(test.pvalue)
    interval = test.confidence_interval(0.95)
    assert found.table.low[0], found.table.high[0] == pytest.approx(interval)
    greater = stats.ttest_1samp(means, 0, alternative="greater")
    assert found.table.helps[0] == pytest.approx(1 - greater.pvalue)


def test_formulas_by_hand() -> None:
    """The docstring's quantities by loops over techniques, seeds and pairs of observations."""
    differences, seed, row = drawn(4, entropy=1)
    found = estimate(differences, seed, row, DESIGN)
    n, k = 5, 12
    units, ratios, repeats, sums, pairs_of_rows = [], [], [], [], 0
    for delta in differences:
        within = np.mean([delta[seed == each].var(ddof=1) for each in range(n)])
        means = np.array([delta[seed == each].mean() for each in range(n)])
        left = delta - means.mean()
        products = []
        for i in range(len(left)):
            for j in range(len(left)):
                if i != j and row[i] == row[j]:
                    products.append(left[i] * left[j])
        pairs_of_rows = len(products)
        repeats.append(min(max(np.mean(products) / within, 0), 1))
        units.append(within / k)
        ratios.append(means.var(ddof=1) / (within / k))
        sums.append([left[row == each].sum() for each in range(60)])
    correlation = np.array(
        [[np.dot(a, b) / math.sqrt(np.dot(a, a) * np.dot(b, b)) for b in sums] for a in sums]
    )
    assert found.correlation == pytest.approx(correlation)
    assert found.repeats == pytest.approx(np.average(repeats, weights=units))
    again = pairs_of_rows / (n * (n - 1)) / k
    base = 1 - found.repeats * again
    effective = 16 / (correlation**2).sum()
    assert found.shared <= 2 * (effective - 1) * (n - 1) + 1e-9
    moderated = found.table.variance / units
    assert (moderated >= np.maximum(ratios, base) - 1e-9).all()
    seen = np.average(moderated, weights=units)
    theta = max(0, seen * (1 + math.sqrt(2 / (effective * (n - 1)))) - base)
    assert found.theta == pytest.approx(theta)
    crossed = math.sqrt(found.repeats * theta * k * 30) / 60
    rho = (found.repeats * again + theta * 30 / 60 + crossed) / (1 + theta)
    assert found.rho == pytest.approx(min(rho, max(again, k / (60 - 12))))
    assert found.table.error**2 == pytest.approx(found.table.variance / n)
    stays = found.rho / (1 - found.rho) * found.table.variance
    assert found.rows.error**2 == pytest.approx(found.table.variance / n + stays)
    assert found.rows.freedom == pytest.approx(n - 1 + found.shared)


def test_what_rows_repeat_is_found() -> None:
    rows_alone = drawn(2, 10, tested=40)
    fixed = rows_alone[0] * 0 + np.random.default_rng(1).normal(size=60)[rows_alone[2]]
    assert estimate(fixed, *rows_alone[1:], DESIGN).repeats == pytest.approx(1, abs=0.1)
    fresh = drawn(2, 10, of_row=0, of_seed=0)
    assert estimate(*fresh, DESIGN).repeats == pytest.approx(0, abs=0.1)


def test_what_stays_is_never_more_than_nadeau_and_bengio_have() -> None:
    found = estimate(*drawn(4, of_row=2, of_seed=2), DESIGN)
    assert found.rho == pytest.approx(12 / (60 - 12))  # n_test / (n_test + n_train)


def test_on_one_split_what_stays_is_what_the_rows_do_at_every_seed() -> None:
    differences, seed, row = drawn(1, 6, tested=40, same_rows=True, of_row=1)
    found = estimate(differences, seed, row, Design(60, 20, 0, one_split=True))
    by_row = np.stack([differences[0, seed == each] for each in range(6)])
    assert found.table.error[0] ** 2 >= by_row.mean(1).var(ddof=1) / 6 - 1e-12
    # two-way analysis of variance: the variance of rows' means is var(a) + var(e) / n
    left = by_row - by_row.mean(0) - by_row.mean(1)[:, None] + by_row.mean()
    of_rows = by_row.mean(0).var(ddof=1) - (left**2).sum() / (5 * 39) / 6
    assert found.rows.stays[0] == pytest.approx(of_rows / 40, rel=0.05)


def test_of_a_series_nothing_is_said_of_other_rows() -> None:
    data = drawn(2, same_rows=True)
    found = estimate(*data, Design(60, 30, 12, one_split=True, serial=True))
    assert np.isfinite(found.table.adjusted).all()
    assert np.isnan(found.rows.adjusted).all()
    assert np.isnan(found.rows.helps).all()


@pytest.mark.parametrize("same_rows", [False, True])
def test_standard_errors_are_those_of_many_tables(same_rows: bool) -> None:
    """Means over repeated tables spread as "other rows" says, and a little less: it is careful."""
    design = Design(60, 30, 12, one_split=same_rows)
    found = [
        estimate(*drawn(5, 6, of_seed=0.05, entropy=entropy, same_rows=same_rows), design)
        for entropy in range(80)
    ]
    means = np.stack([each.mean for each in found])
    spread = math.sqrt((means**2).mean())
    error = math.sqrt(np.mean([each.rows.error**2 for each in found]))
    assert spread < 1.15 * error  # the spread has a standard error of some 6%
    assert error < 1.8 * spread
    claims = np.mean([each.rows.adjusted.min() < 0.05 for each in found])
    assert claims < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 80)


def table_of_held_out_rows(
    entropy: int, *, of_row: float, of_seed: float, of_training: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences by row of techniques that do nothing, from one table: six seeds test the same 30
    rows and train on three of four folds of 120 others, each of which moves all scores a little.
    """
    rng = np.random.default_rng(entropy)
    blocks = [rng.permutation(120).reshape(4, 30) for _ in range(2)]
    trains = np.ones((6, 120))
    for number in range(6):
        trains[number, blocks[number // 4][number % 4]] = 0
    seed, row = np.repeat(np.arange(6), 30), np.tile(np.arange(30), 6)
    of_seeds = rng.normal(0, of_training, (6, 120)) @ trains.T / math.sqrt(90)
    of_seeds += rng.normal(0, of_seed, (6, 6))
    scores = rng.normal(0, of_row, (6, 30))[:, row] + of_seeds[:, seed]
    scores += rng.normal(0, 1, scores.shape)
    return scores[1:] - scores[0], seed, row


@pytest.mark.parametrize(
    "world",
    [
        {"of_row": 1, "of_seed": 0.05, "of_training": 0},
        {"of_row": 1, "of_seed": 0.2, "of_training": 0.1},
        {"of_row": 0.3, "of_seed": 0.3, "of_training": 0},
    ],
)
def test_seeds_that_share_their_test_rows_are_no_surer_of_other_rows(
    world: dict[str, float],
) -> None:
    """As above. Row by row the paired t-test alone would be wrong in up to 64% of these tables."""
    design = Design(pool=120, training=90, validation=30)
    found = [estimate(*table_of_held_out_rows(each, **world), design) for each in range(100)]
    spread = math.sqrt(np.mean([each.mean**2 for each in found]))
    error = math.sqrt(np.mean([each.rows.error**2 for each in found]))
    assert spread < 1.1 * error
    assert error < 2 * spread
    claims = np.mean([each.rows.adjusted.min() < 0.05 for each in found])
    assert claims < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    alone = np.mean([each.table.adjusted.min() < 0.05 for each in found])
    assert alone > 0.3 or world["of_row"] < 1


def test_what_stays_of_held_out_rows_by_hand() -> None:
    """Of the variance of one seed over tables, (1 - rho) is seen between the seeds of a table."""
    differences, seed, row = table_of_held_out_rows(3, of_row=1, of_seed=0.1, of_training=0)
    found = estimate(differences, seed, row, Design(pool=120, training=90, validation=30))
    within = np.array([[delta[seed == each].var(ddof=1) for each in range(6)]
                       for delta in differences]).mean(1)  # fmt: skip
    trained = min(found.theta * 90 / 120 / (1 + found.theta), 30 / (30 + 90))
    of_one_seed = found.table.variance / (1 - trained - found.repeats / (1 + found.theta))
    repeats = (found.rows.stays - trained * of_one_seed) / (within / 30)
    assert ((repeats >= 0) & (repeats <= 1)).all()
    assert np.average(repeats, weights=within) == pytest.approx(found.repeats)


def test_a_technique_that_did_nothing_is_no_member_of_the_family() -> None:
    differences, seed, row = drawn(3, gain=0.5, entropy=3)
    idle = np.stack([*differences, np.full(len(seed), 1e-9), np.zeros(len(seed))])
    alone, found = (estimate(each, seed, row, DESIGN, changed=(abs(each) > 1e-8).any(1))
                    for each in (differences, idle))  # fmt: skip
    assert found.changed.tolist() == [True, True, True, False, False]
    assert np.isnan(found.table.p[3:]).all()
    for scope in ("table", "rows"):
        for name in ("adjusted", "simultaneous_low", "detectable", "seeds"):
            ours, theirs = (getattr(getattr(each, scope), name) for each in (found, alone))
            assert ours[:3] == pytest.approx(theirs), name


def test_one_that_failed_is_a_member() -> None:
    differences, seed, row = drawn(3, gain=0.5, entropy=3)
    nan, infinite = np.full(len(seed), np.nan), np.full(len(seed), np.inf)
    alone = estimate(differences, seed, row, DESIGN)
    found = estimate(np.stack([*differences, nan, infinite]), seed, row, DESIGN)
    assert found.changed.all()
    assert np.isnan(found.table.adjusted[3:]).all()
    assert found.pairs.tolist() == [5, 5, 5, 0, 5]
    assert (found.table.adjusted[:3] >= alone.table.adjusted).all()
    assert found.table.adjusted[:3].min() > alone.table.adjusted.min()


def test_a_technique_may_lack_seeds() -> None:
    differences, seed, row = drawn(1, of_seed=3)
    lacking = np.where(seed == 2, np.nan, differences)
    found = estimate(lacking, seed, row, DESIGN)
    there = seed != 2
    expected = estimate(differences[:, there], seed[there], row[there], DESIGN)
    assert found.pairs[0] == 4
    assert every_number(found) == pytest.approx(every_number(expected))


def test_seeds_may_test_different_numbers_of_rows() -> None:
    differences, seed, row = drawn(1, of_seed=3, gain=1)
    kept = np.ones(len(seed), dtype=bool)
    kept[np.flatnonzero(seed == 0)[:7]] = False
    found = estimate(differences[:, kept], seed[kept], row[kept], DESIGN)
    [means] = seed_means(differences[:, kept], seed[kept])
    assert found.mean[0] == pytest.approx(means.mean())  # every seed counts alike
    assert found.table.p[0] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


def test_an_unstable_technique_keeps_its_own_variance() -> None:
    differences, seed, row = drawn(8, 6, of_seed=0.1)
    differences[0] += np.random.default_rng(0).normal(0, 3, 6)[seed]
    found = estimate(differences, seed, row, DESIGN)
    own = seed_means(differences, seed).var(axis=1, ddof=1)
    assert found.table.variance[0] == pytest.approx(own[0])
    assert (found.table.variance >= own - 1e-12).all()


def test_repeats_to_the_bit_and_knows_no_order() -> None:
    data = drawn(5, gain=0.4)
    first = every_number(estimate(*data, DESIGN))
    assert np.array_equal(first, every_number(estimate(*data, DESIGN)))
    mixed = np.random.default_rng(0).permutation(len(data[1]))
    other = estimate(data[0][:, mixed], data[1][mixed], data[2][mixed], DESIGN)
    assert every_number(other) == pytest.approx(first)


def test_probabilities_and_seeds_to_decide() -> None:
    found = estimate(*drawn(3, gain=0.4, entropy=2), DESIGN, matters=0.2)
    table = found.table
    scaled = stats.t(table.freedom, found.mean, table.error)
    assert table.helps == pytest.approx(scaled.sf(0))
    assert table.matters == pytest.approx(scaled.sf(0.2))
    assert table.equal == pytest.approx(scaled.cdf(0.2) - scaled.cdf(-0.2))
    assert table.best.sum() <= 1
    assert table.best.argmax() == found.mean.argmax()
    # at so many seeds a normal test at the family's level has a power of 80%
    quantiles = stats.norm.isf(0.05 / 3 / 2) + stats.norm.isf(0.2)
    exact = table.variance / (found.mean / quantiles) ** 2
    assert table.seeds == pytest.approx(np.ceil(exact))
    assert (found.rows.seeds >= table.seeds).all()
    hopeless = found.rows.stays > (found.mean / quantiles) ** 2
    assert np.isinf(found.rows.seeds[hopeless]).all()


def test_the_best_is_drawn_with_the_baseline() -> None:
    worse = estimate(*drawn(2, gain=-2), DESIGN).table.best
    assert worse == pytest.approx([0, 0], abs=0.01)
    equal, seed, row = drawn(1, of_seed=1)
    equal -= seed_means(equal, seed).mean()
    assert estimate(equal, seed, row, DESIGN).table.best[0] == pytest.approx(0.5, abs=0.03)


def test_a_stricter_level_asks_for_more() -> None:
    data = drawn(3, gain=0.5)
    usual, strict = (estimate(*data, DESIGN, alpha=alpha).table for alpha in (0.05, 0.01))
    assert (strict.detectable > usual.detectable).all()
    assert (strict.simultaneous_low < usual.simultaneous_low).all()
    assert strict.adjusted == pytest.approx(usual.adjusted)


def test_one_seed_tells_nothing() -> None:
    differences, seed, row = drawn(2, 1)
    found = estimate(differences, seed, row, DESIGN)
    assert np.isfinite(found.mean).all()
    assert np.isnan(found.table.error).all()
    assert np.isnan(found.rows.adjusted).all()
