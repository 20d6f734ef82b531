"""Draws worlds, asks mcdrop for what it prints, and counts."""

from functools import cache

import numpy as np

import mcdrop
from benchmarks.coverage import classes, dense, detection, regression, truth
from mcdrop import intervals

CLASS_METRICS = (
    "accuracy",
    "top_k_accuracy",
    "negative_log_likelihood",
    "brier_score",
    "predictive_entropy",
    "expected_calibration_error",
    "equal_mass_calibration_error",
    "root_mean_squared_calibration_error",
    "area_under_risk_coverage",
    "area_under_generalized_risk_coverage",
    "excess_area_under_risk_coverage",
    "error_detection_auroc",
    "error_detection_aupr",
    "error_detection_fpr95",
    "risk_at_coverage",
    "coverage_at_risk",
)
DENSE_METRICS = (
    "accuracy",
    "negative_log_likelihood",
    "brier_score",
    "mean_intersection_over_union",
    "expected_calibration_error",
    "area_under_risk_coverage",
    "error_detection_auroc",
)
REGRESSION_METRICS = (
    "root_mean_squared_error",
    "mean_absolute_error",
    "log_likelihood",
    "crps",
    "interval_score",
    "interval_coverage",
    "interval_width",
)
DENSE_POPULATION = 2000
REGRESSION_POPULATION = 100_000


def count(tally, kind, comparison, truths, size, expected, world):
    """Counts the intervals of the first forecast, and of the second less the first."""
    for metric in comparison.metrics:
        first, second = truths[metric.name]
        cell = (size, expected, world)
        if "first" in metric.estimates:
            value = metric.estimates["first"]
            tally.add((kind, metric.name, *cell), value.low, value.high, first)
        if "second" in metric.differences:
            gap = metric.differences["second"]
            name = f"difference of {metric.name}"
            tally.add((kind, name, *cell), gap.low, gap.high, second - first)


def of_classes(tally, replica, size, expected, resamples, worlds=classes.WORLDS):
    """Classifiers with `expected` errors among `size` examples."""
    for world in worlds:
        parameter = classes.solve(world, expected / size)
        truths = {
            name: found[:2] for name, found in truth.population(world, parameter, size).items()
        }
        seed = [size, int(10 * expected), classes.WORLDS.index(world), replica]
        generator = np.random.default_rng(seed)
        drawn = classes.draw(world, size, parameter, generator)
        labels = classes.labels_of(drawn.truth, generator)
        comparison = mcdrop.compare(
            {"first": drawn.first, "second": drawn.second},
            labels,
            task="classification",
            metrics=_defined(drawn, labels),
            num_resamples=resamples,
            seed=replica,
        )
        count(tally, "classes", comparison, truths, size, expected, world)


def _defined(drawn, labels):
    """Returns the metrics that these data allow: without an error nothing is to be detected."""
    sides = (drawn.first, drawn.second)
    if any((side.argmax(axis=1) != labels).any() for side in sides):
        return list(CLASS_METRICS)
    return [name for name in CLASS_METRICS if not name.startswith("error_detection")]


def of_dense(tally, replica, size, resamples):
    """Images, whose pixels are not independent."""
    for world in dense.WORLDS:
        truths = _dense_truth(world)
        generator = np.random.default_rng([size, dense.WORLDS.index(world), replica])
        true, *models = dense.draw(world, size, generator)
        labels = dense.labels_of(true, generator)
        comparison = _dense_comparison(models, labels, resamples)
        count(tally, "dense", comparison, truths, size, size, world)


@cache
def _dense_truth(world):
    generator = np.random.default_rng([6, dense.WORLDS.index(world)])
    true, *models = dense.draw(world, DENSE_POPULATION, generator)
    whole = _dense_comparison(models, dense.labels_of(true, generator), 0)
    return {m.name: [e.value for e in m.estimates.values()] for m in whole.metrics}


def _dense_comparison(models, labels, resamples):
    return mcdrop.compare(
        {"first": models[0], "second": models[1]},
        labels,
        task="classification",
        metrics=list(DENSE_METRICS),
        num_resamples=resamples,
    )


def of_regression(tally, replica, size, resamples):
    """Residuals of several shapes."""
    for world in regression.WORLDS:
        truths = _regression_truth(world)
        generator = np.random.default_rng([size, regression.WORLDS.index(world), replica])
        comparison = _regression_comparison(*regression.draw(world, size, generator), resamples)
        count(tally, "regression", comparison, truths, size, size, world)


@cache
def _regression_truth(world):
    generator = np.random.default_rng(8)
    target, means, variances = regression.draw(world, REGRESSION_POPULATION, generator)
    whole = _regression_comparison(target, means, variances, 0)
    truths = {m.name: [e.value for e in m.estimates.values()] for m in whole.metrics}
    # Squares of heavy tails converge slowly: their means are known.
    scale = np.exp(2 * 0.4**2)
    squares = np.array([regression.SQUARES[world], regression.SQUARES[world] + 0.09])
    truths["root_mean_squared_error"] = list(np.sqrt(squares * scale))
    log_scale = 0.5 * np.log(2 * np.pi) + np.array([0.0, np.log(1.3)])
    truths["log_likelihood"] = list(-log_scale - squares / np.array([2.0, 2.0 * 1.69]))
    return truths


def _regression_comparison(target, means, variances, resamples):
    return mcdrop.compare(
        {"first": (means[0], variances[0]), "second": (means[1], variances[1])},
        target,
        task="gaussian",
        metrics=list(REGRESSION_METRICS),
        num_resamples=resamples,
    )


def of_detection(tally, replica, foreign, known=detection.NUM_KNOWN):
    """Few foreign examples among known ones, told apart by an uncertainty."""
    for world in detection.WORLDS:
        area, rate = detection.truth(world)
        generator = np.random.default_rng([foreign, detection.WORLDS.index(world), replica])
        inside = detection.draw(world, known, generator, foreign=False)[0]
        outside = detection.draw(world, foreign, generator, foreign=True)[0]
        score, positive = np.concatenate([inside, outside]), np.arange(known + foreign) >= known
        cell = (known, foreign, world)
        found = intervals.auroc(score, positive)
        tally.add(("detection", "auroc", *cell), found.low, found.high, area)
        found = intervals.false_positive_rate(inside, outside)
        tally.add(("detection", "fpr95", *cell), found.low, found.high, rate)


def of_class_shares(tally, replica, size, expected, worlds=classes.WORLDS):
    """Recall and precision of single classes, the rarest led by one example in 32."""
    for world in worlds:
        parameter = classes.solve(world, expected / size)
        truths = truth.population(world, parameter, size)
        generator = np.random.default_rng([9, size, classes.WORLDS.index(world), replica])
        drawn = classes.draw(world, size, parameter, generator)
        labels = classes.labels_of(drawn.truth, generator)
        tops = drawn.first.argmax(axis=1), drawn.second.argmax(axis=1)
        for c in range(5):
            held, called = labels == c, [top == c for top in tops]
            hits = [found & held for found in called]
            cell = (size, expected, world)
            found = intervals.share(int(hits[0].sum()), int(held.sum()))
            key = ("class-wise", f"recall of class {c}", *cell)
            tally.add(key, found.low, found.high, truths[f"recall {c}"][0])
            found = intervals.share(int(hits[0].sum()), int(called[0].sum()))
            key = ("class-wise", f"precision of class {c}", *cell)
            tally.add(key, found.low, found.high, truths[f"precision {c}"][0])
            found = intervals.share_difference((hits[0], called[0]), (hits[1], called[1]))
            key = ("class-wise", f"difference of precision of class {c}", *cell)
            tally.add(key, found.low, found.high, truths[f"precision {c}"][2])
