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
            compare_data(classification.prediction, other, level=0.95)


def test_scores_equal_the_metrics(classification, out_of_distribution):
    known, other = classification.prediction, out_of_distribution
    found = compare_data(known, other, level=0.95)
    expected = out_of_distribution_detection(known.predictive_entropy, other.predictive_entropy)
    row = found.separations[0]
    assert row.auroc.value == pytest.approx(expected.auroc)
    assert row.aupr.value == expected.aupr
    assert row.fpr95.value == expected.fpr95
    for estimate in (row.auroc, row.fpr95):
        assert estimate.low <= estimate.value <= estimate.high
    assert row.aupr.reason
    assert found.count == 120


def test_confidence_falls_on_shuffled_images(classification, out_of_distribution):
    found = compare_data(classification.prediction, out_of_distribution, level=0.95)
    for known, other in found.confidences.values():
        assert other.high < known.low


@pytest.mark.parametrize("name", ["regression", "gaussian", "segmentation", "reconstruction"])
def test_every_layout_is_reduced_to_one_score_an_example(request, name):
    prediction = request.getfixturevalue(name).prediction
    for row in compare_data(prediction, prediction, level=0.95).separations:
        assert row.auroc.value == pytest.approx(0.5)
        assert row.histogram.first_count == len(prediction)


def test_a_regression_has_no_confidence(regression):
    assert not compare_data(regression.prediction, regression.prediction, level=0.95).confidences


def test_one_other_example_has_no_interval_and_few_no_verdict(classification, out_of_distribution):
    known = classification.prediction
    one = compare_data(known, out_of_distribution.take([0]), level=0.95)
    assert np.isnan(one.separations[0].auroc.low)
    assert one.separations[0].auroc.reason
    few = compare_data(known, out_of_distribution.take(np.arange(3)), level=0.95)
    assert verdict.notice(one).tone == "few"
    assert verdict.notice(few).tone == "few"
