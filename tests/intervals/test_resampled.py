import numpy as np
import pytest

from mcdrop import intervals


def test_missing_replicates_are_left_out_until_most_are_missing():
    values = np.linspace(0.0, 1.0, 101)
    some = np.where(np.arange(101) % 3 == 0, np.nan, values)
    assert intervals.pseudo(some, some).low == pytest.approx(0.025, abs=0.02)
    most = np.where(values > 0.3, np.nan, values)
    found = intervals.pseudo(most, most)
    assert np.isnan(found.low)
    assert found.reason == "not defined in most resamples"


def test_one_set_of_replicates_may_be_missing():
    values = np.linspace(0.0, 1.0, 101)
    found = intervals.pseudo(values, np.full(101, np.nan))
    assert found.low == pytest.approx(0.025)


def test_an_interval_stays_within_its_bounds():
    values = np.linspace(-1.0, 2.0, 101)
    found = intervals.reflected(0.1, values, bounds=(0.0, 1.0))
    assert (found.low, found.high) == (0.0, 1.0)
    assert intervals.pseudo(values, values, bounds=(0.0, 1.0)).low == 0.0


def test_a_calibration_error_within_its_floor_may_be_0():
    drawn = np.linspace(0.04, 0.08, 101)
    within = intervals.Calibration(0.05, drawn, drawn, floor=0.06)
    above = intervals.Calibration(0.05, drawn, drawn, floor=0.01)
    assert intervals.calibration_error(within).low == 0.0
    assert intervals.calibration_error(above).low > 0.0
    noise = np.full(101, 0.045)
    assert intervals.calibration_error(above, noise).low == pytest.approx(0.005)


def test_a_difference_of_calibration_errors_turns_with_the_order():
    generator = np.random.default_rng(0)
    sides = [
        intervals.Calibration(value, *generator.normal(value, 0.01, (2, 400)), floor=0.03)
        for value in (0.02, 0.05)
    ]
    found = intervals.calibration_error_difference(*sides, 5)
    turned = intervals.calibration_error_difference(*sides[::-1], 5)
    assert found.low == pytest.approx(-turned.high)
    assert intervals.calibration_error_difference(*sides, 1).reason == "fewer than 2 errors (1)"
