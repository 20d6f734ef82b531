"""Diagnostics of a regression."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import mcdrop
from mcdrop.diagnostics.regression import regression as diagnose


def of(evaluation):
    return diagnose(evaluation.prediction, evaluation.y_true)


@pytest.mark.parametrize("name", ["regression", "outputs", "gaussian", "reconstruction"])
def test_shares_and_counts_add_up(request, name):
    found = of(request.getfixturevalue(name))
    points = found.points
    assert found.pit.share.sum() == pytest.approx(1.0)
    assert len(points.true) == len(points.mean) == len(points.output) <= 400
    assert np.all(points.low <= points.high)
    assert np.all(np.diff(found.spread.std) >= 0)


def test_coverage_of_an_output_equals_the_evaluations(regression):
    found = of(regression)
    assert found.outputs[0].coverage.value == pytest.approx(
        regression["interval_coverage"].monte_carlo.value
    )
    assert found.outputs[0].root_mean_squared_error.value == pytest.approx(
        regression["root_mean_squared_error"].monte_carlo.value
    )


def test_outputs_are_scored_one_by_one(outputs):
    rows = of(outputs).outputs
    assert len(rows) == 2
    assert rows[1].root_mean_squared_error.value > 5 * rows[0].root_mean_squared_error.value


def test_points_belong_to_their_output(outputs):
    points = of(outputs).points
    for output in (0, 1):
        assert np.isin(points.of(output).true, outputs.y_true[:, output]).all()


def test_a_target_outside_its_interval_is_missed(regression):
    points = of(regression).points
    low, high = regression.prediction.interval(0.95)
    outside = (regression.y_true < low) | (regression.y_true > high)
    assert points.missed.sum() == outside.sum()


def test_error_tracks_a_spread_that_is_true(regression):
    found = of(regression)
    prediction, y = regression.prediction, regression.y_true
    wanted = spearmanr(np.abs(prediction.mean - y), prediction.variance).statistic
    assert found.rank_correlation.value == pytest.approx(wanted)
    assert found.rank_correlation.low > 0.3
    assert found.spread.error[-1] > 2 * found.spread.error[0]


def test_bins_hold_enough_errors_for_an_interval(regression):
    found = of(regression).spread
    assert found.std.size == 3
    assert np.isfinite(found.low).all()
    assert np.all(found.low < found.error)
    assert np.all(found.error < found.high)


def test_a_few_errors_are_one_bin_without_an_interval(regression):
    few = diagnose(regression.prediction.take(np.arange(12)), regression.y_true[:12])
    assert few.spread.std.size == 1
    assert np.isnan(few.spread.low).all()


def test_a_model_that_states_noise_says_so(gaussian, regression):
    assert of(gaussian).states_noise
    assert not of(regression).states_noise
    assert of(gaussian).basis == "mixture"


def test_intervals_without_kept_passes_rest_on_the_normal(regression):
    bare = replace(regression.prediction, samples=None)
    assert diagnose(bare, regression.y_true).basis == "normal"


def test_a_constant_spread_has_no_rank_correlation(regression):
    flat = replace(regression.prediction, variance=np.ones(150), samples=None)
    found = diagnose(flat, regression.y_true).rank_correlation
    assert np.isnan(found.value)
    assert found.reason == "one side is constant"


def test_outputs_in_larger_units_are_no_sign_of_a_good_deviation():
    generator = np.random.default_rng(0)
    unit = np.array([1.0, 1000.0])
    y = generator.normal(0, unit, (300, 2))
    # Deviations that say nothing of the errors, but for the unit of their output.
    mean = y + generator.normal(0, 0.5 * unit, y.shape)
    spread = unit * generator.uniform(0.2, 0.8, y.shape)
    passes = mean + generator.normal(0, 1, (30, *y.shape)) * spread
    prediction = mcdrop.from_samples(passes, mean, task="regression")
    found = diagnose(prediction, y)
    assert found.rank_correlation.low < 0 < found.rank_correlation.high
    assert found.spread.error.max() < 2 * found.spread.error.min()
