"""Numbers of a comparison as text: in points where the metric is an accuracy, rounded honestly."""

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from regexp.compare.verdict import Unit, digits_of, probability, unit_of

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"
MINUS = "−"


def title_of(metric: str) -> str:
    """A metric with its unit, for the head of a column."""
    return f"{metric}, %" if unit_of(metric).name else metric


def scores(means: Iterable[float], stds: Iterable[float], unit: Unit) -> list[str]:
    """`92.6 ± 1.4`: means with the digits that their standard deviations make worth showing.

    Args:
        means, stds: of one column, in the metric's own numbers; NaN where there is none.
        unit: in which they are written.
    """
    stds = list(stds)
    digits = _common(stds, unit, 2 if unit.factor != 1 else 4)
    return [
        number(mean, unit, digits)
        + ("" if math.isnan(mean) or math.isnan(std) else f" ± {number(std, unit, digits)}")
        for mean, std in zip(means, stds, strict=True)
    ]


def number(value: float, unit: Unit, digits: int, *, sign: bool = False) -> str:
    """A number in its unit; of a very small or large one the digits that count.

    Args:
        value: in the metric's own numbers.
        unit: in which it is written.
        digits: after the point.
        sign: whether a positive one has a plus.
    """
    if math.isnan(value):
        return NOTHING
    return _signed(float(value) * unit.factor, digits, ROUND_HALF_EVEN, sign=sign)


def differences(table: "pd.DataFrame", unit: Unit, prefix: str = "") -> list[tuple[str, str]]:
    """Mean differences and their intervals, rounded outwards: ("+2.6", "+1.9 to +3.4").

    Args:
        table: of a comparison, one dataset and setting.
        unit: in which they are written.
        prefix: of the columns `low` and `high`.
    """
    lows, highs = table[f"{prefix}low"], table[f"{prefix}high"]
    digits = _common([(high - low) / 2 for low, high in zip(lows, highs, strict=True)], unit, 0)
    return [
        _difference(float(mean), float(low), float(high), unit, digits)
        for mean, low, high in zip(table["difference"], lows, highs, strict=True)
    ]


def _difference(mean: float, low: float, high: float, unit: Unit, digits: int) -> tuple[str, str]:
    if math.isnan(mean):
        return NOTHING, NOTHING
    if math.isnan(low):
        digits = digits_of(mean, unit) if math.isfinite(mean) else 0
        return number(mean, unit, digits, sign=True), NOTHING
    low, high = low * unit.factor, high * unit.factor

    def ends() -> list[str]:
        return [
            _signed(low, digits, ROUND_FLOOR, sign=True),
            _signed(high, digits, ROUND_CEILING, sign=True),
        ]

    # An interval that leaves out zero is not to be read as one that does not.
    while digits < 12 and low * high > 0 and not all(set(end) & set("123456789") for end in ends()):
        digits += 1
    return number(mean, unit, digits, sign=True), " to ".join(ends())


def _common(spreads: Sequence[float], unit: Unit, without: int) -> int:
    """Digits after the point for a column of numbers with these spreads: those of the middle one.

    Args:
        spreads: in the metric's own numbers; what is NaN or 0 tells nothing.
        unit: in which they are written.
        without: digits where no spread is known.
    """
    known = sorted(one for one in map(float, spreads) if math.isfinite(one) and one > 0)
    return digits_of(known[len(known) // 2], unit) if known else without


def upwards(value: float, unit: Unit) -> str:
    """The size of a number, rounded up to two digits that count.

    Args:
        value: in the metric's own numbers.
        unit: in which it is written.
    """
    return _signed(float(value) * unit.factor, digits_of(value, unit), ROUND_CEILING)


def p_value(value: float) -> str:
    """`0.012`, `<0.001`."""
    if math.isnan(value):
        return NOTHING
    return probability(value).removeprefix("= ").replace("< ", "<")


def _signed(value: float, digits: int, rounding: str, *, sign: bool = False) -> str:
    """A number with its sign as typography has it."""
    if not math.isfinite(value):
        return f"{MINUS if value < 0 else ''}∞"
    exact = Decimal(repr(value))
    if abs(value) >= 1e6:
        text = f"{exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding):.2e}"
    else:
        text = format(exact.quantize(Decimal(1).scaleb(-min(digits, 12)), rounding), "f")
    text = text.lstrip("-") if float(text) == 0 else text
    plus = "+" if sign and float(text) > 0 else ""
    return plus + text.replace("-", MINUS, 1) if text.startswith("-") else plus + text
