"""Diagnostics of a regression."""

from dataclasses import replace

import numpy as np
import pytest

from mcdrop.report.values import regression as diagnose
from mcdrop.report.values import selective_values


@pytest.mark.parametrize("name", ["regression", "outputs", "gaussian", "reconstruction"])
def test_shares_and_counts_add_up(request, name):
    found = diagnose(request.getfixturevalue(name))
    assert found.pit_share.sum() == pytest.approx(1.0)
    assert len(found.true) == len(found.mean) == len(found.output) <= 400
    assert np.all(found.low <= found.high)
    assert np.all(np.diff(found.bin_std) >= 0)


def test_coverage_of_an_output_equals_the_evaluations(regression):
    found = diagnose(regression)
    assert found.outputs[0].coverage.value == pytest.approx(
        regression["interval_coverage"].monte_carlo.value
    )
    assert found.outputs[0].root_mean_squared_error.value == pytest.approx(
        regression["root_mean_squared_error"].monte_carlo.value
    )


def test_outputs_are_scored_one_by_one(outputs):
    rows = diagnose(outputs).outputs
    assert len(rows) == 2
    assert rows[1].root_mean_squared_error.value > 5 * rows[0].root_mean_squared_error.value


def test_points_belong_to_their_output(outputs):
    found = diagnose(outputs)
    for output in (0, 1):
        column = outputs.y_true[:, output]
        assert np.isin(found.true[found.output == output], column).all()


def test_error_tracks_a_spread_that_is_true(regression):
    found = diagnose(regression)
    assert found.rank_correlation.low > 0.3
    assert found.bin_error[-1] > 2 * found.bin_error[0]


def test_a_model_that_states_noise_says_so(gaussian, regression):
    assert diagnose(gaussian).states_noise
    assert not diagnose(regression).states_noise
    assert diagnose(gaussian).basis == "mixture"


def test_intervals_without_kept_passes_rest_on_the_normal(regression):
    bare = replace(regression, prediction=replace(regression.prediction, samples=None))
    assert diagnose(bare).basis == "normal"


def test_a_constant_spread_has_no_rank_correlation(regression):
    flat = replace(regression.prediction, variance=np.ones(150), samples=None)
    assert np.isnan(diagnose(replace(regression, prediction=flat)).rank_correlation.value)


def test_selective_error_at_full_coverage_is_the_error(gaussian):
    found = selective_values(gaussian)
    error = gaussian["root_mean_squared_error"]
    assert found.value[-1] == pytest.approx(error.monte_carlo.value)
    assert found.deterministic_value[-1] == pytest.approx(error.deterministic.value)
    assert np.all(found.low <= found.value)


def test_a_deterministic_prediction_without_variance_has_no_curve(regression):
    assert selective_values(regression).deterministic_value.size == 0
