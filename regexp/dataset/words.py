"""Columns of words most of which are numbers: written unusually, or with other words among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from regexp.dataset.data import DataError
from regexp.dataset.framed import WITHOUT_TARGET
from regexp.dataset.kinds import UNITS, cure, listed
from regexp.dataset.written import LEADING_ZEROS, NUMBER
from regexp.errors import few

FEW = 20
"""So many different numbers may be names, as marks and codes are; more are numbers."""

SPACES = " \u00a0\u2009\u202f"  # as separators of thousands: also unbreakable, thin and both
MINUS = "\u2212"

_THOUSANDS = re.compile(rf"[-+]?\d{{1,3}}([{SPACES}]\d{{3}})+(\.\d*)?", re.ASCII)
_COMMAS = re.compile(r"[-+]?\d[\d.]*(,\d+)+(\.\d*)?", re.ASCII)


def number_of(word: str, decimal: str) -> float | None:
    """The number that a word spells, `12%` and `$12` as 12; None if it spells none.

    A sign may be U+2212, thousands may be separated by a space of any kind, and one of `UNITS` may
    stand at either end, or between the sign and the number.
    """
    text = word.strip().replace(MINUS, "-")
    if unit := unit_of(text):
        text = (
            text.removesuffix(unit).rstrip() if text.endswith(unit) else text.replace(unit, "", 1)
        )
    if decimal == ",":
        text = "" if "." in text else text.replace(",", ".")
    if _THOUSANDS.fullmatch(text):
        text = re.sub(f"[{SPACES}]", "", text)
    return float(text) if NUMBER.fullmatch(text) else None


def unit_of(word: str) -> str:
    """The one sign of `UNITS` before or after a number; nothing if there is none, or are more."""
    text = word.strip()
    ends = text.lstrip("+-" + MINUS)[:1] + text[-1:]
    found = [sign for sign in ends if sign in UNITS]
    return found[0] if len(found) == 1 else ""


@dataclass(frozen=True)
class Words:
    """What the words of a CSV are taken for.

    Args:
        decimal: the character before the decimals of a number.
        missing, categorical: those settings, which cures keep.
    """

    decimal: str
    missing: tuple[str, ...]
    categorical: tuple[str, ...]

    def as_numbers(self, column: pd.Series, *, target: bool = False) -> pd.Series | None:
        """A column whose words are all numbers as these, [rows]; None of any other.

        Args:
            column: of an input, or of a target.
            target: whether it is a target.

        Raises:
            DataError: it holds more than `FEW` different numbers, and other words, which are fewer;
                or numbers of more than one unit.
        """
        numbers = self._numbers(column)
        if numbers and None not in numbers.values():
            check_units(
                column.name,
                list(numbers),
                "write all in one way, or name it in dataset.categorical",
            )
            return column.map(numbers, na_action="ignore").astype(float)
        others = _others(numbers)
        found = len(numbers) - len(others)
        # Points where commas were asked for; commas for points are told by `is_category`.
        other_way = not others and any(
            number_of(word, ".") is not None for word in _unread(numbers)
        )
        if found > len(others) and (other_way or (others and found > FEW)):
            raise DataError(
                f"column {column.name!r} has {found} different numbers, and beside them "
                f"{few([repr(word) for word in others or _unread(numbers)])}; "
                + self._cures(str(column.name), numbers, others, target=target)
            )
        return None

    def among(self, column: pd.Series) -> list[str]:
        """The words of a column that are no numbers, where most are; none of any other column."""
        numbers = self._numbers(column)
        others = _others(numbers)
        return others if 2 * len(others) < len(numbers) else []

    def told(self, spelled: Mapping[str, str], among: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """A line on inputs that became numbers, and one on categories with numbers among them.

        Args:
            spelled: a word of each column that `as_numbers` made numbers of.
            among: the words of each that stayed a category.
        """
        if spelled:
            examples = few([repr(word) for word in spelled.values()])
            yield (
                f"{listed(list(spelled))} read as numbers, written as {examples}; for categories: "
                f"{cure('categorical', [*self.categorical, *spelled])}"
            )
        if among:
            words = list(dict.fromkeys(word for others in among.values() for word in others))
            yield (
                f"{listed(list(among))} read as categories, though most words are numbers; if "
                f"{few([repr(word) for word in words])} stand for missing numbers: "
                f"{cure('missing', [*self.missing, *words])}; if not: "
                f"{cure('categorical', [*self.categorical, *among])}"
            )

    def _numbers(self, column: pd.Series) -> dict[str, float | None]:
        """The different words of a column of text, with the number that each spells."""
        if pd.api.types.infer_dtype(column, skipna=True) != "string":
            return {}
        return {word: number_of(word, self.decimal) for word in column.dropna().unique()}

    def told_of_target(self, column: pd.Series) -> Iterator[str]:
        """A line on classes with numbers among them, if most are."""
        if others := self.among(column):
            yield (
                f"target {column.name!r} read as classes, though most words are numbers; if "
                f"{few([repr(word) for word in others])} stand for missing numbers: "
                f"{self._missing(others, target=True)}; if not: 'dataset.task=classification'"
            )

    def _cures(
        self,
        name: str,
        numbers: Mapping[str, float | None],
        others: Sequence[str],
        *,
        target: bool,
    ) -> str:
        otherwise = f"if it is a category, {cure('categorical', [*self.categorical, name])}"
        if target:
            otherwise = "if all are classes, 'dataset.task=classification'"
        if len(others) < len(_unread(numbers)):
            return (
                "write all numbers in one way, with a point before the decimals, or with a comma "
                f"and 'dataset.decimal=\",\"'; {otherwise}"
            )
        missing = self._missing(others, target=target)
        return f"if these stand for missing numbers, set {missing}; {otherwise}"

    def _missing(self, others: Sequence[str], *, target: bool) -> str:
        also = f" {WITHOUT_TARGET}" if target else ""
        return cure("missing", [*self.missing, *others]) + also


def _unread(numbers: Mapping[str, float | None]) -> list[str]:
    return [word for word, number in numbers.items() if number is None]


def _others(numbers: Mapping[str, float | None]) -> list[str]:
    """Words that are numbers with neither a point nor commas."""
    return [
        word
        for word, number in numbers.items()
        if number is None and number_of(word, ".") is None and not _COMMAS.fullmatch(word.strip())
    ]


def told_of_text(
    frame: pd.DataFrame, levels: Sequence[str], categorical: Sequence[str]
) -> Iterator[str]:
    """A line on categories of a file with types that are text, and most of whose words are numbers.

    They stay what they are: somebody wrote text.

    Args:
        frame: the columns.
        levels: the names of those that are categories.
        categorical: the setting, which the cure keeps.
    """
    found = []
    for name in levels:
        words = frame[name].dropna().unique()
        if name in categorical or pd.api.types.infer_dtype(words, skipna=True) != "string":
            continue
        numbers = [word for word in words if number_of(word, ".") is not None]
        codes = any(re.fullmatch(LEADING_ZEROS, word.strip()) for word in words)
        if len(numbers) > FEW and 2 * len(numbers) > len(words) and not codes:
            found.append(name)
    if found:
        yield (
            f"{listed(found)} read as categories, as the file has them as text, though most words "
            "are numbers; if they are amounts, write them as numbers into the file; if not: "
            f"{cure('categorical', [*categorical, *found])}"
        )


def check_units(name: object, words: Sequence[str], cure: str) -> None:
    """Raise DataError where numbers of a column have different signs of `UNITS`, or some none."""
    first = {unit_of(word): word for word in reversed(words)}
    if len(first) > 1:
        words = [repr(word) for word in first.values()]
        raise DataError(f"column {name!r} has numbers of different units ({few(words)}); {cure}")
