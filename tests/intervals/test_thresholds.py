import numpy as np
import pytest

from mcdrop import intervals


def test_few_positives_leave_the_false_positive_rate_open_upward():
    scores = np.arange(500.0)
    for count, open_ended in ((71, True), (73, False)):
        found = intervals.false_positive_rate(scores, 1000.0 + np.arange(count))
        assert (found.high == 1.0) is open_ended
        assert found.low == 0.0


def test_coverage_of_a_risk_that_is_met_or_missed_everywhere():
    uncertainty = np.arange(400.0)
    never = intervals.coverage_scan(uncertainty, np.zeros(400, bool), 0.01)
    assert (never.low, never.high) == (1.0, 1.0)
    few = intervals.coverage_scan(np.arange(20.0), np.zeros(20, bool), 0.01)
    assert (few.low, few.high) == (0.0, 1.0)
    always = intervals.coverage_scan(uncertainty, np.ones(400, bool), 0.01)
    assert (always.low, always.high) == (0.0, 0.0 + 1 / 400 * 0)


def test_tied_uncertainties_are_accepted_together():
    error = np.arange(100) >= 60
    tied = intervals.coverage_scan(np.repeat([0.0, 1.0], [60, 40]), error, 0.1)
    assert (tied.low, tied.high) == (0.6, 0.6)
    shuffled = np.random.default_rng(0).permutation(100)
    again = intervals.coverage_scan(np.repeat([0.0, 1.0], [60, 40])[shuffled], error[shuffled], 0.1)
    assert again == tied


def test_a_difference_of_risks_is_one_of_shares_over_the_coverage():
    accepted, error = np.arange(100) < 80, np.arange(100) % 9 == 0
    found = intervals.risk_difference((accepted, error), (accepted, ~accepted), 0.8)
    share = intervals.paired_share_difference(int((accepted & error).sum()), 0, 100)
    assert found.low == pytest.approx(share.low / 0.8)
    assert found.high == pytest.approx(share.high / 0.8)
