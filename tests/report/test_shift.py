"""Out-of-distribution data beside the evaluated data."""

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.metrics.detection import out_of_distribution_detection
from mcdrop.report.shift import shift


def test_another_models_prediction_is_refused(classification, binary, regression):
    for other in (binary.prediction, regression.prediction):
        with pytest.raises(DataError, match="Predict both with the same model"):
            shift(classification.prediction, other, level=0.95, seed=0)


def test_scores_equal_the_metrics(classification, foreign):
    known = classification.prediction
    found = shift(known, foreign, level=0.95, seed=0)
    expected = out_of_distribution_detection(known.predictive_entropy, foreign.predictive_entropy)
    row = found.separations[0]
    assert row.auroc.value == pytest.approx(expected.auroc)
    assert row.aupr.value == expected.aupr
    assert row.fpr95.value == expected.fpr95
    for interval in (row.auroc, row.aupr, row.fpr95):
        assert interval.low <= interval.value <= interval.high
    assert found.count == 120


def test_confidence_falls_on_shuffled_images(classification, foreign):
    found = shift(classification.prediction, foreign, level=0.95, seed=0)
    assert found.confidence_out.high < found.confidence.low


@pytest.mark.parametrize("name", ["regression", "gaussian", "segmentation", "reconstruction"])
def test_every_layout_is_reduced_to_one_score_an_example(request, name):
    prediction = request.getfixturevalue(name).prediction
    found = shift(prediction, prediction, level=0.95, seed=0)
    for row in found.separations:
        assert row.auroc.value == pytest.approx(0.5)
        assert row.histogram.first_count == len(prediction)


def test_a_regression_has_no_confidence(regression):
    found = shift(regression.prediction, regression.prediction, level=0.95, seed=0)
    assert np.isnan(found.confidence.value)
