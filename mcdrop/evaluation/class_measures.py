"""The registry of the measures of class tasks; `docs/contributing.md` says how to add one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation import class_rules as rules
from mcdrop.evaluation import class_statistics as compute
from mcdrop.evaluation.class_means import (
    F1,
    OVERLAP,
    PRECISION,
    RECALL,
    ClassMean,
    mean_intersection_over_union,
)
from mcdrop.evaluation.class_rules import UNIT_INTERVAL, Scores
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.measures import Measure
from mcdrop.weighted import calibration as weighted_calibration
from mcdrop.weighted import kernel_calibration
from mcdrop.weighted import ranking as weighted_ranking

ClassMeasure = Measure[ClassForecast]

RISK = 0.01
COVERAGE = 0.8
TRUE_POSITIVE_RATE = 0.95
BRIER_BOUNDS = (0.0, 2.0)


def _share(name: str, title: str, outcome: Scores, *, is_default: bool = False) -> ClassMeasure:
    return Measure(
        name,
        title,
        "share",
        "higher",
        compute.average(outcome),
        rules.share(outcome),
        is_default=is_default,
        bounds=UNIT_INTERVAL,
    )


def _mean_over_classes(name: str, title: str, mean: ClassMean) -> ClassMeasure:
    return Measure(name, title, "share", "higher", mean.statistic, mean.rule, bounds=UNIT_INTERVAL)


def _entropy(name: str, title: str, scores: Scores, *, is_biased: bool = True) -> ClassMeasure:
    return Measure(
        name,
        title,
        "nats",
        "neither",
        compute.average(scores),
        rules.uncertainty(scores, lambda forecast: float(np.log(forecast.num_classes))),
        is_default=True,
        note=compute.entropy_note if is_biased else lambda forecast: "",
    )


def _spread(name: str, title: str, unit: str, *, is_default: bool = False) -> ClassMeasure:
    scores = compute.known(name.removeprefix("mean_"))
    return Measure(
        name,
        title,
        unit,
        "neither",
        compute.average(scores),
        rules.uncertainty(scores, lambda forecast: 1.0),
        is_default=is_default,
        bounds=UNIT_INTERVAL,
    )


def _calibration(
    name: str,
    title: str,
    statistic: compute.Compute,
    *,
    unit: str = "share",
    bounds: tuple[float, float] = UNIT_INTERVAL,
    has_floor: bool = True,
    is_costly: bool = False,
) -> ClassMeasure:
    return Measure(
        name,
        title,
        unit,
        "lower",
        statistic,
        rules.calibration(),
        bounds=bounds,
        floor=compute.simulated_floor(statistic) if has_floor else None,
        note=compute.floor_note if has_floor else lambda forecast: "",
        is_costly=is_costly,
    )


def _binned(
    name: str, title: str, strategy: str, norm: str, *, is_default: bool = False
) -> ClassMeasure:
    rule = rules.calibration(compute.gap_movement(norm) if strategy == "uniform" else None)
    if norm == "l2":
        rule = rules.squared_calibration(compute.gap_movement(norm), compute.squared_gaps)
    if norm == "max":
        rule = rules.MAXIMUM
    return Measure(
        name,
        title,
        "share",
        "lower",
        compute.binned(strategy, norm),
        rule,
        is_default=is_default,
        bounds=UNIT_INTERVAL,
        floor=compute.binned_floor(strategy, norm),
        is_costly=strategy == "quantile",
        note=compute.floor_note,
    )


def _risk_coverage(
    name: str,
    title: str,
    make: compute.RankingStatistic,
    *,
    rule: rules.ClassRule = rules.RISK_COVERAGE,
    better: str = "lower",
    note: str = "",
    is_default: bool = False,
) -> ClassMeasure:
    return Measure(
        name,
        title,
        "share",
        better,
        compute.ranking(make),
        rule,
        is_default=is_default,
        bounds=UNIT_INTERVAL,
        note=lambda forecast: note,
    )


def _detection(
    name: str,
    title: str,
    make: compute.RankingStatistic,
    rule: rules.ClassRule,
    *,
    unit: str = "",
    better: str = "higher",
    is_default: bool = False,
) -> ClassMeasure:
    return Measure(
        name,
        title,
        unit,
        better,
        compute.detection(make),
        rule,
        is_default=is_default,
        bounds=UNIT_INTERVAL,
    )


def _confidence(forecast: ClassForecast) -> NDArray[np.float64]:
    return np.asarray(forecast.confidence, dtype=np.float64)


MEAN_CONFIDENCE: ClassMeasure = Measure(
    "mean_confidence",
    "Mean confidence",
    "share",
    "neither",
    compute.average(_confidence),
    rules.uncertainty(_confidence, lambda forecast: 1.0),
    bounds=UNIT_INTERVAL,
)
"""No score, so not in the registry: what the accuracy should be, and where other data lower it."""

CLASS_MEASURES: tuple[ClassMeasure, ...] = (
    replace(
        _mean_over_classes("mean_intersection_over_union", "Mean intersection over union", OVERLAP),
        statistic=mean_intersection_over_union,
        leads_dense=True,
    ),
    _share("accuracy", "Accuracy", lambda forecast: forecast.correct, is_default=True),
    Measure(
        "negative_log_likelihood",
        "Negative log-likelihood",
        "nats",
        "lower",
        compute.average(lambda forecast: forecast.log_loss),
        rules.loss(lambda forecast: forecast.log_loss),
        is_default=True,
    ),
    Measure(
        "brier_score",
        "Brier score",
        "",
        "lower",
        compute.average(lambda forecast: forecast.brier_loss),
        rules.loss(lambda forecast: forecast.brier_loss),
        is_default=True,
        bounds=BRIER_BOUNDS,
    ),
    _binned(
        "expected_calibration_error",
        "Expected calibration error",
        "uniform",
        "l1",
        is_default=True,
    ),
    _risk_coverage(
        "area_under_risk_coverage",
        "Area under risk-coverage",
        weighted_ranking.area_under_risk_coverage_statistic,
        is_default=True,
    ),
    _detection(
        "error_detection_auroc",
        "Error detection AUROC",
        weighted_ranking.auroc_statistic,
        rules.AUROC,
        is_default=True,
    ),
    _entropy(
        "predictive_entropy", "Predictive entropy", lambda forecast: forecast.predictive_entropy
    ),
    _entropy(
        "expected_entropy",
        "Expected entropy",
        compute.known("expected_entropy"),
        is_biased=False,
    ),
    _entropy("mutual_information", "Mutual information", compute.known("mutual_information")),
    _spread("variation_ratio", "Variation ratio", "share", is_default=True),
    _spread("mean_standard_deviation", "Mean standard deviation", "probability"),
    _share("top_k_accuracy", f"Top-{compute.TOP_K} accuracy", compute.top_k_hits),
    _mean_over_classes("macro_precision", "Macro precision", PRECISION),
    _mean_over_classes("macro_recall", "Macro recall", RECALL),
    _mean_over_classes("macro_f1", "Macro F1", F1),
    _calibration(
        "brier_reliability",
        "Brier reliability",
        compute.brier_part("reliability"),
        unit="",
        bounds=BRIER_BOUNDS,
        is_costly=True,
    ),
    Measure(
        "brier_resolution",
        "Brier resolution",
        "",
        "higher",
        compute.brier_part("resolution"),
        rules.MIRRORED,
        bounds=UNIT_INTERVAL,
        is_costly=True,
    ),
    _binned("equal_mass_calibration_error", "Calibration error, equal-mass bins", "quantile", "l1"),
    _binned(
        "root_mean_squared_calibration_error",
        "Root mean squared calibration error",
        "uniform",
        "l2",
    ),
    _binned("maximum_calibration_error", "Maximum calibration error", "uniform", "max"),
    _calibration(
        "debiased_calibration_error",
        "Debiased calibration error",
        compute.calibration(
            lambda confidence, correct: weighted_calibration.debiased_calibration_statistic(
                confidence, correct, num_bins=compute.NUM_BINS
            )
        ),
        has_floor=False,
        is_costly=True,
    ),
    _calibration(
        "calibration_error_sweep",
        "Calibration error, bin sweep",
        compute.calibration(
            lambda confidence, correct: weighted_calibration.sweep_calibration_statistic(
                confidence, correct, norm="l1"
            )
        ),
        is_costly=True,
    ),
    _calibration(
        "smooth_calibration_error",
        "Smooth calibration error",
        compute.calibration(kernel_calibration.smooth_calibration_statistic),
        is_costly=True,
    ),
    _calibration(
        "classwise_calibration_error",
        "Classwise calibration error",
        compute.classwise_calibration_error,
        is_costly=True,
    ),
    _calibration(
        "full_calibration_error",
        "Full calibration error",
        compute.full_calibration_error,
        bounds=(0.0, 2.0**0.5),
        has_floor=False,
        is_costly=True,
    ),
    _calibration(
        "uncertainty_calibration_error",
        "Uncertainty calibration error",
        compute.uncertainty_calibration_error,
        has_floor=False,
    ),
    _risk_coverage(
        "excess_area_under_risk_coverage",
        "Excess area under risk-coverage",
        weighted_ranking.excess_area_under_risk_coverage_statistic,
    ),
    _risk_coverage(
        "area_under_generalized_risk_coverage",
        "Area under generalized risk-coverage",
        weighted_ranking.area_under_generalized_risk_coverage_statistic,
    ),
    _risk_coverage(
        "coverage_at_risk",
        f"Coverage at {RISK:.0%} risk",
        lambda uncertainty, error: weighted_ranking.coverage_at_risk_statistic(
            uncertainty, error, risk=RISK
        ),
        rule=rules.coverage_at_risk(RISK),
        better="higher",
        note="the best of many thresholds, so high by chance where it is small",
    ),
    _risk_coverage(
        "risk_at_coverage",
        f"Risk at {COVERAGE:.0%} coverage",
        lambda uncertainty, error: weighted_ranking.risk_at_coverage_statistic(
            uncertainty, error, coverage=COVERAGE
        ),
        rule=rules.risk_at_coverage(COVERAGE),
    ),
    _detection(
        "error_detection_aupr",
        "Error detection AUPR",
        weighted_ranking.average_precision_statistic,
        rules.AVERAGE_PRECISION,
    ),
    _detection(
        "error_detection_fpr95",
        "Error detection FPR at 95% TPR",
        lambda uncertainty, error: weighted_ranking.false_positive_rate_statistic(
            uncertainty, error, true_positive_rate=TRUE_POSITIVE_RATE
        ),
        rules.false_positive_rate(TRUE_POSITIVE_RATE),
        unit="share",
        better="lower",
    ),
)
"""The measures of classification, binary and multilabel predictions, default ones first."""
