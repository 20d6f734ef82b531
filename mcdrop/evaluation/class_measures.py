"""The metrics of class tasks, with what `evaluate` needs to know of each."""

from __future__ import annotations

from mcdrop.evaluation import class_statistics as compute
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.measure import Measure
from mcdrop.weighted import calibration as weighted_calibration
from mcdrop.weighted import ranking as weighted_ranking

ClassMeasure = Measure[ClassForecast]

RISK = 0.01
COVERAGE = 0.8
TRUE_POSITIVE_RATE = 0.95
UNIT_INTERVAL = (0.0, 1.0)


def _calibration_measure(
    name: str, title: str, strategy: str, norm: str, *, is_default: bool = False
) -> ClassMeasure:
    return Measure(
        name,
        title,
        "share",
        "lower",
        compute.binned(strategy, norm),
        is_default=is_default,
        bounds=UNIT_INTERVAL,
        is_biased=True,
        floor=compute.binned_floor(strategy, norm),
        note=compute.floor_note,
    )


def _biased(
    name: str,
    title: str,
    statistic: compute.Compute,
    *,
    unit: str = "share",
    bounds: tuple[float, float] = UNIT_INTERVAL,
    has_floor: bool = True,
) -> ClassMeasure:
    floor = compute.simulated_floor(statistic) if has_floor else None
    return Measure(
        name,
        title,
        unit,
        "lower",
        statistic,
        bounds=bounds,
        is_biased=True,
        floor=floor,
        note=compute.floor_note if has_floor else lambda forecast: "",
    )


CLASS_MEASURES: tuple[ClassMeasure, ...] = (
    Measure(
        "accuracy",
        "Accuracy",
        "share",
        "higher",
        compute.accuracy,
        is_default=True,
        bounds=UNIT_INTERVAL,
        is_share=True,
    ),
    Measure(
        "negative_log_likelihood",
        "Negative log-likelihood",
        "nats",
        "lower",
        compute.negative_log_likelihood,
        is_default=True,
    ),
    Measure(
        "brier_score",
        "Brier score",
        "",
        "lower",
        compute.brier_score,
        is_default=True,
        bounds=(0.0, 2.0),
    ),
    _calibration_measure(
        "expected_calibration_error",
        "Expected calibration error",
        "uniform",
        "l1",
        is_default=True,
    ),
    Measure(
        "area_under_risk_coverage",
        "Area under risk-coverage",
        "share",
        "lower",
        compute.ranking(weighted_ranking.area_under_risk_coverage_statistic),
        is_default=True,
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "error_detection_auroc",
        "Error detection AUROC",
        "",
        "higher",
        compute.detection(weighted_ranking.auroc_statistic),
        is_default=True,
        bounds=UNIT_INTERVAL,
    ),
    *(
        Measure(name, title, "nats", "neither", compute.known(name), is_default=True)
        for name, title in (
            ("predictive_entropy", "Predictive entropy"),
            ("expected_entropy", "Expected entropy"),
            ("mutual_information", "Mutual information"),
        )
    ),
    Measure(
        "variation_ratio",
        "Variation ratio",
        "share",
        "neither",
        compute.known("variation_ratio"),
        is_default=True,
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "mean_standard_deviation",
        "Mean standard deviation",
        "probability",
        "neither",
        compute.known("standard_deviation"),
    ),
    Measure(
        "top_k_accuracy",
        f"Top-{compute.TOP_K} accuracy",
        "share",
        "higher",
        compute.top_k_accuracy,
        bounds=UNIT_INTERVAL,
        is_share=True,
    ),
    Measure(
        "mean_intersection_over_union",
        "Mean intersection over union",
        "share",
        "higher",
        compute.mean_intersection_over_union,
        bounds=UNIT_INTERVAL,
    ),
    _biased(
        "brier_reliability", "Brier reliability", compute.brier_part(0), unit="", bounds=(0.0, 2.0)
    ),
    Measure(
        "brier_resolution", "Brier resolution", "", "higher", compute.brier_part(1), is_biased=True
    ),
    _calibration_measure(
        "equal_mass_calibration_error", "Calibration error, equal-mass bins", "quantile", "l1"
    ),
    _calibration_measure(
        "root_mean_squared_calibration_error",
        "Root mean squared calibration error",
        "uniform",
        "l2",
    ),
    _calibration_measure(
        "maximum_calibration_error", "Maximum calibration error", "uniform", "max"
    ),
    _biased(
        "debiased_calibration_error",
        "Debiased calibration error",
        compute.calibration(
            lambda confidence, correct: weighted_calibration.debiased_calibration_statistic(
                confidence, correct, num_bins=compute.NUM_BINS
            )
        ),
        has_floor=False,
    ),
    _biased(
        "calibration_error_sweep",
        "Calibration error, bin sweep",
        compute.calibration(
            lambda confidence, correct: weighted_calibration.sweep_calibration_statistic(
                confidence, correct, norm="l1"
            )
        ),
    ),
    _biased(
        "smooth_calibration_error",
        "Smooth calibration error",
        compute.calibration(weighted_calibration.smooth_calibration_statistic),
    ),
    _biased(
        "classwise_calibration_error",
        "Classwise calibration error",
        compute.classwise_calibration_error,
    ),
    _biased(
        "full_calibration_error",
        "Full calibration error",
        compute.full_calibration_error,
        bounds=(0.0, 2.0**0.5),
        has_floor=False,
    ),
    _biased(
        "uncertainty_calibration_error",
        "Uncertainty calibration error",
        compute.uncertainty_calibration_error,
        has_floor=False,
    ),
    Measure(
        "excess_area_under_risk_coverage",
        "Excess area under risk-coverage",
        "share",
        "lower",
        compute.ranking(weighted_ranking.excess_area_under_risk_coverage_statistic),
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "area_under_generalized_risk_coverage",
        "Area under generalized risk-coverage",
        "share",
        "lower",
        compute.ranking(weighted_ranking.area_under_generalized_risk_coverage_statistic),
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "coverage_at_risk",
        f"Coverage at {RISK:.0%} risk",
        "share",
        "higher",
        compute.ranking(
            lambda uncertainty, error: weighted_ranking.coverage_at_risk_statistic(
                uncertainty, error, risk=RISK
            )
        ),
        bounds=UNIT_INTERVAL,
        note=lambda forecast: "the best of many thresholds, so high by chance where it is small",
    ),
    Measure(
        "risk_at_coverage",
        f"Risk at {COVERAGE:.0%} coverage",
        "share",
        "lower",
        compute.ranking(
            lambda uncertainty, error: weighted_ranking.risk_at_coverage_statistic(
                uncertainty, error, coverage=COVERAGE
            )
        ),
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "error_detection_aupr",
        "Error detection AUPR",
        "",
        "higher",
        compute.detection(weighted_ranking.average_precision_statistic),
        bounds=UNIT_INTERVAL,
    ),
    Measure(
        "error_detection_fpr95",
        "Error detection FPR at 95% TPR",
        "share",
        "lower",
        compute.detection(
            lambda uncertainty, error: weighted_ranking.false_positive_rate_statistic(
                uncertainty, error, true_positive_rate=TRUE_POSITIVE_RATE
            )
        ),
        bounds=UNIT_INTERVAL,
    ),
)
"""The measures of classification, binary and multilabel predictions, default ones first."""
