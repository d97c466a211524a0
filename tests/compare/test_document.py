"""What a comparison says, whatever lays it out."""

from dataclasses import replace

import pandas as pd
import pytest

from regexp.compare.comparison import Comparison
from regexp.compare.document import Document, document
from regexp.compare.tables import Column
from tests.compare.sources import classified, compared, regressed, scored

ID = "a" * 32


def cells(columns: list[Column]) -> dict[str, list[str]]:
    """The cells of a table by the title of their column."""
    return {column.title: column.cells for column in columns}


def of(*frames: pd.DataFrame) -> tuple[Comparison, Document]:
    comparison = compared(*frames)
    return comparison, document(comparison)


def test_what_was_compared() -> None:
    _, said = of(classified("digits", "wine"))
    assert said.title == "an ablation"
    assert said.facts == [
        ("datasets", "digits, wine"), ("compared by", "test/accuracy (higher is better)"),
        ("seeds", "10"), ("runs", "80 finished of 80"), ("sweep", ID),
    ]  # fmt: skip
    assert said.commands == [
        f"regexp compare {ID} --metric test/accuracy", f"regexp rerun --sweep {ID}",
    ]  # fmt: skip


def test_commands_of_runs_on_a_server_say_its_address() -> None:
    comparison, _ = of(classified())
    there = replace(comparison, server="http://runs.example.org:5000")
    where = " tracking.uri=http://runs.example.org:5000"
    assert document(there).commands == [line + where for line in document(comparison).commands]


def test_facts_name_settings_trials_and_what_has_not_finished() -> None:
    runs = classified(setting="rows=50")
    runs.loc[runs["seed"].eq(9) & runs["technique"].eq("l1"), "status"] = "RUNNING"
    trials = classified(stage="tuning")
    comparison = compared(pd.concat([runs, trials], ignore_index=True), classified("wine"))
    assert document(comparison).facts == [
        ("datasets", "digits, wine"), ("setting", "rows=50"),
        ("compared by", "test/accuracy (higher is better)"), ("seeds", "9 to 10"),
        ("runs", "79 finished of 80"), ("tried in a search", "40 runs, which are left out"),
        ("sweeps", f"{ID}, {'b' * 32}"),
    ]  # fmt: skip


def test_every_technique_has_its_numbers_and_its_verdict() -> None:
    comparison, said = of(classified("digits", "wine"))
    assert [part.name for part in said.families] == ["digits", "wine"]
    for part, family in zip(said.families, comparison.families, strict=True):
        verdicts = cells(part.verdicts)
        assert list(verdicts) == [
            "technique", "test/accuracy, %", "vs none, points", "95% interval", "P(helps)",
            "P(matters)", "P(best)", "verdict",
        ]  # fmt: skip
        assert verdicts["technique"] == ["none", "dropout", "l2", "l1"]
        assert verdicts["verdict"] == family.rows["verdict"].tolist()
        tests = cells(part.tests)
        assert tests["p (Holm), this table"] == ["–", "<0.001", "1", "<0.001"]
        assert verdicts["P(helps)"][:2] == ["–", "99%"]
        assert part.outcomes == ["baseline", "helps", "no evidence", "hurts"]
        for column in [*part.verdicts, *part.tests, *part.measures, *part.summary]:
            assert len(column.cells) == 4
        for low, difference, high in part.intervals[1:]:
            assert low < difference < high
    assert of(classified())[1].families[0].name == ""


def test_further_scores_depend_on_the_task_and_on_what_is_known() -> None:
    titles = [column.title for column in of(classified())[1].families[0].measures]
    assert titles == [
        "technique", "NLL", "Brier", "gap, points", "P(better)", "seconds", "time vs none",
    ]  # fmt: skip
    runs = regressed()
    runs["metrics.test/skill"] = 0.5
    titles = [column.title for column in of(runs)[1].families[0].measures]
    assert titles == [
        "technique", "skill", "P(better)", "seconds", "time vs none",
    ]  # fmt: skip


def test_runs_are_counted_where_some_have_not_finished() -> None:
    runs = classified()
    assert "runs" not in cells(of(runs)[1].families[0].verdicts)
    runs.loc[runs["seed"].eq(9) & runs["technique"].eq("l1"), "status"] = "FAILED"
    counts = cells(of(runs)[1].families[0].verdicts)["runs"]
    assert counts == ["10", "10", "10", "9 of 10"]


def test_a_difference_that_no_sweep_could_show_has_no_number() -> None:
    scores = {"none": [0.0, 1.0, 0.0, 1.0], "wild": [1.0, 0.0, 0.0, 1.0]}
    _, said = of(scored(scores))
    assert cells(said.families[0].tests)["detectable, this table, points"] == ["–", ">100"]


def test_datasets_are_ranked() -> None:
    _, said = of(classified("digits", "wine", "iris"))
    assert said.across is not None
    ranks = cells(said.across.ranks)
    assert ranks["technique"][0] == "dropout"
    assert ranks["average rank"][0] == "1.00"
    assert ranks["wins / ties / losses"][0] == "3 / 0 / 0"
    assert said.across.friedman.startswith(
        "Friedman's test over 3 datasets and 4 techniques: chi-squared "
    )
    assert of(classified())[1].across is None
    _, two = of(classified("digits", "wine", techniques=("none", "l1")))
    assert two.across is not None
    assert two.across.friedman == (
        "Friedman's test takes three techniques or more, with the baseline."
    )


def test_notes_that_datasets_share_stand_once() -> None:
    comparison, said = of(classified("digits", "wine"))
    [(subject, notes), (across, _)] = said.notes
    assert (subject, across) == ("", "Across datasets")
    assert notes == comparison.families[0].notes
    _, said = of(classified("digits"), classified("wine", split="seed"))
    assert [subject for subject, _ in said.notes] == ["digits", "wine", "Across datasets"]
    _, said = of(classified(status="RUNNING"))
    assert said.notes[0] == ("", comparison_remarks(classified(status="RUNNING")))


def comparison_remarks(runs: pd.DataFrame) -> list[str]:
    remarks = compared(runs).remarks
    assert remarks
    return remarks


@pytest.mark.parametrize(
    ("datasets", "names"),
    [(("digits",), ["l1"]), (("digits", "wine"), ["l1, digits", "l1, wine"])],
)
def test_the_numbers_of_a_search_are_told(datasets: tuple[str, ...], names: list[str]) -> None:
    runs = classified(*datasets).assign(tuned="")
    assert of(runs)[1].tuned == []
    runs.loc[runs["technique"] == "l1", "tuned"] = "strength=0.01, lr=0.1"
    assert cells(of(runs)[1].tuned) == {
        "technique": names, "numbers": ["strength=0.01, lr=0.1"] * len(names)
    }  # fmt: skip
