"""Values with their intervals as text: as many digits as the interval supports, one rule for all.

The precision of a number is that of its interval, two digits of its half width; the numbers of
a row that are read beside each other share the coarsest precision that they need.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mcdrop.evaluation.records import Estimate

MINUS = "\N{MINUS SIGN}"
MISSING = "–"
DIGITS = 4
"""Significant digits of a number without an interval."""

_MAX_DECIMALS = 6

_NEGLIGIBLE = 1e-9
"""Half width of an interval, relative to the value, below which it is rounding."""


def decimals_for(half_width: float, default: int = 3) -> int:
    """Returns the decimals that show an interval's half width with two digits.

    Example:
        >>> decimals_for(0.23), decimals_for(2.3), decimals_for(230.0)
        (2, 1, 0)
    """
    if not math.isfinite(half_width) or half_width <= 0:
        return default
    return min(max(1 - math.floor(math.log10(half_width)), 0), _MAX_DECIMALS)


def decimals_of(estimates: Iterable[Estimate | None], *, as_percent: bool = False) -> int | None:
    """Returns the decimals that the numbers of one row share; None where no interval tells.

    Of several intervals the narrowest decides, so that no number of the row loses digits.

    Example:
        >>> decimals_of([Estimate(0.5, 0.4, 0.6), Estimate(0.52, 0.51, 0.53)])
        3
    """
    scale = 100.0 if as_percent else 1.0
    needed = [
        decimals_for(scale * (each.high - each.low) / 2.0)
        for each in estimates
        if each is not None and _has_width(each)
    ]
    return max(needed) if needed else None


def _has_width(estimate: Estimate) -> bool:
    half = (estimate.high - estimate.low) / 2.0
    return math.isfinite(half) and half > _NEGLIGIBLE * abs(estimate.value)


def estimate_text(
    estimate: Estimate | None, decimals: int | None = None, *, as_percent: bool = False
) -> str:
    """Returns a value with its interval in brackets, or alone where it has none.

    Args:
        estimate: None gives a dash.
        decimals: Decimals of all three numbers; None to follow the interval.
        as_percent: Whether to show a share of 1 in percent.

    Example:
        >>> estimate_text(Estimate(0.95, 0.92, 0.97)), estimate_text(Estimate(12.0, 12.0, 12.0))
        ('0.950 [0.920, 0.970]', '12')
        >>> estimate_text(Estimate(0.95, 0.92, 0.97), as_percent=True)
        '95.0% [92.0, 97.0]'
    """
    if estimate is None:
        return "-"
    if decimals is None:
        decimals = decimals_of([estimate], as_percent=as_percent)
    value = value_text(estimate.value, decimals, as_percent=as_percent)
    if math.isnan(estimate.low) or not _has_width(estimate):
        return value
    ends = interval(estimate.low, estimate.high, as_percent=as_percent, decimals=decimals or 0)
    return f"{value} {ends}"


def value_text(value: float, decimals: int | None, *, as_percent: bool = False) -> str:
    """Returns a number with fixed decimals, or with four digits where no interval tells.

    Example:
        >>> value_text(0.123456, None), value_text(0.123456, 2), value_text(0.5, 1, as_percent=True)
        ('0.1235', '0.12', '50.0%')
    """
    if decimals is None:
        scaled = 100.0 * value if as_percent else value
        text = f"{scaled:.{DIGITS}g}".replace("-", MINUS) if math.isfinite(value) else number(value)
        return f"{text}%" if as_percent and math.isfinite(value) else text
    return percent(value, decimals) if as_percent else number(value, decimals)


def number(value: float | None, decimals: int = 3) -> str:
    """Returns a number with a fixed count of decimals; a tiny one keeps a leading digit.

    Example:
        >>> number(0.12345), number(-2.0, 1), number(0.00001234), number(None)
        ('0.123', '−2.0', '1.2e−05', '–')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{decimals}f}"
    if value != 0 and float(text) == 0:
        text = f"{value:.2g}" if abs(value) >= 1e-4 else f"{value:.1e}"
    if abs(value) >= 1e7:
        text = f"{value:.3e}"
    return text.replace("-", MINUS)


def significant(value: float | None) -> str:
    """Returns a number with four significant digits, as thresholds are shown.

    Example:
        >>> significant(0.0831249), significant(1.25), significant(123456.7)
        ('0.08312', '1.250', '123457')
    """
    if value is None or not math.isfinite(value):
        return number(value)
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}"
    return text.replace("-", MINUS)


def percent(fraction: float | None, decimals: int = 1) -> str:
    """Returns a fraction as a percentage that reads 0 or 100 only when it is exactly so.

    Example:
        >>> percent(0.5), percent(1.0), percent(0.99996), percent(0.00001)
        ('50.0%', '100%', '99.996%', '0.001%')
        >>> percent(1 - 1e-9), percent(1e-9), percent(-0.031)
        ('>99.9999%', '<0.0001%', '−3.1%')
    """
    if fraction is None or math.isnan(fraction):
        return MISSING
    if fraction in (0.0, 1.0):
        return f"{fraction:.0%}"
    return f"{_hundredths(fraction, decimals)}%"


def whole_percent(fraction: float) -> str:
    """Returns a share in whole percent where there is room for no more.

    Example:
        >>> whole_percent(0.42), whole_percent(0.002), whole_percent(0.999), whole_percent(1.0)
        ('42%', '<1%', '>99%', '100%')
    """
    if 0.0 < fraction < 0.005:
        return "<1%"
    if 0.995 <= fraction < 1.0:
        return ">99%"
    return f"{fraction:.0%}"


def signed(value: float | None, decimals: int = 3) -> str:
    """Returns a number with its sign, as differences are shown.

    Example:
        >>> signed(0.25, 2), signed(-0.25, 2)
        ('+0.25', '−0.25')
    """
    text = number(value, decimals)
    return f"+{text}" if value is not None and value > 0 else text


def count(value: int) -> str:
    """Returns a count with thousands separated by a thin space.

    Example:
        >>> count(10000) == "10\u202f000"
        True
    """
    return f"{value:,}".replace(",", "\u202f")


def plural(value: int, noun: str, plural_noun: str = "") -> str:
    """Returns a count with its noun in the right number.

    Example:
        >>> plural(1, "pass", "passes"), plural(2, "example")
        ('1 pass', '2 examples')
    """
    return f"{count(value)} {noun if value == 1 else plural_noun or noun + 's'}"


def joined(parts: Sequence[str]) -> str:
    """Returns words as a list in a sentence.

    Example:
        >>> joined(["a"]), joined(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def interval(low: float, high: float, *, as_percent: bool, decimals: int) -> str:
    """Returns both ends of an interval within brackets.

    Example:
        >>> interval(0.912, 0.95, as_percent=True, decimals=1)
        '[91.2, 95.0]'
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    if as_percent:
        low_text, high_text = (_hundredths(end, decimals) for end in (low, high))
    else:
        low_text, high_text = number(low, decimals), number(high, decimals)
    return f"[{low_text}, {high_text}]"


def _hundredths(fraction: float, decimals: int) -> str:
    """Returns 100 times a fraction; more decimals are added before it may read 0 or 100."""
    scaled = fraction * 100.0
    if fraction in (0.0, 1.0):
        return f"{scaled:.0f}"
    for places in range(decimals, max(decimals, 4) + 1):
        text = f"{scaled:.{places}f}"
        if float(text) not in (0.0, 100.0):
            return text.replace("-", MINUS)
    least = 10.0**-places
    if fraction > 0.5:
        return f">{100.0 - least:.{places}f}" if fraction < 1 else f"{scaled:.{places}f}"
    return f"<{least:.{places}f}" if fraction > 0 else f">{MINUS}{least:.{places}f}"
