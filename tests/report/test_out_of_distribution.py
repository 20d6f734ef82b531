"""Other data beside the evaluated data."""

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.metrics.detection import out_of_distribution_detection
from mcdrop.report import verdict
from mcdrop.report.out_of_distribution import out_of_distribution as compare_data


def test_another_models_prediction_is_refused(classification, binary, regression):
    for other in (binary.prediction, regression.prediction):
        with pytest.raises(DataError, match="Predict both with the same model"):
            compare_data(classification, other)


def test_scores_equal_the_metrics(classification, out_of_distribution):
    known, other = classification.prediction, out_of_distribution
    found = compare_data(classification, other)
    expected = out_of_distribution_detection(known.predictive_entropy, other.predictive_entropy)
    row = found.separations[0]
    assert row.auroc.value == pytest.approx(expected.auroc)
    assert row.aupr.value == pytest.approx(expected.aupr)
    assert row.fpr95.value == pytest.approx(expected.fpr95)
    for estimate in (row.auroc, row.aupr, row.fpr95):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.monte_carlo_error >= 0.0
    assert found.count == 120


def test_confidence_falls_on_shuffled_images(classification, out_of_distribution):
    found = compare_data(classification, out_of_distribution)
    for known, other in found.confidences.values():
        assert other.high < known.low


@pytest.mark.parametrize("name", ["regression", "gaussian", "segmentation", "reconstruction"])
def test_every_layout_is_reduced_to_one_score_an_example(request, name):
    evaluation = request.getfixturevalue(name)
    prediction = evaluation.prediction
    for row in compare_data(evaluation, prediction).separations:
        assert row.auroc.value == pytest.approx(0.5)
        assert row.histogram.first_count == len(prediction)


def test_a_regression_has_no_confidence(regression):
    assert not compare_data(regression, regression.prediction).confidences


def test_one_other_example_has_no_interval_and_few_no_verdict(classification, out_of_distribution):
    one = compare_data(classification, out_of_distribution.take([0]))
    assert np.isnan(one.separations[0].auroc.low)
    assert one.separations[0].auroc.reason
    few = compare_data(classification, out_of_distribution.take(np.arange(3)))
    assert verdict.notice(one).tone == "few"
    assert verdict.notice(few).tone == "few"
