"""Rules of other projects, restated, beside ours on the same input: docs/metrics.md has the table.

The projects need PyTorch or a later Python and are no dependency of the tests; each rule here is
written from its published code and gives the number that the project gave when it was run.
"""

import numpy as np
import pytest

from mcdrop import metrics


def curve_without_groups(score, positive):
    """Cumulative positives and negatives from the highest score on, row by row."""
    order = np.argsort(-score, kind="stable")
    return np.cumsum(positive[order]), np.cumsum(~positive[order])


def auroc_without_groups(score, positive):
    found, false = curve_without_groups(score, positive)
    return np.trapezoid(np.r_[0, found], np.r_[0, false]) / (found[-1] * false[-1])


def average_precision_without_groups(score, positive):
    found, false = curve_without_groups(score, positive)
    return (np.diff(found, prepend=0) * found / (found + false)).sum() / found[-1]


def area_under_risk_coverage_without_groups(uncertainty, error):
    ordered = error[np.argsort(uncertainty, kind="stable")]
    return (np.cumsum(ordered) / np.arange(1, error.size + 1)).mean()


POSITIVES_FIRST = np.arange(40) < 20
CONSTANT = np.full(40, 0.3)


def detection(score, positive):
    return metrics.out_of_distribution_detection(score[~positive], score[positive])


def test_a_constant_score_is_perfect_without_groups_and_chance_with_them():
    assert auroc_without_groups(CONSTANT, POSITIVES_FIRST) == 1.0
    assert average_precision_without_groups(CONSTANT, POSITIVES_FIRST) == 1.0
    found = detection(CONSTANT, POSITIVES_FIRST)
    assert found.auroc == 0.5
    assert found.aupr == 0.5


def test_shares_of_ten_votes_depend_on_the_order_of_the_rows_only_without_groups():
    generator = np.random.default_rng(0)
    positive = np.arange(200) < 60
    votes = generator.binomial(10, np.where(positive, 0.25, 0.12)) / 10
    orders = [generator.permutation(200) for _ in range(7)] + [np.arange(200)]
    without = [auroc_without_groups(votes[order], positive[order]) for order in orders]
    assert max(without) - min(without) > 0.05
    ours = [detection(votes[order], positive[order]) for order in orders]
    assert np.ptp([found.auroc for found in ours]) < 1e-12
    assert np.ptp([found.aupr for found in ours]) < 1e-12
    assert min(without) < ours[0].auroc < max(without)


@pytest.mark.parametrize(("errors_first", "without"), [(True, 0.32), (False, 0.005)])
def test_a_constant_score_has_the_error_rate_as_its_area_whatever_the_order(errors_first, without):
    error = np.r_[np.ones(10), np.zeros(90)] if errors_first else np.r_[np.zeros(90), np.ones(10)]
    constant = np.zeros(100)
    assert area_under_risk_coverage_without_groups(constant, error) == pytest.approx(
        without, abs=0.006
    )
    assert metrics.area_under_risk_coverage(constant, error) == pytest.approx(0.1)


def test_the_variation_ratio_takes_passes_first_and_never_mixes_examples():
    # The example of torch-uncertainty's documentation, (examples, passes, classes).
    probabilities = np.array(
        [[[0.7, 0.3], [0.6, 0.4], [0.8, 0.2]], [[0.4, 0.6], [0.5, 0.5], [0.3, 0.7]]]
    )
    mixed = probabilities.swapaxes(0, 1)  # its update swaps axes, and its mean runs over examples
    chosen = mixed.mean(axis=1).argmax(axis=-1)
    theirs = 1 - np.take_along_axis(mixed.mean(axis=1), chosen[:, None], axis=1).mean()
    assert theirs == pytest.approx(0.45)
    right = 1 - probabilities.mean(axis=1).max(axis=1)
    assert right.mean() == pytest.approx(0.35)
    ours = metrics.variation_ratio(probabilities.swapaxes(0, 1))
    np.testing.assert_allclose(ours, [0.0, 1 / 3])
