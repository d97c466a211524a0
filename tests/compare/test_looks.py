"""What a comparison spends of the error that all looks at its runs share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regexp.compare import Comparison, Question, compare
from regexp.compare.looks import Looks, Spending, standings_of
from regexp.compare.scope import seeds_needed
from regexp.compare.sequential import Look, level, planned, unplanned
from regexp.compare.statistics import ALPHA
from regexp.compare.tested import needed_later
from regexp.compare.verdict import deciding
from regexp.metrics.names import NOISE_FLOOR, NONE_AGAIN, parameter
from tests.compare.sources import Source, classified

OURS, THEIRS = "a" * 32, "b" * 32
ASKED = "test/accuracy", "technique", "none"
AUTO = b"seeds: auto\nseeds_max: 20\n"


class Recorded(Source):
    """Runs, and texts by sweep and name."""

    def __init__(
        self, runs: Mapping[str, pd.DataFrame], texts: Mapping[tuple[str, str], bytes]
    ) -> None:
        super().__init__(runs)
        self.texts = texts

    def text(self, run_id: str, name: str) -> bytes | None:
        return self.texts.get((run_id, name))


def compared(
    seeds: int = 10,
    *,
    texts: Mapping[tuple[str, str], bytes] | None = None,
    metric: str | None = None,
    **columns: Any,
) -> Comparison:
    runs = classified(seeds=seeds, **columns)
    return compare(Recorded({OURS: runs}, texts or {}), [OURS], Question(metric=metric))


def looked(*looks: tuple[int, float]) -> bytes:
    return Looks({ASKED: [Look(*one) for one in looks]}).as_json().encode()


def test_a_first_comparison_leaves_a_tenth_for_seeds_that_are_added() -> None:
    spending = compared().spending
    assert spending.level == pytest.approx(0.045)
    assert spending.remarks == []
    assert spending.kept is not None
    assert spending.kept.by_question == {ASKED: [Look(10, 0.9 * ALPHA)]}


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED"])
def test_a_look_before_the_end_keeps_the_error_for_it(status: str) -> None:
    runs = classified()
    runs.loc[len(runs) - 1, "status"] = status
    assert not compare(Recorded({OURS: runs}, {}), [OURS], Question()).spending.ended


def test_a_comparison_of_the_same_runs_spends_nothing_more() -> None:
    first = compared().spending
    assert first.kept is not None
    again = compared(texts={(OURS, "looks.json"): first.kept.as_json().encode()}).spending
    assert again.looks == first.looks
    assert again.kept == first.kept


def test_what_was_compared_at_fewer_seeds_is_told_and_counts() -> None:
    comparison = compared(20, texts={(OURS, "looks.json"): looked((10, 0.045))})
    spending = comparison.spending
    assert comparison.findings == spending.remarks, "no sweep should end without"
    assert spending.level == pytest.approx(level([Look(10, 0.045), Look(20, 0.0045)], family=3))
    [remark] = spending.remarks
    assert "compared before at 10 seeds" in remark
    assert "4.5% were spent" in remark


def test_looks_of_another_sweep_count_where_it_has_the_runs_of_a_technique() -> None:
    texts = {(THEIRS, "looks.json"): looked((10, 0.045))}
    runs = classified(seeds=20)
    for technique, counts in (("none", False), (NOISE_FLOOR, False), ("l1", True)):
        runs["sweeps"] = OURS
        runs.loc[(runs["technique"] == technique) & (runs["seed"] < 10), "sweeps"] += f" {THEIRS}"
        spending = compare(Recorded({OURS: runs}, texts), [OURS]).spending
        assert (len(spending.looks) == 2) == counts


def test_another_metric_has_its_own_error() -> None:
    texts = {(OURS, "looks.json"): looked((10, 0.045))}
    spending = compared(20, texts=texts, metric="test/loss").spending
    assert spending.level == pytest.approx(0.045)
    assert spending.kept is not None
    assert set(spending.kept.by_question) == {ASKED, ("test/loss", *ASKED[1:])}


@pytest.mark.parametrize("seeds", [2, 10])
def test_a_look_that_has_no_verdict_yet_spends_nothing(seeds: int) -> None:
    runs = classified(seeds=seeds)
    if seeds > 2:
        runs.loc[0, "status"] = "RUNNING"
    assert compare(Recorded({OURS: runs}, {}), [OURS]).spending.kept is None


def test_several_sweeps_keep_nothing_and_heed_the_looks_of_each() -> None:
    frames = {OURS: classified(seeds=20), THEIRS: classified(seeds=10)}
    texts = {(THEIRS, "looks.json"): looked((10, 0.045))}
    spending = compare(Recorded(frames, texts), [OURS, THEIRS]).spending
    assert spending.kept is None
    assert [one.seeds for one in spending.looks] == [10, 20]


@pytest.mark.parametrize("content", [b"", b"[]", b"no json", b'{"looks": [{"looks": [[1]]}]}'])
def test_looks_by_other_hands_are_none(content: bytes) -> None:
    found = Looks.read(Recorded({}, {(OURS, "looks.json"): content}), OURS)
    assert found.as_json() == Looks().as_json()


def test_a_sweep_that_stops_when_it_is_decided_has_the_level_of_its_look() -> None:
    told = Looks(told=["At 4 seeds: l2 given up; 2 open."]).as_json().encode()
    texts = {(OURS, "sweep.yaml"): AUTO, (OURS, "looks.json"): told}
    spending = compared(8, texts=texts).spending
    assert spending.level == level(planned(20, 8, ALPHA), family=3)
    assert spending.last_level == level(planned(20, 20, ALPHA), family=3)
    [remark] = spending.remarks
    assert "looked at 2 times, at 4 and 8 seeds of at most 20" in remark
    assert remark.endswith("At 4 seeds: l2 given up; 2 open.")


@pytest.mark.parametrize(("baseline", "members"), [("none", 3), ("l2", 4)])
def test_an_arm_of_another_name_is_known_by_its_class(baseline: str, members: int) -> None:
    runs = classified(seeds=8, techniques=("none", "again", "dropout", "l1", "l2"))
    runs.loc[runs["technique"] == "again", parameter("regularizer.again._target_")] = NONE_AGAIN
    comparison = compare(Recorded({OURS: runs}, {}), [OURS], Question(baseline=baseline))
    outcomes = comparison.table.set_index("technique")["outcome"]
    assert (outcomes["again"] == "noise floor") == (baseline == "none")
    assert comparison.spending.family == members


def test_what_stands_out_is_decided_and_the_baseline_runs_beside() -> None:
    runs = classified(seeds=8, techniques=("none", NOISE_FLOOR, "dropout", "l1", "l2"))
    source = Recorded({OURS: runs}, {(OURS, "sweep.yaml"): AUTO})
    standings = {key[2]: word for key, word in standings_of(compare(source, [OURS])).items()}
    assert standings == {
        "none": "beside", NOISE_FLOOR: "beside", "dropout": "decided", "l1": "decided",
        "l2": "hopeless",
    }  # fmt: skip


def test_seeds_that_would_decide_are_held_to_the_level_that_is_left_for_them() -> None:
    """By simulation: a sweep of 10 seeds, then one of as many as it says would decide."""
    first = Spending(("", "", ""), unplanned([], 10, ALPHA), None, 1, ended=True)
    mean, sd = 0.01, 0.01 / 0.55
    compared = pd.DataFrame({
        "mean": [mean], "error": [sd / np.sqrt(10)], "rows_error": [sd / np.sqrt(10)],
        "pairs": [10], "p_corrected": [0.1],
        "seeds_needed": seeds_needed(np.array([mean]), np.array([sd**2]), np.zeros(1), first.level),
    })  # fmt: skip
    [now] = compared["seeds_needed"]
    [needed] = needed_later(compared, "", first.level_at, 1)
    assert needed > now, "the second look has a tenth of the error"

    def power(seeds: float) -> float:
        drawn = np.random.default_rng(0).normal(mean, sd / np.sqrt(seeds), 20_000)
        z = np.abs(drawn) / (sd / np.sqrt(seeds))
        return float((2 * stats.norm.sf(z) < first.level_at(int(seeds))).mean())

    assert power(needed) == pytest.approx(0.8, abs=0.03)
    assert power(now) < 0.6


def test_where_looks_have_spent_all_error_no_seeds_of_these_runs_decide() -> None:
    ended = Spending(("", "", ""), planned(20, 20, ALPHA), 20, 1, ended=True)
    assert ended.level_at(50) == 0
    compared = pd.DataFrame(
        {"mean": [0.01], "error": [0.005], "rows_error": [0.005], "pairs": [20],
         "p_corrected": [0.06], "seeds_needed": [40.0]}
    )  # fmt: skip
    [needed] = needed_later(compared, "", ended.level_at, 1)
    assert np.isnan(needed)
    told = deciding(compared.assign(seeds_needed=needed).iloc[0])
    assert told == "the error of these runs is spent, and other seeds in a new sweep would decide"
