"""Numbers of a comparison as text, rounded honestly: intervals outwards, what was not seen up."""

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from regexp.compare.metric import PLAIN, Unit
from regexp.compare.statistics import ALPHA

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"
MINUS = "−"
_DIGITS = 12  # after the point, at most


def rounded(
    value: float,
    digits: int,
    rounding: str = ROUND_HALF_EVEN,
    *,
    unit: Unit = PLAIN,
    sign: bool = False,
) -> str:
    """A number in its unit, with its sign as typography has it; of a large one three digits.

    Args:
        value: in the metric's own numbers; NaN where there is none.
        digits: after the point.
        rounding: of `decimal`.
        unit: in which it is written.
        sign: whether a positive one has a plus.
    """
    if math.isnan(value):
        return NOTHING
    value = float(value) * unit.factor
    if not math.isfinite(value):
        return f"{MINUS if value < 0 else ''}∞"
    exact = Decimal(repr(value))
    if abs(value) >= 1e6:
        text = f"{exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding):.2e}"
    else:
        text = format(exact.quantize(Decimal(1).scaleb(-min(digits, _DIGITS)), rounding), "f")
    if float(text) == 0:
        return text.lstrip("-")
    return text.replace("-", MINUS, 1) if value < 0 else f"{'+' if sign else ''}{text}"


def digits_of(value: float, unit: Unit) -> int:
    """Digits after the point with which a number shows two that count."""
    size = abs(value) * unit.factor
    return max(0, 1 - math.floor(math.log10(size))) if 0 < size < math.inf else 0


def counted_digits(value: float, unit: Unit, digits: int) -> str:
    """A number with at least so many digits that count, none of them before the point lost."""
    known = math.isfinite(value) and value != 0
    after_point = max(0, digits_of(value, unit) + digits - 2) if known else 0
    return rounded(value, after_point, unit=unit)


def upwards(value: float, unit: Unit) -> str:
    """The size of a number, rounded up to two digits that count."""
    return rounded(value, digits_of(value, unit), ROUND_CEILING, unit=unit)


def least_text(value: float, unit: Unit) -> str:
    """The least gain that matters, as it was asked, or with three digits that count."""
    text = counted_digits(value, unit, 3)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def interval_text(
    low: float,
    high: float,
    digits: int,
    unit: Unit,
    *,
    sign: bool = False,
    between: str = " to ",
) -> tuple[str, int]:
    """`+1.9 to +3.4`, rounded outwards, and the digits after the point that it has.

    One that leaves out zero is not to be read as one that does not: it gets more digits.
    """
    while True:
        ends = [
            rounded(low, digits, ROUND_FLOOR, unit=unit, sign=sign),
            rounded(high, digits, ROUND_CEILING, unit=unit, sign=sign),
        ]
        apart = all(set(end) & set("123456789∞") for end in ends)
        if apart or (low <= 0 <= high) or digits >= _DIGITS:
            return between.join(ends), digits
        digits += 1


def in_ascii(text: str) -> str:
    """A number as a terminal has it, which may know no other letters."""
    return "-" if text == NOTHING else text.replace(MINUS, "-").replace("∞", "inf")


def scores(means: Iterable[float], stds: Iterable[float], unit: Unit) -> list[str]:
    """`92.6 ± 1.4`: means with the digits that their standard deviations make worth showing.

    Args:
        means, stds: of one column, in the metric's own numbers; NaN where there is none.
        unit: in which they are written.
    """
    stds = list(stds)
    digits = common(stds, unit, 2 if unit.factor != 1 else 4)
    return [
        rounded(mean, digits, unit=unit)
        + ("" if math.isnan(mean) or math.isnan(std) else f" ± {rounded(std, digits, unit=unit)}")
        for mean, std in zip(means, stds, strict=True)
    ]


def differences(rows: "pd.DataFrame", unit: Unit, prefix: str = "") -> list[tuple[str, str]]:
    """Mean differences and their intervals: ("+2.6", "+1.9 to +3.4").

    Args:
        rows: of a comparison's table, one dataset and setting.
        unit: in which they are written.
        prefix: of the columns `low` and `high`.
    """
    lows, highs = rows[f"{prefix}low"], rows[f"{prefix}high"]
    digits = common([(high - low) / 2 for low, high in zip(lows, highs, strict=True)], unit, 0)
    return [
        _difference(float(mean), float(low), float(high), unit, digits)
        for mean, low, high in zip(rows["difference"], lows, highs, strict=True)
    ]


def _difference(mean: float, low: float, high: float, unit: Unit, digits: int) -> tuple[str, str]:
    if math.isnan(mean):
        return NOTHING, NOTHING
    if math.isnan(low):
        digits = digits_of(mean, unit) if math.isfinite(mean) else 0
        return rounded(mean, digits, unit=unit, sign=True), NOTHING
    ends, digits = interval_text(low, high, digits, unit, sign=True)
    return rounded(mean, digits, unit=unit, sign=True), ends


def common(spreads: Iterable[float], unit: Unit, without: int) -> int:
    """Digits after the point for a column of numbers with these spreads: those of the middle one.

    Args:
        spreads: in the metric's own numbers; what is NaN or 0 tells nothing.
        unit: in which they are written.
        without: digits where no spread is known.
    """
    known = sorted(spread for spread in map(float, spreads) if math.isfinite(spread) and spread > 0)
    return digits_of(known[len(known) // 2], unit) if known else without


def p_text(p: float, level: float = ALPHA) -> str:
    """`0.012`, `<0.001`: with digits enough to tell it from the level that it is held to."""
    if math.isnan(p):
        return NOTHING
    least = min(0.001, level)
    if p < least:
        return f"<{least:g}"
    texts = (f"{p:.{digits}g}" for digits in range(2, 17))
    return next(text for text in texts if (float(text) < level) == (p < level))


def relation(p: float, level: float = ALPHA) -> str:
    """A p-value for a sentence: `= 0.012`, `< 0.001`."""
    text = p_text(p, level)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def error_text(probability: float) -> str:
    """A probability of error: `4.5%`, `0.94%`."""
    return f"{100 * probability:.2g}%"


def percent(probability: float) -> str:
    """`93%`, rounded down; never 100%."""
    if math.isnan(probability):
        return NOTHING
    return f"{min(math.floor(100 * probability + 1e-9), 99)}%"
