"""The Markdown: a page, and a description that MLflow does not cut."""

import re
from typing import Any

import pytest

from regexp.compare import compare
from regexp.compare.comparison import Comparison
from regexp.compare.markdown import description, escaped, page, study
from regexp.tracking.names import TAG_LENGTH
from tests.compare.sources import Source, classified


def of(*datasets: str, name: str = "an ablation", **options: Any) -> Comparison:
    runs = classified(*datasets, **options)
    return compare(Source({"a" * 32: runs}), ["a" * 32], names={"a" * 32: name})


def test_the_description_has_answer_and_table() -> None:
    text = description(of())
    lines = text.splitlines()
    assert lines[0].startswith("1 of 3 techniques helps on this split: dropout (+6.00 points).")
    head = "| technique | test/accuracy, % | difference, points (95% interval) | verdict |"
    assert lines[2:4] == [head, "| --- | ---: | ---: | --- |"]
    assert re.fullmatch(r"\| none \| 8\d\.\d+ ± \d\.\d+ \| – \| baseline \|", lines[4])
    assert re.fullmatch(
        r"\| dropout \| 9\d\.\d+ ± \d\.\d+ \| \+6\.00 \(\+\d\.\d+ to \+\d\.\d+\) \| helps \|",
        lines[5],
    )
    assert [line.split(" | ")[0] for line in lines[6:8]] == ["| l2", "| l1"]
    assert lines[-1] == "More, with pictures: the artifact `comparison/comparison.html`."


@pytest.mark.parametrize(("count", "datasets"), [(30, 1), (200, 1), (20, 3), (4, 40)])
def test_a_description_is_never_cut_by_mlflow(count: int, datasets: int) -> None:
    techniques = ("none", *(f"technique_of_a_long_name_{index}" for index in range(count)))
    names = [f"dataset_{index}" for index in range(datasets)]
    text = description(of(*names, techniques=techniques, seeds=2, name="x" * 9000))
    assert len(text) < TAG_LENGTH
    assert text.endswith("`comparison/comparison.html`.\n")
    left = re.search(r"(\d+) rows left out here", text)
    rows = len(re.findall(r"^\| (?:none|technique_)", text, re.MULTILINE))
    assert rows + (int(left[1]) if left else 0) == (count + 1) * datasets
    if rows:
        assert "| none |" in text


def test_names_stay_what_they_are() -> None:
    assert escaped("batch_norm+l1 (a=1)") == "batch_norm+l1 (a=1)"
    assert escaped("p < 0.001 & so on") == "p < 0.001 & so on"
    assert escaped("a|b *c* [x](y) `z`") == "a\\|b \\*c\\* \\[x\\](y) \\`z\\`"
    assert escaped("<img src=x>&lt;") == "&lt;img src=x>&amp;lt;"
    assert escaped("one\ntwo\t3") == "one\\\\ntwo\\\\t3"


def test_no_name_breaks_a_table() -> None:
    runs = classified("a|b\n| c")
    runs["technique"] = runs["technique"].replace({"dropout": "x | y\n<b>"})
    comparison = compare(Source({"a": runs}), ["a"], names={"a": "t\n# title <script>"})
    for text in (page(comparison), description(comparison)):
        assert "<b>" not in text
        assert "<script>" not in text
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == (text == page(comparison))
        tables = [line for line in text.splitlines() if line.startswith("| ")]
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in tables[:6]}
        assert len(columns) == 1


def test_the_page_says_what_the_html_says() -> None:
    comparison = of("digits", "wine")
    text = page(comparison)
    for part in (
        "# an ablation", "## Answer", "## Verdicts: digits", "### Scores and costs: wine",
        "## Across datasets", "## Method", "## Again", "- **across 2 datasets**: ",
        f"regexp compare {'a' * 32} --metric test/accuracy",
    ):  # fmt: skip
        assert part in text
    for verdict in comparison.table["verdict"]:
        assert verdict in text
    for notes in comparison.notes.values():
        assert all(escaped(note) in text for note in notes)


def test_what_differs_between_datasets_is_noted_by_dataset() -> None:
    import pandas as pd

    runs = pd.concat([classified("digits"), classified("wine", split="seed")], ignore_index=True)
    text = page(compare(Source({"a": runs}), ["a"]))
    assert "\ndigits:\n\n- All runs share one split" in text
    assert "\nwine:\n\n- Every seed splits the data anew" in text


def test_a_study_has_answer_verdicts_and_ranks_but_no_ids() -> None:
    one, two = study(of()), study(of("digits", "wine"))
    assert one.startswith("**Answer.** 1 of 3 techniques helps")
    assert two.startswith("**Answer.**\n\n- **across 2 datasets**")
    assert "## Across datasets" not in one
    assert "## Across datasets" in two
    for text in (one, two):
        assert "## Method" in text
        assert text.endswith("All numbers: [results.csv](results.csv).\n")
        assert "a" * 32 not in text


def test_the_numbers_of_a_search_are_told() -> None:
    runs = classified().assign(tuned="")
    assert "Numbers that were chosen" not in study(compare(Source({"a": runs}), ["a"]))
    runs.loc[runs["technique"] == "l1", "tuned"] = "strength=0.01, lr=0.1"
    text = study(compare(Source({"a": runs}), ["a"]))
    assert "| technique | numbers |\n| --- | --- |\n| l1 | strength=0.01, lr=0.1 |\n\n" in text
