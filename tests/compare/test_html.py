"""The page: it says what was compared, needs nothing else, and takes no name for markup."""

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from matplotlib.figure import Figure

from regexp.compare import compare
from regexp.compare.comparison import Comparison
from regexp.compare.figures import Picture
from regexp.compare.html import MARKS, SCRIPT, _digest, _intervals, render
from tests.compare.sources import Source, classified

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


def of(*datasets: str, name: str = "an ablation", **columns: Any) -> Comparison:
    runs = classified(*datasets, **columns)
    return compare(Source({"a" * 32: runs}), ["a" * 32], names={"a" * 32: name})


def words(text: str) -> str:
    return " ".join("".join(Page(text).texts).split())


def picture(name: str = "forest_digits", title: str = "Forest") -> Picture:
    figure = Figure()
    figure.subplots().set_title(title, parse_math=False)
    return Picture(name, title, "What is seen.", figure)


def test_the_page_answers_in_order() -> None:
    said = words(render(of(), [picture()]))
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


def test_every_verdict_stands_in_it() -> None:
    comparison = of("digits", "wine")
    said = words(render(comparison))
    for verdict in comparison.table["verdict"]:
        assert verdict in said
    assert said.count("baseline") >= 2
    assert MARKS["helps"] in said
    assert "Friedman's test over 2 datasets and 4 techniques" in said


def test_elements_are_closed_and_nothing_is_fetched() -> None:
    page = Page(render(of("digits", "wine", "iris", "a"), [picture()]))
    assert not page.open
    for _, name, value in page.attributes:
        assert name not in ("src", "srcset", "action", "data", "background")
        assert not name.startswith("on")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    assert page.seen.count("script") == 1
    assert "link" not in page.seen
    assert "base" not in page.seen


def test_ids_are_unique() -> None:
    page = Page(render(of(), [picture("one"), picture("two")]))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 2


def test_only_the_own_script_may_run() -> None:
    text = render(of())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1] or "default-src 'none'" in policy[1]
    assert f"script-src 'sha256-{html.unescape(_digest(SCRIPT))}'" in html.unescape(policy[1])
    assert f"<script>{SCRIPT}</script>" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_no_markup(name: str) -> None:
    plain = Page(render(of(), [picture()]))
    runs = classified(name, setting=f"x={name}")
    runs["technique"] = runs["technique"].replace({"dropout": name, "l1": f"l1{name}"})
    runs["variant"] = runs["technique"].map(lambda one: "" if one == "none" else name)
    comparison = compare(Source({name: runs}), [name], names={name: name})
    page = Page(render(comparison, [picture(title=name)]))
    assert page.seen.count("script") == plain.seen.count("script") == 1
    assert page.seen.count("style") == plain.seen.count("style")
    assert "img" not in page.seen
    assert not [attribute for _, attribute, _ in page.attributes if attribute.startswith("on")]
    shown = "".join(page.texts)
    assert name in shown.replace("\u200b", "")


def test_intervals_are_drawn_in_their_place() -> None:
    drawn = _intervals(of().table)
    assert drawn[0] is None
    for one, (_, row) in zip(drawn[1:], of().table.iloc[1:].iterrows(), strict=True):
        assert one
        assert 0 <= one["low"] < one["middle"] < one["high"] <= 120
        assert (one["middle"] > 60) == (row["difference"] > 0) or abs(row["difference"]) < 1e-9


def test_a_page_without_verdicts_is_a_page() -> None:
    runs = classified(techniques=("none",), seeds=1)
    comparison = compare(Source({"a": runs}), ["a"])
    page = Page(render(comparison))
    assert not page.open
    assert "Nothing is compared with none yet." in " ".join(page.texts)
