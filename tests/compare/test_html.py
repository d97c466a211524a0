"""The page: it says what was compared, needs nothing else, and takes no name for markup."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from html import unescape
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from regexp.compare.document import document
from regexp.compare.figures import Picture, svg
from regexp.compare.html import MARKS, SCRIPT, drawn, page
from tests.compare.sources import classified, compared

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><style>*{display:none}",
    "</script><script>alert(2)",
    "{{ 7 * 7 }}{% include 'x' %}",
    "javascript:alert(3)",
    "&lt;b&gt;",
    "\x1b[31mred\nline",
)
VOID = {"meta", "br", "wbr", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page, and that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def of(*datasets: str, pictures: Sequence[Picture] = ()) -> str:
    return page(document(compared(classified(*datasets)), pictures))


def words(text: str) -> str:
    return " ".join("".join(Page(text).texts).split())


def picture(name: str = "forest_digits", title: str = "Forest") -> Picture:
    figure = Figure()
    figure.subplots().set_title(title, parse_math=False)
    return Picture(name, title, "What is seen.", b"", svg(figure, name, title))


def test_the_page_answers_in_order() -> None:
    said = words(of(pictures=[picture()]))
    order = [
        "an ablation", "digits", "test/accuracy (higher is better)", "40 finished of 40",
        "1 of 3 techniques helps on this split", "Verdicts", " ± ",
        "helps on this split: 6.00 points higher", "Scores and costs", "Brier", "×1.50",
        "Pictures", "Forest", "What is seen.", "Method", "All runs share one split", "Again",
        f"regexp compare {'a' * 32}", f"regexp rerun --sweep {'a' * 32}",
    ]  # fmt: skip
    place = 0
    for part in order:
        place = said.find(part, place)
        assert place >= 0, part


def test_every_outcome_has_its_mark_and_verdict() -> None:
    comparison = compared(classified("digits", "wine"))
    said = words(page(document(comparison)))
    for _, row in comparison.table.iterrows():
        assert f"{MARKS[row['outcome']]} {row['outcome']}".strip() in said
        assert row["verdict"] in said
    assert "Friedman's test over 2 datasets and 4 techniques" in said
    assert "One by one" not in said
    assert "One by one a: Use dropout: it helps on this split" in words(of("a", "b", "c", "d"))


def test_elements_are_closed_and_nothing_is_fetched() -> None:
    parsed = Page(of("digits", "wine", "iris", "a", pictures=[picture()]))
    assert not parsed.open
    for _, name, value in parsed.attributes:
        assert name not in ("src", "srcset", "action", "data", "background")
        assert not name.startswith("on")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    assert parsed.seen.count("script") == 1
    assert "link" not in parsed.seen
    assert "base" not in parsed.seen


def test_ids_are_unique() -> None:
    parsed = Page(of(pictures=[picture("one"), picture("two")]))
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 2


def test_only_the_script_of_the_page_may_run() -> None:
    text = of()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    digest = b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    rules = unescape(policy[1]).split("; ")
    assert {"default-src 'none'", f"script-src 'sha256-{digest}'"} <= set(rules)
    assert f"<script>{SCRIPT}</script>" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_no_markup(name: str) -> None:
    plain = Page(of(pictures=[picture()]))
    runs = classified(name, setting=f"x={name}")
    runs["technique"] = runs["technique"].replace({"dropout": name, "l1": f"l1{name}"})
    runs["variant"] = runs["technique"].map(lambda technique: "" if technique == "none" else name)
    comparison = compared(runs, name=name)
    parsed = Page(page(document(comparison, [picture(title=name)])))
    for tag in ("script", "style"):
        assert parsed.seen.count(tag) == plain.seen.count(tag)
    assert "img" not in parsed.seen
    assert not [attribute for _, attribute, _ in parsed.attributes if attribute.startswith("on")]
    assert "\x1b" not in "".join(parsed.texts)
    assert name.replace("\x1b", "\\x1b") in "".join(parsed.texts).replace("\u200b", "")


def test_intervals_are_drawn_in_their_place() -> None:
    nan = float("nan")
    none, better, worse, beyond = drawn(
        [(nan, nan, nan), (0.01, 0.02, 0.03), (-0.03, -0.02, 0.01), (5.0, 6.0, 7.0)]
    )
    assert none is None
    assert better is not None
    assert worse is not None
    assert beyond is not None
    assert 60 < better.low < better.middle < better.high <= 120
    assert 0 <= worse.low < worse.middle < 60 < worse.high
    assert (better.out, worse.out, beyond.out) == (False, False, True)
    assert beyond.high <= 120
    assert drawn([(nan, nan, nan), (nan, 0.1, nan)]) == []


def test_a_page_without_verdicts_is_a_page() -> None:
    parsed = Page(page(document(compared(classified(techniques=("none",), seeds=1)))))
    assert not parsed.open
    assert "none stands alone: nothing is compared with it." in " ".join(parsed.texts)
