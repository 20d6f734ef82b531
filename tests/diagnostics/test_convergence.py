"""Metrics against the number of passes."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop.diagnostics.convergence import convergence, standard_errors


def values_on_runs(groups):
    """A linear metric, the mean of groups, on each run of 1, ..., G consecutive ones."""
    count = len(groups)
    return [
        np.array(
            [
                groups[(start + np.arange(size)) % count].mean()
                for start in range(1 if size == count else count)
            ]
        )
        for size in range(1, count + 1)
    ]


def test_standard_errors_are_right_on_average():
    # For independent groups of variance 1, the squared error of k groups is 1/k. Its estimate
    # from one run has a relative standard error of at most about 0.7; the mean over 2000 runs
    # one of 0.016, and four of these are 0.063.
    generator = np.random.default_rng(0)
    squares = np.mean(
        [standard_errors(values_on_runs(generator.normal(size=10)), 10) ** 2 for _ in range(2000)],
        axis=0,
    )
    assert squares * np.arange(1, 11) == pytest.approx(np.ones(10), rel=0.063)


def test_the_last_point_is_the_metric_of_all_passes(classification):
    curves = {
        curve.name: curve for curve in convergence(classification.prediction, classification.y_true)
    }
    for name in ("negative_log_likelihood", "accuracy", "predictive_entropy"):
        comparison = classification[name]
        # The groups are kept in single precision.
        assert curves[name].value[-1] == pytest.approx(comparison.monte_carlo.value, abs=1e-5)
        assert curves[name].deterministic == pytest.approx(comparison.deterministic.value)
        assert curves[name].passes[-1] == 20


def test_the_first_point_is_the_mean_over_single_groups(regression):
    (curve,) = convergence(regression.prediction, regression.y_true)
    groups = regression.prediction.group_means.astype(float)
    errors = np.sqrt(np.square(groups - regression.y_true).mean(axis=1))
    assert curve.value[0] == pytest.approx(errors.mean(), rel=1e-5)
    assert curve.passes[0] == 2


@pytest.mark.parametrize("name", ["binary", "multilabel", "segmentation", "reconstruction"])
def test_every_layout_has_curves(request, name):
    found = request.getfixturevalue(name)
    for curve in convergence(found.prediction, found.y_true):
        assert np.isfinite(curve.value).all()
        assert np.isfinite(curve.error).all()


def test_two_passes_leave_nothing_to_draw():
    passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
    prediction = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
    assert convergence(prediction, np.array([0, 1])) == ()


def test_groups_without_passes_of_an_example_are_skipped(classification):
    # An example that stopped after 4 passes has passes in 4 groups only.
    prediction = classification.prediction
    counts = prediction.group_counts.copy()
    counts[4:, 0] = 0
    fewer = replace(prediction, group_counts=counts)
    for curve in convergence(fewer, classification.y_true):
        assert len(curve.passes) == 4
        assert np.isfinite(curve.value).all()
