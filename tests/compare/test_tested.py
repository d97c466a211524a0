"""A whole comparison of runs that have their test outputs by row."""

import math
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regexp.compare import Comparison, Question, compare
from regexp.compare.answer import answers
from regexp.compare.estimator import Design, estimate
from regexp.metrics.outputs import RowOutputs, read, write
from tests.compare.sources import Source, compared, make_runs, scored

SEEDS, POOL, TESTED = 6, 200, 40
SCORE = "metrics.test/accuracy"
WRONG = {"none": 0.2, "none_again": 0.2, "good": 0.02, "worse": 0.3, "idle": 0.2, "l1": 0.19}


class Outputs(Source):
    """Runs of every technique; `idle` predicts what `none` does, the others err by chance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = []
        for seed in range(SEEDS):
            tested = np.random.default_rng(seed).permutation(POOL)[:TESTED]
            for number, (name, share) in enumerate(WRONG.items()):
                rng = np.random.default_rng([seed, 0 if name == "idle" else number])
                right = rng.uniform(size=TESTED) >= share
                logits = np.where(right, 1.0, -1.0)[:, None] * np.array([1, -1])
                outputs = RowOutputs(
                    "classification", tested, logits.astype(np.float32),
                    np.zeros(TESTED, dtype=np.int64), ("a", "b"), np.zeros(2), np.ones(2),
                )  # fmt: skip
                write(folder / f"{name}{seed}.npz", outputs)
                rows.append(
                    {"run_id": f"{name}{seed}", "technique": name, "seed": seed,
                     "score": float(right.mean()), "split": "seed"}
                )  # fmt: skip
        frame = make_runs(rows)
        frame[["params.dataset.test", "params.dataset.validation"]] = "0.2"
        super().__init__({"a" * 32: frame})

    def text(self, run_id: str, name: str) -> bytes | None:
        path = self.folder / f"{run_id}.npz"
        return path.read_bytes() if name == "test_outputs.npz" and path.exists() else None


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return Outputs(tmp_path_factory.mktemp("outputs"))


@pytest.fixture(scope="module")
def comparison(source: Outputs) -> Comparison:
    return compare(source, list(source.frames))


def of(comparison: Comparison, technique: str) -> pd.Series:
    table = comparison.table
    return table[table["technique"] == technique].iloc[0]


def test_the_table_has_what_the_estimator_makes_of_the_outputs(
    source: Outputs, comparison: Comparison
) -> None:
    names = ["good", "idle", "l1", "none_again", "worse"]
    runs = source.frames["a" * 32]

    def right(name: str) -> np.ndarray:
        parts = [np.load(BytesIO(source.text(f"{name}{seed}", "test_outputs.npz") or b""))
                 for seed in range(SEEDS)]  # fmt: skip
        return np.concatenate([part["outputs"].argmax(1) == part["targets"] for part in parts])

    rows = np.concatenate([np.random.default_rng(seed).permutation(POOL)[:TESTED]
                           for seed in range(SEEDS)])  # fmt: skip
    deltas = np.stack([right(name) for name in names]).astype(float) - right("none")
    members = [name != "none_again" for name in names]
    expected = estimate(
        deltas, np.repeat(np.arange(SEEDS), TESTED), rows, Design(POOL, 120, 40), members=members
    )
    assert len(runs) == SEEDS * len(WRONG)
    for place, name in enumerate(names):
        row = of(comparison, name)
        for column, scope in (("error", expected.table.error), ("p", expected.table.p),
                              ("rows_error", expected.rows.error),
                              ("rows_p_corrected", expected.rows.adjusted)):  # fmt: skip
            assert row[column] == pytest.approx(scope[place], nan_ok=True), (name, column)
        assert row["difference"] == pytest.approx(expected.mean[place])


def test_every_technique_has_its_outcome(comparison: Comparison) -> None:
    table = comparison.table.set_index("technique")
    assert table["outcome"].drop("l1").to_dict() == {
        "none": "baseline", "good": "helps", "idle": "did nothing", "worse": "hurts",
        "none_again": "noise floor",
    }  # fmt: skip
    assert table["rows_outcome"]["good"] == "helps"
    assert table["verdict"]["idle"] == "did nothing: none of 240 predictions changed"
    assert table["verdict"]["none_again"].startswith("noise floor: ")


def test_where_scores_tie_by_a_metric_without_scores_by_row_the_outputs_tell(
    source: Outputs,
) -> None:
    frame = source.frames["a" * 32].copy()
    frame["metrics.test/roc_auc"] = 0.9
    frames = Outputs(source.folder)
    frames.frames = {"a" * 32: frame}
    table = compare(frames, list(frames.frames), Question("test/roc_auc")).table
    verdicts = table.set_index("technique")["verdict"]
    assert verdicts["idle"] == "did nothing: no prediction changed"
    said = f"no verdict at n = {SEEDS}: the same score at every seed, which tells no spread"
    assert verdicts["good"] == verdicts["worse"] == said


def test_the_answer_begins_with_what_to_do_and_leaves_the_control_out(
    comparison: Comparison,
) -> None:
    [(_, text)], _ = answers(comparison)
    assert text.startswith("Use good: it helps on this table and on other rows, +")
    assert " of 4 techniques " in text
    assert "Did nothing: idle." in text
    assert "Noise floor: none_again differs from none by " in text
    [family] = comparison.families
    assert "for 3 comparisons, on this table after Holm, on other rows by step-down" in " ".join(
        family.notes
    )
    assert "is estimated from the scores by row" in family.notes[1]


def test_one_run_without_its_outputs_is_enough_to_do_without(source: Outputs) -> None:
    (source.folder / "good3.npz").rename(source.folder / "gone")
    try:
        found = compare(source, list(source.frames))
    finally:
        (source.folder / "gone").rename(source.folder / "good3.npz")
    assert of(found, "good")["tested"] == 0
    assert "have no scores by row" in found.families[0].notes[1]
    assert of(found, "good")["outcome"] == "helps"


def test_an_infinite_score_of_a_technique_leaves_the_others_their_rows(source: Outputs) -> None:
    """They are judged as if it were not there."""
    frame = source.frames["a" * 32]
    endless, without = Outputs(source.folder), Outputs(source.folder)
    here = frame["run_id"] == "worse2"
    endless.frames = {
        "a" * 32: frame.assign(**{SCORE: frame[SCORE].mask(here, math.inf)}),
    }
    without.frames = {"a" * 32: frame[frame["technique"] != "worse"]}
    found, wanted = (compare(one, list(one.frames)) for one in (endless, without))
    for name in ("good", "idle", "l1", "none_again"):
        columns = ["error", "p", "rows_error", "rows_p", "tested", "outcome"]
        pd.testing.assert_series_equal(
            of(found, name)[columns], of(wanted, name)[columns], check_names=False
        )
    assert of(found, "good")["tested"] == SEEDS * TESTED
    worse = of(found, "worse")
    assert worse["outcome"] == worse["rows_outcome"] == "no verdict"
    assert "the difference is infinite at 1 seed" in worse["verdict"]


def test_what_matters_and_the_level_are_asked(source: Outputs) -> None:
    asked = Question(matters=30.0)  # points
    found = compare(source, list(source.frames), asked)
    assert of(found, "l1")["outcome"] == "practically equal"
    assert "within ±30 points" in of(found, "l1")["verdict"]
    [family] = found.families
    assert (family.judge.matters, family.judge.alpha) == (0.3, found.spending.level)


def test_a_baseline_that_never_varies_is_warned_of() -> None:
    scores = {"none": [0.5] * 4, "l1": [0.5, 0.6, 0.5, 0.9]}
    [family] = compared(scored(scores)).families
    assert "none scores the same at every seed" in family.notes[-1]
    [family] = compared(scored(scores | {"none": [0.5, 0.5, 0.5, 0.6]})).families
    assert not any("scores the same" in note for note in family.notes)


def test_training_rows_that_decide_are_warned_of() -> None:
    """Techniques that vary with the rows of the seed, beside an A/A arm that shares them."""
    rng = np.random.default_rng(0)
    base, own = rng.normal(0.8, 0.02, 8), rng.normal(0, 0.02, (3, 8))
    scores = {name: list(base + one) for name, one in zip(("l1", "l2", "ema"), own, strict=True)}
    quiet, loud = base + 0.1 * own[0], base + own[1][::-1]
    for arm, told in ((quiet, True), (loud, False)):
        [family] = compared(
            scored({"none": list(base), "none_again": list(arm), **scores})
        ).families
        assert any("is their training rows" in note for note in family.notes) == told


def test_runs_of_one_test_seed_speak_of_these_test_rows(tmp_path: Path) -> None:
    """By row they speak of other rows too, which scores alone cannot."""
    source = Outputs(tmp_path)
    [runs] = source.frames.values()
    runs["params.dataset.test_seed"] = "0"
    rows = np.arange(TESTED)
    for path in tmp_path.iterdir():
        write(path, replace(read(path.read_bytes()), rows=rows))
    found = compare(source, list(source.frames))
    good = of(found, "good")
    assert good["verdict"].startswith("helps on these test rows: ")
    assert good["rows_error"] > good["error"]
    said = " ".join(found.families[0].notes)
    assert "All runs test the same rows, and split the others by their seed." in said
    assert "seeds share all test rows" in said
    assert "share one split" not in said
    for path in tmp_path.iterdir():
        path.unlink()
    alone = compare(source, list(source.frames))
    assert of(alone, "good")["verdict"].startswith("helps on these test rows: ")
    assert np.isnan(of(alone, "good")["rows_p"])
    assert "Nothing is said of other rows." in " ".join(alone.families[0].notes)


def test_where_the_data_tell_the_test_rows_nothing_is_said_of_others_by_scores_alone(
    tmp_path: Path,
) -> None:
    """An AUC has no form by row; but the outputs tell that all seeds test the same rows."""
    source = Outputs(tmp_path)
    [runs] = source.frames.values()
    runs["metrics.test/roc_auc"] = runs["metrics.test/accuracy"]
    asked = Question(metric="test/roc_auc")
    drawn = of(compare(source, list(source.frames), asked), "good")
    assert drawn["rows_p"] > drawn["p"]
    for path in tmp_path.iterdir():
        outputs = read(path.read_bytes())
        order = np.random.default_rng(0).permutation(TESTED)  # told in any order
        write(path, replace(outputs, rows=np.arange(TESTED)[order]))
    told = compare(source, list(source.frames), asked)
    assert np.isnan(of(told, "good")["rows_p"])
    assert of(told, "good")["verdict"].startswith("helps on these test rows: ")
    assert "Nothing is said of other rows." in " ".join(told.families[0].notes)


def test_of_one_seed_it_is_not_said_that_all_test_the_same_rows(source: Outputs) -> None:
    runs = source.frames["a" * 32]
    single = Source({"b" * 32: runs[runs["seed"] == 0]})
    single.text = source.text  # type: ignore[method-assign]
    [family] = compare(single, list(single.frames)).families
    assert not family.judge.same_test
    assert "test the same rows" not in " ".join(family.notes)
