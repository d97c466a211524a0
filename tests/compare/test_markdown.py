"""The Markdown: a page, a study's, and a description that MLflow does not cut."""

import re
from dataclasses import replace

import pytest

from regexp.compare.document import AcrossPart, Document, FamilyPart, document
from regexp.compare.markdown import description, escaped, page, study_page
from regexp.compare.tables import Column
from regexp.tracking.names import TAG_LENGTH
from tests.compare.sources import classified, compared

NAN = float("nan")
TABLE = [
    Column("technique", ["none", "x | y\n<b>"], words=True),
    Column("vs none", ["–", "+0.5"], [NAN, 0.5]),
    Column("verdict", ["", "helps"], words=True),
]
DOCUMENT = Document(
    title="t\n# title <script>",
    facts=[("dataset", "digits")],
    answers=[("", "x helps.")],
    details=[],
    lower_is_better=False,
    families=[FamilyPart("", ["baseline", "helps"], [(NAN, NAN, NAN)] * 2, *[TABLE] * 4)],
    across=None,
    tuned=[],
    notes=[("", ["A note."])],
    commands=["regexp compare a", "regexp rerun --sweep a"],
)
ROWS = """\
| technique | vs none | verdict |
| --- | ---: | --- |
| none | – | – |
| x \\| y\\\\n&lt;b> | +0.5 | helps |"""


def test_a_page() -> None:
    assert page(DOCUMENT) == (
        "# t\\\\n# title &lt;script>\n\n- dataset: digits\n\n## Answer\n\nx helps.\n\n"
        f"## Verdicts\n\n{ROWS}\n\n### Tests\n\n{ROWS}\n\n### Scores and costs\n\n{ROWS}\n\n"
        "## Method\n\n- A note.\n\n"
        "## Again\n\n```bash\nregexp compare a\nregexp rerun --sweep a\n```\n"
    )


def test_a_study_has_answer_verdicts_and_ranks_but_no_ids() -> None:
    assert study_page(DOCUMENT) == (
        f"**Answer.** x helps.\n\n## Verdicts\n\n{ROWS}\n\n## Method\n\n- A note.\n\n"
        "All numbers: [results.csv](results.csv).\n"
    )


def test_of_several_datasets_all_have_their_headings() -> None:
    [family] = DOCUMENT.families
    both = replace(
        DOCUMENT,
        families=[replace(family, name="digits"), replace(family, name="wine")],
        answers=[("across 2 datasets", "x is better."), ("digits", "x helps.")],
        details=[("wine", "x hurts.")],
        across=AcrossPart("Friedman's test.", TABLE),
        tuned=TABLE[:1],
        notes=[("digits", ["One."]), ("wine", ["Two."])],
    )
    answer = "- **across 2 datasets**: x is better.\n- **digits**: x helps.\n- **wine**: x hurts."
    shared = [
        f"## Across datasets\n\nFriedman's test.\n\n{ROWS}\n\n",
        "## Numbers that were chosen on validation data\n\n| technique |\n| --- |\n| none |\n",
        "## Method\n\ndigits:\n\n- One.\n\nwine:\n\n- Two.\n\n",
    ]
    for text, headings in (
        (page(both), [f"## Answer\n\n{answer}\n\n", "## Verdicts: digits\n\n",
                      "### Scores and costs: wine\n\n"]),
        (study_page(both), [f"**Answer.**\n\n{answer}\n\n", "## Verdicts\n\n### digits\n\n",
                       "### wine\n\n"]),
    ):  # fmt: skip
        for part in [*headings, *shared]:
            assert part in text


def test_the_description_has_answer_and_table() -> None:
    text = description(document(compared(classified())))
    lines = text.splitlines()
    assert lines[0].startswith("Use dropout: it helps on this split, +6.00 points against none ")
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
    runs = classified(*names, techniques=techniques, seeds=2)
    text = description(document(compared(runs, name="x" * 9000)))
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
