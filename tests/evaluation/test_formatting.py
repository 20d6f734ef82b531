"""Numbers as text never claim more than they know."""

import numpy as np
import pytest

from mcdrop.evaluation import formatting


@pytest.mark.parametrize("value", [1e-12, 1e-5, 0.0004, 0.5, 0.9996, 0.99999, 1 - 1e-12])
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_a_share_reads_0_or_100_only_when_it_is_so(value, decimals):
    assert formatting.percent(value, decimals).lstrip("<>") not in ("0%", "0.0%", "0.00%")
    assert formatting.percent(value, decimals) not in ("100%", "100.0%", "100.00%")


@pytest.mark.parametrize(("value", "text"), [(0.0, "0%"), (1.0, "100%")])
def test_an_exact_share_reads_so(value, text):
    assert formatting.percent(value, 2) == text


def test_the_ends_of_an_interval_are_no_false_0_or_100_either():
    text = formatting.interval(0.00001, 0.99999, as_percent=True, decimals=1)
    assert text == "[0.001, 99.999]"


@pytest.mark.parametrize("value", [1e-9, -1e-9, 0.00004, -0.00004])
def test_a_small_number_keeps_a_digit(value):
    digits = formatting.number(value, 3).split("e")[0]
    assert any(digit in digits for digit in "123456789")


def test_what_is_not_a_number_is_a_dash():
    assert formatting.number(np.nan) == formatting.percent(np.nan) == formatting.number(None) == "–"


def test_infinite_values_are_drawn_as_such():
    assert [formatting.number(sign * np.inf) for sign in (1, -1)] == ["∞", "−∞"]


def test_decimals_show_two_digits_of_the_half_width():
    assert [formatting.decimals_for(half) for half in (250.0, 25.0, 2.5, 0.25, 0.025)] == [
        0,
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("half", [0.0, np.nan, np.inf])
def test_decimals_without_an_interval_are_the_default(half):
    assert formatting.decimals_for(half, default=2) == 2


def test_a_huge_number_is_written_with_an_exponent():
    assert formatting.number(1.5e9) == "1.500e+09"
