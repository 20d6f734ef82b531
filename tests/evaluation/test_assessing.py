"""Metrics of a prediction with dropout and without, and their intervals."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mcdrop import intervals, metrics
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.evaluation import Estimate, MetricComparison, evaluate
from mcdrop.evaluation.class_measures import CLASS_MEASURES
from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
from mcdrop.weighted import units as units_module
from mcdrop.weighted.ranking import auroc_statistic
from mcdrop.weighted.resampling import draw_weights
from mcdrop.weighted.units import Units

FEW = {"num_resamples": 100}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


def make_classes(num_examples=200, num_classes=7, num_samples=12, seed=0):
    """Returns a prediction that is right more often than not, with its labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(num_classes, size=num_examples)
    logits = generator.normal(size=(num_examples, num_classes))
    logits[np.arange(num_examples), labels] += 1.5
    noise = generator.normal(size=(num_samples, num_examples, num_classes))
    return from_samples(softmax(logits + noise), softmax(logits), task="classification"), labels


def make_dense(num_examples=12, size=6, num_samples=8, seed=0):
    """Returns class maps of (N, size, size, 3) with labels, some of them void."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=(num_examples, size, size))
    # Images differ in difficulty, so that their pixels are not independent.
    strength = generator.uniform(0.0, 2.0, size=(num_examples, 1, 1, 1))
    logits = generator.normal(size=(*labels.shape, 3)) + strength * np.eye(3)[labels]
    noise = 0.5 * generator.normal(size=(num_samples, *logits.shape))
    prediction = from_samples(softmax(logits + noise), softmax(logits), task="classification")
    void = generator.random(labels.shape) < 0.1 * np.arange(num_examples)[:, None, None] / 4
    return prediction, np.where(void, -1, labels)


def make_numbers(num_examples=150, num_samples=12, num_outputs=2, seed=0):
    """Returns a plain regression with its targets."""
    generator = np.random.default_rng(seed)
    mean = generator.normal(size=(num_examples, num_outputs))
    samples = mean + 0.5 * generator.normal(size=(num_samples, *mean.shape))
    return from_samples(samples, mean, task="regression"), mean + generator.normal(size=mean.shape)


def make_gaussian(num_examples=150, num_samples=12, seed=0):
    """Returns a regression with predicted variances, with its targets."""
    generator = np.random.default_rng(seed)
    mean = generator.normal(size=num_examples)
    shape = (num_samples, num_examples)
    prediction = from_samples(
        mean + 0.5 * generator.normal(size=shape),
        mean,
        task="gaussian",
        variances=generator.uniform(0.5, 1.5, size=shape),
        deterministic_variance=generator.uniform(0.5, 1.5, size=num_examples),
    )
    return prediction, mean + generator.normal(size=num_examples)


MAKERS = {
    "classes": make_classes,
    "maps": make_dense,
    "numbers": make_numbers,
    "gaussian": make_gaussian,
}


@cache
def everything(kind):
    """Returns the prediction of a maker, its targets and all metrics, computed once."""
    prediction, targets = MAKERS[kind]()
    return prediction, targets, evaluate(prediction, targets, metrics="all", **FEW)


def without_samples(prediction):
    return replace(prediction, samples=None, sample_variances=None)


# What is refused


def test_targets_of_the_wrong_length_are_refused():
    prediction, labels = make_classes()
    with pytest.raises(DataError, match=r"y_true.*\(150,\), expected \(200,\)"):
        evaluate(prediction, labels[:150])


@pytest.mark.parametrize("label", [-1, 7])
def test_labels_out_of_range_are_refused(label):
    prediction, labels = make_classes()
    labels[3] = label
    with pytest.raises(DataError, match="expected 0 to 6"):
        evaluate(prediction, labels)


def test_labels_out_of_range_in_maps_are_refused():
    prediction, labels = make_dense()
    with pytest.raises(DataError, match="expected 0 to 2"):
        evaluate(prediction, np.where(labels == -1, 255, labels))


def test_one_hot_labels_are_read_by_the_position_of_the_1():
    prediction, labels = make_classes()
    given, wanted = evaluate(prediction, np.eye(7)[labels]), evaluate(prediction, labels)
    np.testing.assert_array_equal(given.y_true, wanted.y_true)
    pd.testing.assert_frame_equal(given.to_frame(), wanted.to_frame())


def test_one_hot_maps_are_read_pixel_by_pixel():
    prediction, labels = make_dense()
    labels = np.maximum(labels, 0)
    pd.testing.assert_frame_equal(
        evaluate(prediction, np.eye(3)[labels]).to_frame(), evaluate(prediction, labels).to_frame()
    )


def test_soft_and_several_labels_are_refused_with_the_remedy():
    prediction, labels = make_classes()
    one_hot = np.eye(7)[labels]
    two_of_one = one_hot.copy()
    two_of_one[3] = 1
    for wrong in (0.9 * one_hot + 0.1 / 7, two_of_one, 0 * one_hot):
        with pytest.raises(DataError, match=r"integer labels.*argmax"):
            evaluate(prediction, wrong)


def test_labels_that_are_not_numbers_are_refused():
    prediction, _ = make_classes()
    with pytest.raises(DataError, match="NaN"):
        evaluate(prediction, np.full(200, np.nan))
    with pytest.raises(DataError, match="dtype"):
        evaluate(prediction, ["cat"] * 200)


def test_targets_of_a_regression_that_do_not_fit_are_refused():
    prediction, targets = make_numbers()
    with pytest.raises(DataError, match="NaN"):
        evaluate(prediction, np.where(targets > 1, np.nan, targets))
    with pytest.raises(DataError, match=r"\(150, 1\), expected \(150, 2\)"):
        evaluate(prediction, targets[:, :1])
    with pytest.raises(DataError, match=r"\(150,\), expected \(150, 2\)"):
        evaluate(prediction, targets[:, 0])


def test_labels_for_a_regression_of_another_length_are_refused():
    prediction, _ = make_gaussian()
    with pytest.raises(DataError, match=r"\(10,\), expected \(150,\)"):
        evaluate(prediction, np.arange(10))


def test_void_labels_everywhere_are_refused():
    prediction, labels = make_dense()
    with pytest.raises(DataError, match="void"):
        evaluate(prediction, np.full_like(labels, -1))


def test_what_is_not_a_prediction_is_refused():
    prediction, labels = make_classes()
    with pytest.raises(DataError, match=r"dict.*each output"):
        evaluate({"first": prediction}, labels)


def test_a_single_example_is_refused():
    prediction, labels = make_classes()
    with pytest.raises(DataError, match="at least 2"):
        evaluate(prediction.take([0]), labels[:1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence_level": 1.0}, "confidence_level"),
        ({"confidence_level": 95}, "confidence_level"),
        ({"num_resamples": 99}, "num_resamples"),
        ({"seed": -1}, "seed"),
        ({"metrics": "accuracy"}, "expected 'default', 'all', or a list"),
        ({"metrics": []}, "expected 'default', 'all', or a list"),
        ({"metrics": ["acuracy"]}, "accuracy, negative_log_likelihood, brier_score"),
        ({"metrics": ["crps"]}, "accuracy, negative_log_likelihood, brier_score"),
    ],
)
def test_bad_options_are_refused(options, message):
    prediction, labels = make_classes()
    with pytest.raises(DataError, match=message):
        evaluate(prediction, labels, **options)


def test_a_metric_asked_for_by_name_that_is_not_defined_is_refused():
    prediction, labels = make_classes(num_classes=3)
    with pytest.raises(DataError, match=r"top_k_accuracy.*more than 5 classes"):
        evaluate(prediction, labels, metrics=["top_k_accuracy"])


# Shapes


@pytest.mark.parametrize("make", [make_classes, make_gaussian])
def test_targets_may_have_a_trailing_axis(make):
    prediction, targets = make()
    flat = evaluate(prediction, targets, **FEW)
    column = evaluate(prediction, targets[:, None], **FEW)
    assert column.to_dict() == flat.to_dict()
    assert column.y_true.shape == (len(prediction),)


def test_binary_targets_of_either_shape_and_of_booleans_are_accepted():
    generator = np.random.default_rng(0)
    samples = sigmoid(generator.normal(size=(8, 60)))
    labels = generator.random(60) < 0.5
    prediction = from_samples(samples, samples[0], task="binary")
    expected = evaluate(prediction, labels.astype(int), **FEW).to_dict()
    assert evaluate(prediction, labels, **FEW).to_dict() == expected
    assert evaluate(prediction, labels[:, None], **FEW).to_dict() == expected


def test_a_column_of_predictions_takes_flat_targets():
    prediction, targets = make_numbers(num_outputs=1)
    flat = evaluate(prediction, targets[:, 0], **FEW)
    assert flat.y_true.shape == (150, 1)
    assert flat.to_dict() == evaluate(prediction, targets, **FEW).to_dict()


def test_the_default_metrics_of_classes_come_in_order():
    prediction, labels = make_classes()
    evaluation = evaluate(prediction, labels, **FEW)
    assert [comparison.name for comparison in evaluation.comparisons] == [
        "accuracy",
        "negative_log_likelihood",
        "brier_score",
        "expected_calibration_error",
        "area_under_risk_coverage",
        "error_detection_auroc",
        "predictive_entropy",
        "expected_entropy",
        "mutual_information",
        "variation_ratio",
    ]
    only_passes = {c.name for c in evaluation.comparisons if c.deterministic is None}
    assert only_passes == {"expected_entropy", "mutual_information", "variation_ratio"}
    assert evaluation.omitted == {}


def test_the_default_metrics_of_numbers_come_in_order():
    prediction, targets = make_numbers()
    evaluation = evaluate(prediction, targets, **FEW)
    assert [comparison.name for comparison in evaluation.comparisons] == [
        "root_mean_squared_error",
        "log_likelihood",
        "crps",
        "interval_coverage",
        "interval_width",
        "sharpness",
    ]
    both = {c.name for c in evaluation.comparisons if c.deterministic is not None}
    assert both == {"root_mean_squared_error", "crps"}


def test_all_metrics_are_either_computed_or_named_with_a_reason():
    for kind, measures in (("classes", CLASS_MEASURES), ("numbers", REGRESSION_MEASURES)):
        _, _, evaluation = everything(kind)
        names = {comparison.name for comparison in evaluation.comparisons}
        assert names | set(evaluation.omitted) == {measure.name for measure in measures}
        assert not names & set(evaluation.omitted)
    assert set(evaluation.omitted) == {"aleatoric_deviation", "epistemic_deviation"}


# Known values


def class_references(probabilities, labels):
    """Returns the metrics that `mcdrop.metrics` computes, by their names in an evaluation."""
    entropy = metrics.entropy(probabilities)
    error = probabilities.argmax(axis=-1) != labels
    num_classes = probabilities.shape[-1]
    detection = metrics.error_detection(entropy, error)
    decomposition = metrics.brier_decomposition(probabilities, labels)
    calibration = metrics.expected_calibration_error
    references = {
        "accuracy": metrics.accuracy(probabilities, labels),
        "negative_log_likelihood": metrics.negative_log_likelihood(probabilities, labels),
        "brier_score": metrics.brier_score(probabilities, labels),
        "expected_calibration_error": calibration(probabilities, labels),
        "area_under_risk_coverage": metrics.area_under_risk_coverage(entropy, error),
        "error_detection_auroc": detection.auroc,
        "predictive_entropy": entropy.mean(),
        "brier_reliability": decomposition.reliability,
        "brier_resolution": decomposition.resolution,
        "equal_mass_calibration_error": calibration(probabilities, labels, strategy="quantile"),
        "root_mean_squared_calibration_error": calibration(probabilities, labels, norm="l2"),
        "maximum_calibration_error": calibration(probabilities, labels, norm="max"),
        "debiased_calibration_error": metrics.debiased_calibration_error(probabilities, labels),
        "calibration_error_sweep": metrics.calibration_error_sweep(probabilities, labels),
        "smooth_calibration_error": metrics.smooth_calibration_error(probabilities, labels),
        "classwise_calibration_error": metrics.classwise_calibration_error(probabilities, labels),
        "full_calibration_error": metrics.full_calibration_error(probabilities, labels),
        "uncertainty_calibration_error": metrics.uncertainty_calibration_error(
            np.minimum(entropy / np.log(num_classes), 1.0), error
        ),
        "excess_area_under_risk_coverage": metrics.excess_area_under_risk_coverage(entropy, error),
        "area_under_generalized_risk_coverage": metrics.area_under_generalized_risk_coverage(
            entropy, error
        ),
        "coverage_at_risk": metrics.coverage_at_risk(entropy, error, risk=0.01),
        "risk_at_coverage": metrics.risk_at_coverage(entropy, error, coverage=0.8),
        "error_detection_aupr": detection.aupr,
        "error_detection_fpr95": detection.fpr95,
    }
    if num_classes > 5:
        references["top_k_accuracy"] = metrics.top_k_accuracy(probabilities, labels, k=5)
    return references


def test_values_of_classes_are_those_of_the_metric_functions():
    prediction, labels, evaluation = everything("classes")
    expected = class_references(prediction.mean, labels)
    expected_off = class_references(prediction.deterministic, labels)
    for name, value in expected.items():
        comparison = evaluation[name]
        assert comparison.monte_carlo.value == pytest.approx(value, rel=1e-9), name
        assert comparison.deterministic.value == pytest.approx(expected_off[name], rel=1e-9), name
        difference = value - expected_off[name]
        assert comparison.difference.value == pytest.approx(difference, abs=1e-9), name
    of_passes = {
        "expected_entropy": prediction.expected_entropy,
        "mutual_information": prediction.mutual_information,
        "variation_ratio": prediction.variation_ratio,
        "mean_standard_deviation": prediction.std,
    }
    for name, values in of_passes.items():
        assert evaluation[name].monte_carlo.value == pytest.approx(values.mean()), name
    names = {comparison.name for comparison in evaluation.comparisons}
    macro = {"macro_precision", "macro_recall", "macro_f1"}
    assert names == set(expected) | set(of_passes) | macro


def test_values_of_maps_are_those_of_the_metric_functions_on_valid_pixels():
    prediction, labels, evaluation = everything("maps")
    pixels = metrics.flatten_pixels(prediction.mean, labels, void_label=-1)
    for name, value in class_references(*pixels).items():
        assert evaluation[name].monte_carlo.value == pytest.approx(value, rel=1e-9), name
    expected = metrics.mean_intersection_over_union(
        prediction.predicted_class, labels, num_classes=3, void_label=-1
    )
    union = evaluation["mean_intersection_over_union"]
    assert union.monte_carlo.value == pytest.approx(expected)


def test_values_of_several_labels_are_those_of_all_labels_together():
    generator = np.random.default_rng(0)
    samples = sigmoid(2 * generator.normal(size=(8, 80, 3)))
    labels = generator.integers(-1, 2, size=(80, 3))
    prediction = from_samples(samples, samples[0], task="multilabel")
    evaluation = evaluate(prediction, labels, metrics="all", **FEW)
    known = labels != -1
    flat = prediction.class_probabilities[known], labels[known]
    for name, value in class_references(*flat).items():
        assert evaluation[name].monte_carlo.value == pytest.approx(value, rel=1e-9), name
    assert "mean_intersection_over_union" in evaluation.omitted


@pytest.mark.parametrize("kept", [True, False])
def test_values_of_numbers_are_those_of_the_metric_functions(kept):
    prediction, y = make_numbers()
    if not kept:
        prediction = without_samples(prediction)
    evaluation = evaluate(prediction, y, metrics="all", confidence_level=0.8, **FEW)
    mean, variance = prediction.mean, prediction.variance
    low, high = prediction.interval(0.8)
    crps = metrics.crps_gaussian(mean, variance, y)
    references = {
        "root_mean_squared_error": metrics.root_mean_squared_error(mean, y),
        "mean_absolute_error": metrics.mean_absolute_error(mean, y),
        "log_likelihood": metrics.gaussian_log_likelihood(mean, variance, y),
        "crps": metrics.crps(prediction.samples, y) if kept else crps,
        "interval_coverage": metrics.interval_coverage(low, high, y),
        "interval_width": metrics.interval_width(low, high),
        "interval_score": metrics.interval_score(low, high, y, level=0.8),
        "sharpness": metrics.sharpness(variance),
        "expected_normalized_calibration_error": metrics.expected_normalized_calibration_error(
            mean, variance, y
        ),
    }
    values = {c.name: c.monte_carlo.value for c in evaluation.comparisons}
    assert values == pytest.approx(references)
    deterministic = prediction.deterministic
    assert evaluation["crps"].deterministic.value == pytest.approx(
        metrics.mean_absolute_error(deterministic, y)
    )
    assert "no noise of the targets" in evaluation["log_likelihood"].note


@pytest.mark.parametrize("kept", [True, False])
def test_values_of_a_gaussian_are_those_of_the_metric_functions(kept):
    prediction, y = make_gaussian()
    samples, variances = prediction.samples, prediction.sample_variances
    mean, variance = prediction.mean, prediction.variance
    references = {
        "log_likelihood": metrics.mixture_log_likelihood(samples, y, sample_variances=variances),
        "crps": metrics.crps_gaussian_mixture(samples, variances, y),
    }
    if not kept:
        prediction = without_samples(prediction)
        references = {
            "log_likelihood": metrics.gaussian_log_likelihood(mean, variance, y),
            "crps": metrics.crps_gaussian(mean, variance, y),
        }
    evaluation = evaluate(prediction, y, metrics="all", **FEW)
    low, high = prediction.interval(0.95)
    references |= {
        "interval_coverage": metrics.interval_coverage(low, high, y),
        "sharpness": metrics.sharpness(variance),
        "aleatoric_deviation": np.sqrt(prediction.aleatoric_variance.mean()),
        "epistemic_deviation": np.sqrt(prediction.epistemic_variance.mean()),
    }
    for name, value in references.items():
        assert evaluation[name].monte_carlo.value == pytest.approx(value), name
    off = prediction.deterministic, prediction.deterministic_variance
    deterministic = {
        "log_likelihood": metrics.gaussian_log_likelihood(*off, y),
        "crps": metrics.crps_gaussian(*off, y),
        "sharpness": metrics.sharpness(off[1]),
    }
    for name, value in deterministic.items():
        assert evaluation[name].deterministic.value == pytest.approx(value), name
    reach = 1.959964 * np.sqrt(off[1])
    inside = metrics.interval_coverage(off[0] - reach, off[0] + reach, y)
    assert evaluation["interval_coverage"].deterministic.value == pytest.approx(inside)


def test_flipped_examples_are_those_whose_class_differs():
    samples = np.array([[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]] * 4)
    deterministic = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3]])
    prediction = from_samples(samples, deterministic, task="classification")
    assert evaluate(prediction, [0, 0, 1], **FEW).flipped.tolist() == [1, 2]


def test_a_map_is_flipped_when_one_valid_pixel_is():
    samples = np.full((4, 2, 2, 2), 0.5) + np.array([0.2, -0.2])
    deterministic = samples[0].copy()
    deterministic[:, 1] = [0.1, 0.9]
    prediction = from_samples(samples, deterministic, task="classification")
    assert evaluate(prediction, [[0, 0], [0, -1]], **FEW).flipped.tolist() == [0]


def test_a_regression_has_no_flipped_examples():
    prediction, targets = make_numbers()
    assert evaluate(prediction, targets, **FEW).flipped.size == 0


# Intervals


def test_passes_equal_to_the_deterministic_prediction_differ_by_exactly_nothing():
    prediction, labels = make_classes()
    same = prediction.deterministic
    twin = from_samples(np.stack([same] * 10), same, task="classification")
    evaluation = evaluate(twin, labels, metrics="all", **FEW)
    for comparison in evaluation.comparisons:
        if comparison.difference is not None:
            assert comparison.difference.value == 0.0, comparison.name
            if comparison.name not in WITHOUT_INTERVAL:
                found = comparison.difference
                assert found.low <= 0.0 <= found.high, comparison.name
            # The means over groups of passes are stored in single precision.
            assert comparison.monte_carlo.monte_carlo_error < 1e-5, comparison.name
    assert evaluation.flipped.size == 0


def test_equal_passes_of_a_regression_leave_the_likelihood_out_with_the_reason():
    prediction, targets = make_numbers()
    same = prediction.deterministic
    evaluation = evaluate(
        from_samples(np.stack([same] * 10), same, task="regression"), targets, metrics="all", **FEW
    )
    assert evaluation["root_mean_squared_error"].difference.value == 0.0
    assert "variance of 300 output(s) is 0" in evaluation.omitted["log_likelihood"]
    assert "expected_normalized_calibration_error" in evaluation.omitted
    assert evaluation["crps"].difference.value == pytest.approx(0.0, abs=1e-12)


def test_equal_seeds_give_equal_evaluations_and_others_do_not():
    prediction, labels = make_classes()
    first, again, other = (evaluate(prediction, labels, seed=seed, **FEW) for seed in (1, 1, 2))
    assert first.to_dict() == again.to_dict()
    assert first["brier_score"].monte_carlo.low != other["brier_score"].monte_carlo.low


def test_values_do_not_depend_on_the_order_of_examples():
    prediction, labels = make_classes()
    order = np.random.default_rng(0).permutation(len(prediction))
    first = evaluate(prediction, labels, **FEW)
    second = evaluate(prediction.take(order), labels[order], **FEW)
    for one, other in zip(first.comparisons, second.comparisons, strict=True):
        assert one.monte_carlo.value == pytest.approx(other.monte_carlo.value, rel=1e-12)
        error = one.monte_carlo.monte_carlo_error
        assert error == pytest.approx(other.monte_carlo.monte_carlo_error, rel=1e-9)


WITHOUT_INTERVAL = ("maximum_calibration_error", "expected_normalized_calibration_error")


@pytest.mark.parametrize("kind", MAKERS)
def test_every_interval_holds_its_value(kind):
    _, _, evaluation = everything(kind)
    for comparison in evaluation.comparisons:
        for estimate in (comparison.monte_carlo, comparison.deterministic):
            if estimate is None:
                continue
            # The maps are twelve images, too few for an area under the ROC curve of their errors.
            few = (kind, comparison.name) == ("maps", "error_detection_auroc")
            assert estimate.reason.startswith("fewer than 20") == few, comparison.name
            none = few or comparison.name in WITHOUT_INTERVAL
            assert bool(estimate.reason) == none, comparison.name
            assert none or estimate.low <= estimate.value <= estimate.high, comparison.name


def test_a_higher_level_gives_a_longer_interval():
    prediction, labels = make_classes()
    narrow = evaluate(prediction, labels, confidence_level=0.5, **FEW)
    wide = evaluate(prediction, labels, confidence_level=0.99, **FEW)
    for one, other in zip(narrow.comparisons, wide.comparisons, strict=True):
        if one.name != "expected_calibration_error":  # its lower end may be 0 in both
            assert one.monte_carlo.low > other.monte_carlo.low, one.name
        assert one.monte_carlo.high < other.monte_carlo.high, one.name


def test_the_difference_is_resampled_in_pairs():
    prediction, labels = make_classes(num_samples=40)
    evaluation = evaluate(prediction, labels, metrics=["negative_log_likelihood"])
    comparison = evaluation["negative_log_likelihood"]
    lengths = [
        estimate.high - estimate.low
        for estimate in (comparison.monte_carlo, comparison.deterministic, comparison.difference)
    ]
    # Both sides share the examples and most of their errors: unpaired, the interval of the
    # difference would be as long as the other two in quadrature.
    assert lengths[2] < 0.6 * np.hypot(*lengths[:2])


def test_images_are_resampled_whole():
    prediction, labels = make_dense()
    same = prediction.deterministic  # without noise of passes the interval is that over examples
    twin = from_samples(np.stack([same] * 4), same, task="classification")
    evaluation = evaluate(twin, labels, metrics=["accuracy"], seed=3, **FEW)
    right = ((same.argmax(axis=-1) == labels) & (labels != -1)).sum(axis=(1, 2))
    valid = (labels != -1).sum(axis=(1, 2))
    expected = intervals.cluster_share(right.astype(float), valid.astype(float), 0.95)
    estimate = evaluation["accuracy"].deterministic
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    of_pixels = 1.96 * np.sqrt(estimate.value * (1 - estimate.value) / valid.sum())
    assert estimate.high - estimate.low > 2 * 1.2 * of_pixels  # pixels are not independent


def test_void_pixels_count_nowhere():
    prediction, labels = make_dense()
    samples = prediction.samples.copy()
    samples[:, labels == -1] = [0.01, 0.01, 0.98]
    deterministic = prediction.deterministic.copy()
    deterministic[labels == -1] = [0.98, 0.01, 0.01]
    changed = from_samples(samples, deterministic, task="classification")
    expected = evaluate(prediction, labels, **FEW).to_dict()
    assert evaluate(changed, labels, **FEW).to_dict() == expected


def test_counting_rounded_pixels_comes_close_to_copying_them():
    generator = np.random.default_rng(0)
    example = np.repeat(np.arange(20), 50)
    scores = generator.random(1000)
    errors = (generator.random(1000) < scores).astype(float)

    def make(score, outcome):
        return auroc_statistic(score, outcome > 0)

    units = Units(20, example)
    counted = units.of_scores(make, scores, errors)
    copied = units.of_units(make(scores, errors))
    weights = next(draw_weights(20, 50, seed=0)).examples
    assert counted.value == copied.value
    # Half precision keeps 11 bits: scores closer than 5e-4 become ties.
    np.testing.assert_allclose(counted.resampled(weights), copied.resampled(weights), atol=1e-3)
    assert np.ptp(counted.resampled(weights)) > 0.02


def test_units_are_spread_in_blocks(monkeypatch):
    example = np.repeat(np.arange(5), 4)
    statistic = Units(5, example).of_units(lambda weights: weights @ np.arange(20.0))
    weights = next(draw_weights(5, 30, seed=0)).examples
    expected = weights @ np.arange(20.0).reshape(5, 4).sum(axis=1)
    monkeypatch.setattr(units_module, "UNIT_BLOCK", 45)
    np.testing.assert_allclose(statistic.resampled(weights), expected)


def test_where_every_answer_is_right_the_limit_is_the_exact_one():
    samples = np.tile([0.9, 0.1], (4, 50, 1))
    prediction = from_samples(samples, samples[0], task="classification")
    evaluation = evaluate(prediction, np.zeros(50, int), **FEW)
    estimate = evaluation["accuracy"].monte_carlo
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(1.0 - float(-np.expm1(np.log(0.025) / 50)))
    difference = evaluation["accuracy"].difference
    assert difference.low == pytest.approx(-1.96 * np.sqrt(2) / 50, rel=1e-3)
    assert "every prediction is right" in evaluation.omitted["error_detection_auroc"]


def test_a_calibrated_model_has_a_calibration_interval_that_starts_at_zero():
    generator = np.random.default_rng(1)
    probabilities = softmax(2 * generator.normal(size=(1000, 3)))
    labels = (probabilities.cumsum(axis=1) < generator.random((1000, 1))).sum(axis=1)
    prediction = from_samples(np.stack([probabilities] * 4), probabilities, task="classification")
    comparison = evaluate(prediction, labels, **FEW)["expected_calibration_error"]
    assert comparison.floor.low < comparison.monte_carlo.value < comparison.floor.high
    assert comparison.deterministic_floor == comparison.floor
    assert comparison.monte_carlo.low == 0.0
    assert comparison.difference.low < 0.0 < comparison.difference.high


def test_an_overconfident_model_has_a_calibration_interval_above_zero():
    generator = np.random.default_rng(1)
    probabilities = softmax(2 * generator.normal(size=(1000, 3)))
    labels = (probabilities.cumsum(axis=1) < generator.random((1000, 1))).sum(axis=1)
    sharp = softmax(3 * np.log(probabilities))
    prediction = from_samples(np.stack([probabilities] * 4), sharp, task="classification")
    comparison = evaluate(prediction, labels, **FEW)["expected_calibration_error"]
    assert comparison.deterministic.value > comparison.deterministic_floor.high
    assert comparison.deterministic.low > 0.0
    assert comparison.difference.high < 0.0


def test_the_monte_carlo_error_needs_the_passes_where_votes_or_variances_count():
    prediction, labels, kept = everything("classes")
    assert kept["variation_ratio"].monte_carlo.monte_carlo_error > 0.0
    assert kept["mean_standard_deviation"].monte_carlo.monte_carlo_error > 0.0
    streamed = evaluate(without_samples(prediction), labels, **FEW)
    assert streamed["variation_ratio"].monte_carlo.monte_carlo_error is None
    assert streamed["accuracy"].monte_carlo == kept["accuracy"].monte_carlo
    numbers, targets = make_numbers()
    streamed = evaluate(without_samples(numbers), targets, **FEW)
    assert streamed["crps"].monte_carlo.monte_carlo_error > 0.0  # of the mean, the spread kept
    assert streamed["sharpness"].monte_carlo.monte_carlo_error is None
    assert streamed["root_mean_squared_error"].monte_carlo.monte_carlo_error > 0.0
    assert evaluate(numbers, targets, **FEW)["crps"].monte_carlo.monte_carlo_error > 0.0


def test_two_passes_are_enough():
    for make in (make_classes, make_numbers, make_gaussian):
        prediction, targets = make(num_samples=2)
        evaluation = evaluate(prediction, targets, **FEW)
        assert len(evaluation.comparisons) > 5


# Passes and coverage, against a model of eight units of which every mask can be enumerated

WEIGHTS = np.random.default_rng(7).normal(size=(8, 3))
MASKS = 2.0 * np.stack(np.meshgrid(*[[0, 1]] * 8), axis=-1).reshape(-1, 8)
NAMES = ["negative_log_likelihood", "brier_score", "predictive_entropy", "mutual_information"]


def draw_examples(num_examples, generator):
    """Returns inputs and labels of another linear model."""
    x = generator.normal(size=(num_examples, 8))
    truth = softmax(0.7 * x @ WEIGHTS + 0.3)
    return x, (truth.cumsum(axis=1) < generator.random((num_examples, 1))).sum(axis=1)


def draw_passes(x, num_samples, generator, *, shared):
    """Returns passes with dropout on the eight inputs, at a rate of one half."""
    masks = 2.0 * (generator.random((num_samples, 1 if shared else len(x), 8)) < 0.5)
    return from_samples(softmax((x * masks) @ WEIGHTS), softmax(x @ WEIGHTS), task="classification")


def exact_values(x, labels):
    """Returns the metrics of infinitely many passes, from all 2^8 sub-networks."""
    mean, expected_entropy = 0.0, 0.0
    for mask in MASKS:
        probabilities = softmax((x * mask) @ WEIGHTS)
        mean = mean + probabilities / len(MASKS)
        expected_entropy += metrics.entropy(probabilities).mean() / len(MASKS)
    entropy = metrics.entropy(mean).mean()
    return {
        "negative_log_likelihood": metrics.negative_log_likelihood(mean, labels),
        "brier_score": metrics.brier_score(mean, labels),
        "predictive_entropy": entropy,
        "mutual_information": entropy - expected_entropy,
    }


def test_the_monte_carlo_error_is_the_spread_over_repeated_sampling():
    generator = np.random.default_rng(0)
    x, labels = draw_examples(100, generator)
    values, errors = [], []
    num_trials = 60
    for _ in range(num_trials):
        prediction = draw_passes(x, 20, generator, shared=True)
        evaluation = evaluate(without_samples(prediction), labels, metrics=NAMES, **FEW)
        estimates = [evaluation[name].monte_carlo for name in NAMES]
        values.append([estimate.value for estimate in estimates])
        errors.append([estimate.monte_carlo_error for estimate in estimates])
    spread = np.std(values, axis=0, ddof=1)
    # A standard deviation of 60 values has a relative error of 9%; that of the root mean
    # square of 60 estimates with 9 degrees of freedom each is 3%. Four times the two together.
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(errors), axis=0)), spread, rtol=0.38)


@pytest.mark.parametrize("shared", [True, False])
def test_intervals_cover_the_value_of_infinitely_many_passes_on_all_examples(shared):
    generator = np.random.default_rng(11)
    population = draw_examples(40_000, generator)
    truth = exact_values(*population)
    off = softmax(population[0] @ WEIGHTS)
    deterministic = metrics.negative_log_likelihood(off, population[1])
    num_trials = 100
    covered = np.zeros(len(NAMES) + 1)
    for _ in range(num_trials):
        x, labels = draw_examples(250, generator)
        prediction = without_samples(draw_passes(x, 10, generator, shared=shared))
        evaluation = evaluate(prediction, labels, metrics=NAMES, num_resamples=200)
        for index, name in enumerate(NAMES):
            estimate = evaluation[name].monte_carlo
            covered[index] += estimate.low <= truth[name] <= estimate.high
        estimate = evaluation["negative_log_likelihood"].difference
        difference = truth["negative_log_likelihood"] - deterministic
        covered[-1] += estimate.low <= difference <= estimate.high
    # At a coverage of 95% the share of 100 has a standard error of 2.2%, taken three times.
    # Without the noise of the passes 1 to 80% of these intervals cover.
    assert (covered / num_trials >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / num_trials)).all(), covered


# Forms


def test_an_evaluation_is_found_by_name():
    prediction, labels = make_classes()
    evaluation = evaluate(prediction, labels, **FEW)
    assert isinstance(evaluation["accuracy"], MetricComparison)
    with pytest.raises(KeyError, match=r"no metric 'crps'.*accuracy"):
        evaluation["crps"]
    assert repr(evaluation) == (
        "Evaluation(task='classification', examples=200, num_samples=12, metrics=10)"
    )


def test_the_dictionary_is_plain_json():
    prediction, labels = make_classes(num_classes=3)
    evaluation = evaluate(prediction, labels, metrics="all", **FEW)
    undefined = replace(
        evaluation["accuracy"], monte_carlo=Estimate(float("nan"), float("-inf"), 1.0)
    )
    found = replace(evaluation, comparisons=(undefined, *evaluation.comparisons)).to_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert again["metrics"][0]["monte_carlo"] == {
        "value": None,
        "low": None,
        "high": 1.0,
        "monte_carlo_error": None,
        "reason": "",
    }
    assert again["metrics"][1]["name"] == "accuracy"
    assert again["flipped"] == evaluation.flipped.tolist()
    assert again["omitted"]["top_k_accuracy"] == "it needs more than 5 classes"


def test_the_table_has_one_row_a_metric():
    prediction, labels = make_classes()
    evaluation = evaluate(prediction, labels, **FEW)
    frame = evaluation.to_frame()
    assert list(frame.index) == [comparison.name for comparison in evaluation.comparisons]
    row = frame.loc["expected_calibration_error"]
    comparison = evaluation["expected_calibration_error"]
    assert row["monte_carlo"] == comparison.monte_carlo.value
    assert row["difference_low"] == comparison.difference.low
    assert row["floor_high"] == comparison.floor.high
    assert np.isnan(frame.loc["mutual_information", "deterministic"])


def test_the_text_shows_both_sides_the_mark_the_floor_and_what_was_left_out():
    prediction, labels = make_classes(num_classes=3)
    text = evaluate(prediction, labels, metrics="all", **FEW).to_text()
    lines = text.splitlines()
    assert lines[0].startswith("classification: 200 examples, 12 passes, predicted class differs")
    assert lines[2].split() == ["metric", "Monte", "Carlo", "deterministic", "difference", "better"]
    (entropy,) = [line for line in lines if line.startswith("Predictive entropy (nats)")]
    assert entropy.endswith("*")
    after = lines[[line.startswith("Expected calibration error") for line in lines].index(True) + 1]
    assert after.startswith("  by chance, if calibrated")
    assert "Left out: top_k_accuracy, it needs more than 5 classes." in lines
    assert len({line.index("higher") for line in lines if line.endswith(" higher")}) == 1


def test_the_text_of_a_regression_says_what_its_numbers_rest_on():
    prediction, targets = make_numbers()
    text = evaluate(prediction, targets, **FEW).to_text()
    assert text.startswith("regression: 150 examples, 12 passes\n")
    assert "states no noise of the targets" in text


def test_student_quantile_of_reference_is_used_for_few_passes():
    prediction, labels = make_classes(num_samples=2)
    estimate = evaluate(prediction, labels, metrics=["predictive_entropy"], **FEW)
    found = estimate["predictive_entropy"].monte_carlo
    # Two passes leave one degree of freedom, whose 97.5% quantile is 12.7.
    assert found.high - found.value >= stats.t.ppf(0.975, 1) * found.monte_carlo_error
