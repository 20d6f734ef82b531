import itertools

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.metrics import calibration, detection, selective


def draw(num_examples=300, decimals=8, seed=0):
    generator = np.random.default_rng(seed)
    error = (generator.random(num_examples) < 0.3).astype(float)
    return np.round(generator.normal(size=num_examples) + error, decimals), error


def losses(num_examples=300, decimals=8, seed=0):
    generator = np.random.default_rng(seed)
    uncertainty = np.round(generator.gamma(2.0, size=num_examples), decimals)
    return uncertainty, (generator.normal(size=num_examples) * uncertainty) ** 2


AREAS = [
    selective.area_under_risk_coverage,
    selective.excess_area_under_risk_coverage,
    selective.area_under_generalized_risk_coverage,
]
FUNCTIONS = [
    *AREAS,
    selective.risk_coverage_curve,
    selective.uncertainty_accuracy_curve,
    selective.uncertainty_calibration_error,
    lambda u, e: selective.coverage_at_risk(u, e, risk=0.1),
    lambda u, e: selective.risk_at_coverage(u, e, coverage=0.5),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("uncertainty", "error"),
    [
        ([0.1, 0.2], [0, 1, 1]),
        ([0.1, np.nan], [0, 1]),
        ([0.1, 0.2], [0, np.inf]),
        ([], []),
        (0.1, 1.0),
        (["a"], [1]),
    ],
)
def test_uncertainty_and_error_that_do_not_fit_are_refused(function, uncertainty, error):
    with pytest.raises(DataError):
        function(uncertainty, error)


@pytest.mark.parametrize(
    "call",
    [
        lambda u, e: selective.coverage_at_risk(u, e, risk=np.nan),
        lambda u, e: selective.coverage_at_risk(u, e, risk="low"),
        lambda u, e: selective.risk_at_coverage(u, e, coverage=0.0),
        lambda u, e: selective.risk_at_coverage(u, e, coverage=1.1),
        lambda u, e: selective.uncertainty_accuracy_curve(u, e + 0.5),
        lambda u, e: selective.uncertainty_accuracy_curve(u, e, thresholds=0.5),
        lambda u, e: selective.uncertainty_calibration_error(u, e),
        lambda u, e: selective.uncertainty_calibration_error(u * 0, e, num_bins=0),
        lambda u, e: selective.uncertainty_calibration_error(u * 0, e + 0.5),
    ],
)
def test_options_out_of_range_are_refused(call):
    with pytest.raises(DataError):
        call(*draw(10))


def test_dense_outputs_are_flattened():
    uncertainty, error = draw(24, decimals=1)
    for function in [*AREAS, *FUNCTIONS[-2:]]:
        assert function(uncertainty.reshape(2, 3, 4), error.reshape(2, 3, 4)) == (
            function(uncertainty, error)
        )


def test_a_curve_has_one_point_for_each_distinct_uncertainty():
    uncertainty, error = draw(300, decimals=1)
    distinct = np.unique(uncertainty)
    curve = selective.risk_coverage_curve(uncertainty, error)
    np.testing.assert_array_equal(curve.threshold, distinct)
    assert curve.coverage.shape == curve.risk.shape == distinct.shape
    sweep = selective.uncertainty_accuracy_curve(uncertainty, error)
    np.testing.assert_array_equal(sweep.threshold, distinct)
    assert sweep.pavpu.shape == distinct.shape


def test_risk_coverage_of_four_predictions_by_hand():
    uncertainty, error = [0.4, 0.1, 0.3, 0.2], [1, 0, 1, 0]
    curve = selective.risk_coverage_curve(uncertainty, error)
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 2])
    assert selective.area_under_risk_coverage(uncertainty, error) == pytest.approx(5 / 24)
    assert selective.excess_area_under_risk_coverage(uncertainty, error) == 0.0
    # Trapezoids of height 0, 0, 1/4, 2/4 a quarter apart, from 0.
    assert selective.area_under_generalized_risk_coverage(uncertainty, error) == pytest.approx(
        (0.125 + 0.375) / 4
    )


def test_curve_keeps_the_certain_and_not_the_uncertain():
    # keras-uncertainty keeps what is at least the threshold, so that its curve runs backwards.
    uncertainty = np.arange(10.0)
    curve = selective.risk_coverage_curve(uncertainty, uncertainty >= 8)
    assert curve.risk[0] == 0.0
    assert curve.threshold[0] == 0.0
    assert curve.risk[-1] == 0.2


def test_coverage_at_risk_is_the_last_point_that_keeps_it():
    # torch-uncertainty reads risks of 1, 1/2, 1/3, 1/4, ... at 0.3 with a flipped index: NaN.
    uncertainty, error = np.arange(10.0), np.arange(10) == 0
    assert selective.coverage_at_risk(uncertainty, error, risk=0.3) == 1.0


def test_coverage_at_risk_is_0_when_no_threshold_keeps_it():
    assert selective.coverage_at_risk([1.0, 2.0], [1, 1], risk=0.5) == 0.0


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_risk_that_is_met_exactly_counts_as_met(percent):
    # 0.29 * 100 is 28.999999999999996 in floating point.
    error = np.arange(100) < percent
    assert selective.coverage_at_risk(np.zeros(100), error, risk=percent / 100) == 1.0
    uncertainty = np.arange(100.0)
    late = np.arange(100) >= percent
    risk = selective.risk_at_coverage(uncertainty, late, coverage=percent / 100)
    assert risk == 0.0


def test_operating_points_take_a_tied_group_as_a_whole():
    uncertainty, error = [0.1, 0.5, 0.5, 0.5, 0.9], [0, 0, 1, 1, 0]
    assert selective.coverage_at_risk(uncertainty, error, risk=0.45) == 1.0
    assert selective.coverage_at_risk(uncertainty, error, risk=0.35) == 0.2
    assert selective.risk_at_coverage(uncertainty, error, coverage=0.4) == 0.5
    assert selective.risk_at_coverage(uncertainty, error, coverage=0.2) == 0.0


def areas_of_one_order(error):
    count = len(error)
    cumulative = np.cumsum(error)
    risks = cumulative / np.arange(1, count + 1)
    generalized = np.r_[0, cumulative] / count
    return risks.mean(), ((generalized[1:] + generalized[:-1]) / 2).mean()


@pytest.mark.parametrize("error", [[0, 1, 1, 0, 0, 1], [0.5, 2.0, 0.0, 1.0, 3.0, 0.2]])
def test_areas_average_over_the_orders_of_tied_examples(error):
    uncertainty = np.array([1, 2, 2, 2, 3, 3])
    error = np.asarray(error, dtype=float)
    areas = [
        areas_of_one_order(error[[0, *middle, *end]])
        for middle in itertools.permutations([1, 2, 3])
        for end in itertools.permutations([4, 5])
    ]
    expected = np.mean(areas, axis=0)
    assert selective.area_under_risk_coverage(uncertainty, error) == pytest.approx(
        expected[0], rel=1e-12
    )
    assert selective.area_under_generalized_risk_coverage(uncertainty, error) == pytest.approx(
        expected[1], rel=1e-12
    )


@pytest.mark.parametrize("function", FUNCTIONS[:3])
def test_order_of_the_examples_does_not_matter(function):
    uncertainty, error = draw(300, decimals=0)
    permuted = np.random.default_rng(1).permutation(300)
    result = function(uncertainty[permuted], error[permuted])
    assert result == pytest.approx(function(uncertainty, error), rel=1e-12)


def test_equal_uncertainties_have_the_mean_error_as_area():
    _, error = losses()
    assert selective.area_under_risk_coverage(np.zeros(300), error) == pytest.approx(error.mean())
    assert selective.area_under_generalized_risk_coverage(np.zeros(300), error) == pytest.approx(
        error.mean() / 2
    )


@pytest.mark.parametrize("make", [draw, losses])
def test_no_order_has_a_smaller_area_than_that_of_the_errors(make):
    uncertainty, error = make()
    excess = selective.excess_area_under_risk_coverage(uncertainty, error)
    best = selective.area_under_risk_coverage(error, error)
    area = selective.area_under_risk_coverage(uncertainty, error)
    assert excess == pytest.approx(area - best, rel=1e-12)
    assert excess > 0
    assert selective.excess_area_under_risk_coverage(error, error) == 0.0


def test_areas_without_an_error_are_0():
    for function in AREAS:
        assert function(np.arange(5.0), np.zeros(5)) == 0.0


@pytest.mark.parametrize("decimals", [0, 8])
def test_generalized_area_is_the_published_function_of_auroc_and_error_rate(decimals):
    uncertainty, error = draw(decimals=decimals)
    rate = error.mean()
    auroc = detection.error_detection(uncertainty, error).auroc
    expected = (1 - auroc) * rate * (1 - rate) + rate**2 / 2
    result = selective.area_under_generalized_risk_coverage(uncertainty, error)
    assert result == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("make", [draw, losses])
def test_areas_without_ties_agree_with_loops(make):
    uncertainty, error = make()
    expected = areas_of_one_order(error[np.argsort(uncertainty)])
    assert selective.area_under_risk_coverage(uncertainty, error) == pytest.approx(
        expected[0], rel=1e-12
    )
    assert selective.area_under_generalized_risk_coverage(uncertainty, error) == pytest.approx(
        expected[1], rel=1e-12
    )


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("make", [draw, losses])
def test_operating_points_agree_with_a_scan_of_thresholds(make, decimals):
    uncertainty, error = make(decimals=decimals)
    accepted = [uncertainty <= threshold for threshold in np.unique(uncertainty)]
    coverages = np.array([held.mean() for held in accepted])
    risks = np.array([error[held].mean() for held in accepted])
    for level in (0.1, 0.35, 0.8):
        kept = coverages[risks <= level]
        assert selective.coverage_at_risk(uncertainty, error, risk=level) == pytest.approx(
            kept.max() if kept.size else 0.0, rel=1e-12
        )
        assert selective.risk_at_coverage(uncertainty, error, coverage=level) == pytest.approx(
            risks[np.argmax(coverages >= level)], rel=1e-12
        )


def test_accuracy_given_certainty_agrees_with_its_counts():
    uncertainty, error = draw(200, decimals=1)
    curve = selective.uncertainty_accuracy_curve(uncertainty, error)
    wrong = error == 1
    for index, threshold in enumerate(curve.threshold):
        certain = uncertainty <= threshold
        counts = [(~wrong & certain).sum(), (wrong & certain).sum(), (wrong & ~certain).sum()]
        assert curve.accurate_given_certain[index] == counts[0] / (counts[0] + counts[1])
        assert curve.uncertain_given_inaccurate[index] == counts[2] / (counts[1] + counts[2])
        assert curve.pavpu[index] == (counts[0] + counts[2]) / 200


def test_conditional_shares_of_nothing_are_nan():
    curve = selective.uncertainty_accuracy_curve([0.5, 0.6], [0, 0], thresholds=[0.1, 0.55])
    np.testing.assert_array_equal(curve.accurate_given_certain, [np.nan, 1.0])
    np.testing.assert_array_equal(curve.uncertain_given_inaccurate, [np.nan, np.nan])
    np.testing.assert_array_equal(curve.pavpu, [0.0, 0.5])


def test_pavpu_above_every_uncertainty_is_the_accuracy():
    uncertainty, error = draw()
    curve = selective.uncertainty_accuracy_curve(uncertainty, error)
    assert curve.pavpu[-1] == pytest.approx(1 - error.mean())


def test_uncertainty_calibration_by_hand():
    # Bins [0, 0.5) and [0.5, 1]: |0.25 - 0.5| and |0.9 - 1|, two examples each.
    error = selective.uncertainty_calibration_error([0.2, 0.3, 0.8, 1.0], [0, 1, 1, 1], num_bins=2)
    assert error == pytest.approx((0.25 + 0.1) / 2)


def test_rounding_above_an_uncertainty_of_1_is_forgiven():
    assert selective.uncertainty_calibration_error([1.0 + 1e-9, 1.0], [1, 1]) == 0.0


def test_uncertainty_calibration_of_the_missing_confidence_is_the_top_label_ece():
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(4), size=400)
    y = generator.integers(4, size=400)
    # Bins of the complement mirror those of the confidence, as none lies on an edge.
    error = selective.uncertainty_calibration_error(1 - p.max(axis=1), p.argmax(axis=1) != y)
    assert error == pytest.approx(calibration.expected_calibration_error(p, y), rel=1e-12)
