"""Weights, reliability and ranks, each held against a computation of its own."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regexp.compare import across
from regexp.compare.figures import critical_difference, reliability, weights
from regexp.compare.figures.distributions import pooled_reliability, pooled_weights
from regexp.compare.figures.style import BLUE, INK
from regexp.compare.figures.weights import percent
from regexp.compare.multiple import sign_flips
from regexp.compare.ranking import Across
from tests.compare.figures import frames
from tests.compare.figures.frames import panels, texts, xy


def test_weights_of_seeds_are_pooled() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(0, 1e-2, 800), generator.normal(0, 1, 200)
    first[:100] = 0
    parts = []
    for values in (first, second):
        sizes = np.log10(np.abs(values[values != 0]))
        counts = np.histogram(sizes, np.arange(-8, 2.25, 0.25))[0]
        parts.append(
            frames.weights(dict(enumerate(counts.tolist())), zeros=int((values == 0).sum()))
        )
    pooled = pooled_weights(parts)
    both = np.concatenate([first, second])
    assert pooled.zeros == pytest.approx((both == 0).mean())
    assert pooled.small == pytest.approx((np.abs(both) < 1e-3).mean())
    assert pooled.shares.sum() == pytest.approx((both != 0).mean())


def test_histograms_of_weights_over_the_baseline() -> None:
    diagnostics = pd.concat(
        [
            frames.diagnostics("l1", 0, weights=frames.weights({28: 20}, zeros=60, below=20)),
            frames.diagnostics("none", 0, weights=frames.weights({28: 50, 30: 50})),
            frames.diagnostics("none", 1, weights=frames.weights({30: 100})),
            frames.diagnostics("old", 0),
        ]
    )
    found = panels(weights(diagnostics))
    assert list(found) == ["none", "l1"]
    own, behind = found["l1"].patches
    assert own.get_data().values[28] == pytest.approx(20)  # type: ignore[attr-defined]
    expected = np.zeros(40)
    expected[[28, 30]] = 25, 75
    drawn: Any = behind
    np.testing.assert_allclose(drawn.get_data().values, expected)
    assert found["l1"].texts[0].get_text() == "zeros 60.0%\nbelow 0.001: 80.0%"
    assert len(found["none"].patches) == 1


def test_shares_in_percent_are_not_rounded_to_nothing() -> None:
    written = [percent(share) for share in (0, 1e-5, 0.25, 0.99999, 1, np.nan)]
    assert written == ["0.0%", "below 0.1%", "25.0%", "above 99.9%", "100.0%", "unknown"]


def test_bins_of_seeds_are_pooled_by_count() -> None:
    parts = [
        frames.reliability({9: (10, 0.62, 0.5), 14: (30, 0.97, 0.9)}),
        frames.reliability({9: (30, 0.66, 0.7)}),
    ]
    pooled = pooled_reliability(parts)
    assert pooled.count[[9, 14]].tolist() == [40, 30]
    assert pooled.confidence[9] == pytest.approx((10 * 0.62 + 30 * 0.66) / 40)
    assert pooled.accuracy[9] == pytest.approx((10 * 0.5 + 30 * 0.7) / 40)
    assert pooled.accuracy[14] == pytest.approx(0.9)
    assert np.isnan(pooled.accuracy[0])
    errors = [(10 * 0.12 + 30 * 0.07) / 40, 0.04]
    assert pooled.error == pytest.approx(np.mean(errors)), "as the mean of test/ece"


def test_reliability_draws_accuracy_against_confidence_and_counts() -> None:
    sure = {8: (5, 0.55, 0.6), 14: (15, 0.9, 0.9)}
    diagnostics = pd.concat(
        [
            frames.diagnostics("none", 0, reliability=frames.reliability({14: (4, 0.95, 0.8)})),
            frames.diagnostics("l1", 0, reliability=frames.reliability(sure)),
        ]
    )  # fmt: skip
    figure = reliability(diagnostics)
    upper = panels(figure)["l1"]
    own, many, few = (line for line in upper.lines if line.get_color() == BLUE)
    np.testing.assert_allclose(xy(own), [[0.55, 0.9], [0.6, 0.9]])
    np.testing.assert_allclose(xy(few), [[0.55], [0.6]])
    np.testing.assert_allclose(xy(many), [[0.9], [0.9]])
    assert few.get_markerfacecolor() == "none"
    behind = next(line for line in upper.lines if line.get_color() == INK and line.get_alpha())
    np.testing.assert_allclose(xy(behind), [[0.95], [0.8]])
    bars = figure.axes[figure.axes.index(upper) + 1].patches
    assert [bar.get_height() for bar in bars][8] == pytest.approx(25)  # type: ignore[attr-defined]
    assert [bar.get_height() for bar in bars][14] == pytest.approx(75)  # type: ignore[attr-defined]
    assert "ECE 0.150" in texts(figure)


# --- ranks ----------------------------------------------------------------------------------


def ranked(scores: pd.DataFrame) -> Across:
    """What a comparison across datasets makes of scores, [datasets, techniques]."""
    ranks = across.ranks(scores)
    tested = across.wilcoxon(scores, "none")
    gains = scores[list(tested.index)].sub(scores["none"], axis=0)
    tested = tested.assign(gain=gains.mean(), p_joint=sign_flips(gains))
    return Across(scores, ranks, across.friedman(ranks), tested, pd.DataFrame(), notes=[])


def scores(techniques: int, datasets: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    names = ["none", *(f"t{place}" for place in range(1, techniques))]
    values = generator.normal(0, 1, (datasets, techniques)) + np.arange(techniques)
    return pd.DataFrame(values, columns=names)


def nemenyi(ranks: pd.Series, datasets: int) -> pd.DataFrame:
    """p-values by the definition, P(q > |difference| sqrt(2) / sqrt(k (k + 1) / (6 N)))."""
    count = len(ranks)
    gaps = np.abs(np.subtract.outer(ranks.to_numpy(), ranks.to_numpy()))
    error = math.sqrt(count * (count + 1) / (6 * datasets))
    p = stats.studentized_range.sf(gaps * math.sqrt(2) / error, count, np.inf)
    return pd.DataFrame(p, index=ranks.index, columns=ranks.index)


def test_diagram_shows_ranks_and_joins_what_cannot_be_told_apart() -> None:
    across = ranked(scores(5, 12))
    ranks = across.ranks.mean()
    figure = critical_difference(across)
    written = " ".join(texts(figure))
    stars = set(across.tested.index[across.tested["p_joint"] < 0.05])
    assert 0 < len(stars) < 5
    for name, rank in ranks.items():
        label = f"{name} *" if name in stars else str(name)
        assert f" {label} ({rank:.2f})" in f" {written}" or f"({rank:.2f}) {label}" in written
    assert "Nemenyi" in written
    p = nemenyi(ranks, 12)
    bars = [xy(line)[0] for line in figure.axes[0].lines if line.get_linewidth() == 2.6]
    assert bars
    for left, right in bars:
        joined = [ranks.index[int(np.argmin(np.abs(ranks - x)))] for x in (left, right)]
        assert p.loc[joined[0], joined[1]] >= 0.05
    apart = [(a, b) for a in ranks.index for b in ranks.index if p.loc[a, b] < 0.05]
    assert apart
    for a, b in apart:
        low, high = sorted((ranks[a], ranks[b]))
        assert not any(left - 1e-9 <= low and high <= right + 1e-9 for left, right in bars)


def test_diagram_of_equal_long_names_and_of_two_techniques() -> None:
    long = "x" * 100
    values = scores(3, 4).set_axis(["none", f"{long}1{long}", f"{long}2{long}"], axis=1)
    figure = critical_difference(ranked(values))
    figure.draw_without_rendering()
    written = " ".join(texts(figure))
    assert all(f"x #{number}" in written for number in (1, 2))
    critical_difference(ranked(scores(2, 4))).draw_without_rendering()
