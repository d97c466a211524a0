"""What each technique of a cocktail carries: the comparison of the cocktail without it, in words.

Being left out is what is compared, so that what hurts to leave out carries something, and what
helps to leave out harms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare import formats
from regexp.compare.verdict import Judge

if TYPE_CHECKING:
    import pandas as pd

WITHOUT = "without "
"""Before the name of what is left out, in the variant of such runs."""

NONE = "none"

CARRIES, HARMS, LITTLE = "carries", "harms", "little, if anything"

USELESS = ("nothing that matters", "changes no score", "nothing that is seen", LITTLE)
"""What is said of a technique of which no use is seen."""

_WORDS = {
    "hurts": CARRIES,
    "probably hurts": f"probably {CARRIES}",
    "helps": HARMS,
    "probably helps": f"probably {HARMS}",
    "practically equal": USELESS[0],
    "did nothing": USELESS[1],
    "no evidence": USELESS[2],
    "no verdict": "no verdict",
}
"""The verdict on leaving a technique out -> what it does."""


@dataclass(frozen=True)
class Share:
    """What a technique carries of a cocktail.

    Attributes:
        name: of the technique; `none` of what the whole has over no technique.
        word: what it does, such as `carries`.
        gain: the cocktail's score less that without it, with sign and in the metric's unit;
            positive where it does good, whichever way is better of the metric.
        interval: the 95% interval.
    """

    name: str
    word: str
    gain: str
    interval: str

    def sentence(self, unit: str, of: str) -> str:
        """`dropout carries +1.1 points (95% interval +0.4 to +1.8) of the +2.3`.

        Args:
            unit: of the metric; may be empty.
            of: ends what is said of one that carries something.
        """
        size = f"{self.gain} {unit}".rstrip()
        ends = "" if self.interval == formats.NOTHING else f" (95% interval {self.interval})"
        if self.word.endswith(CARRIES):
            return f"{self.name} {self.word} {size}{ends}{of}."
        if self.word.endswith(HARMS):
            return f"{self.name} {self.word}: {size}{ends}."
        return f"{self.name}: {self.word}" + f"; {size}{ends}" * bool(ends) + "."


def shares_of(rows: pd.DataFrame, judge: Judge) -> list[Share]:
    """What techniques carry, the most first.

    A probable effect that is smaller than matters is little, if anything: of techniques that do
    nothing one in five is probably better or worse.

    Args:
        rows: of a comparison's table whose baseline is the whole cocktail.
        judge: how verdicts were given.
    """
    left = rows.assign(out=[_left_out(row) for _, row in rows.iterrows()])
    left = left[left["out"] != ""]
    if left.empty:
        return []
    gains = _differences(left, turned=not judge.metric.lower_is_better)
    order = gains["difference"].sort_values(ascending=False, kind="stable").index
    gains, left = gains.loc[order], left.loc[order]
    words = [
        LITTLE if outcome.startswith("probably") and size < judge.matters else _WORDS[outcome]
        for outcome, size in zip(left["outcome"], gains["difference"].abs(), strict=True)
    ]
    texts = formats.differences(gains, judge.metric.unit)
    return [
        Share(name, word, *text) for name, word, text in zip(left["out"], words, texts, strict=True)
    ]


_WORTH = {
    "hurts": "it is worse than the whole; stay with that",
    "probably hurts": "it is probably worse than the whole",
    "helps": "it is better than the whole",
    "probably helps": "it is probably better than the whole",
    "practically equal": "it is as good as the whole",
    "did nothing": "it is as good as the whole",
    "no evidence": "no difference to the whole is seen",
    "no verdict": "no verdict",
}
"""The verdict on a smaller cocktail -> what is said of it."""


def worth_of(rows: pd.DataFrame, judge: Judge, variant: str) -> str:
    """What a smaller cocktail is worth: "as good as the whole: +0.1 points (95% interval ...)".

    The number is a gain: above 0 where it is better than the whole, of errors too.

    Args:
        rows: of a comparison's table whose baseline is the whole cocktail.
        judge: how verdicts were given.
        variant: of the smaller one.
    """
    row = rows[rows["variant"] == variant]
    gain = _differences(row, turned=judge.metric.lower_is_better)
    [(size, interval)] = formats.differences(gain, judge.metric.unit)
    ends = "" if interval == formats.NOTHING else f" (95% interval {interval})"
    size = f"{size} {judge.metric.unit.name}".rstrip()
    return f"{_WORTH[row['outcome'].item()]}: {size}{ends}"


def _differences(rows: pd.DataFrame, *, turned: bool) -> pd.DataFrame:
    """The differences of rows with their intervals; `turned`: of the baseline to them."""
    found = rows[["difference", "low", "high"]].astype(float)
    return -found.rename(columns={"low": "high", "high": "low"}) if turned else found


def _left_out(row: pd.Series) -> str:
    """The technique that a row has left out; `none` of the row without any; else nothing."""
    variant = str(row["variant"])
    if variant.startswith(WITHOUT):
        return variant.removeprefix(WITHOUT)
    return NONE if row["technique"] == NONE else ""


def sentences(shares: Sequence[Share], judge: Judge) -> list[str]:
    """A line for each technique, the most useful first."""
    unit = judge.metric.unit.name
    whole = next((one for one in shares if one.name == NONE), None)
    helps = whole is not None and whole.word.endswith(CARRIES)
    of = f" of the {whole.gain} that the whole has over none" if whole and helps else ""
    lines = [one.sentence(unit, of) for one in shares if one is not whole]
    if len(lines) > 1:
        lines.append("They need not add up: techniques do each other's work, or need each other.")
    return lines
