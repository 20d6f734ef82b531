"""Draws data sets of a world, asks mcdrop for what it prints, and says what is true."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import mcdrop
from benchmarks.coverage import classes, dense, detection, regression, seeds, truth
from benchmarks.coverage.tally import DIFFERENCE
from mcdrop.evaluation.class_scores import Passes, class_scores
from mcdrop.evaluation.comparing import compare_measures
from mcdrop.evaluation.detection import DATA_MEASURES, which_data
from mcdrop.evaluation.sources import of_array, without_passes
from mcdrop.evaluation.targets import Targets
from mcdrop.study.paired import over_seeds

RESAMPLES = 200
LEVEL = 0.95
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
    "macro_precision",
    "macro_recall",
    "macro_f1",
)
DENSE_METRICS = (
    "accuracy",
    "negative_log_likelihood",
    "brier_score",
    "mean_intersection_over_union",
    "expected_calibration_error",
    "area_under_risk_coverage",
    "error_detection_auroc",
    "predictive_entropy",
)
REGRESSION_METRICS = (
    "root_mean_squared_error",
    "mean_absolute_error",
    "log_likelihood",
    "crps",
    "interval_score",
    "interval_coverage",
    "interval_width",
    "sharpness",
    "expected_normalized_calibration_error",
)
DENSE_POPULATION = 4000
REGRESSION_POPULATION = 100_000


@dataclass(frozen=True)
class Kind:
    """One kind of data.

    Attributes:
        worlds: Names of the worlds.
        ask: From world, number of examples, expected number of the few and replica to the ends
            of what mcdrop prints, by score.
        truths: From world, examples and expected number to (first, second) true values by score.
    """

    worlds: tuple[str, ...]
    ask: Callable
    truths: Callable


def _printed(metrics):
    """Returns the ends of the first forecast's intervals, and of the second less the first's."""
    found = {}
    for metric in metrics:
        if "first" in metric.estimates:
            found[metric.name] = _ends(metric.estimates["first"])
        if "second" in metric.differences:
            found[DIFFERENCE + metric.name] = _ends(metric.differences["second"])
    return found


def _ends(estimate):
    return estimate.low, estimate.high


def _compared(models, y, task, metrics, num_resamples=RESAMPLES, seed=0):
    return mcdrop.compare(
        {"first": models[0], "second": models[1]},
        y,
        task=task,
        metrics=list(metrics),
        num_resamples=num_resamples,
        seed=seed,
    ).metrics


def _values(metrics):
    return {each.name: tuple(e.value for e in each.estimates.values()) for each in metrics}


def flattened(truths):
    """Returns true values by the names of what is printed, from (first, second) by score."""
    differences = {DIFFERENCE + name: second - first for name, (first, second) in truths.items()}
    return {name: first for name, (first, _) in truths.items()} | differences


def _of_each_class(models, labels, *, with_intervals=True):
    """Returns the scores of each class under the first of two models."""
    targets = Targets("classification", labels, models[0].shape[-1], LEVEL)
    first, second = (of_array(p, targets, "").forecast for p in models)
    return class_scores(first, second, Passes(), LEVEL, with_intervals=with_intervals)


def _by_class(scores, names):
    return {
        f"{name} of class {each.label}": getattr(each, name) for each in scores for name in names
    }


def _of_classes(world, size, expected, replica):
    """Two classifiers, the first with `expected` errors among `size` examples."""
    seed = [size, int(10 * expected), classes.WORLDS.index(world), replica]
    generator = np.random.default_rng(seed)
    drawn = classes.draw(world, size, expected, size, generator)
    labels, models = classes.labels_of(drawn.truth, generator), (drawn.first, drawn.second)
    metrics = CLASS_METRICS
    if all((side.argmax(axis=1) == labels).all() for side in models):  # nothing to be detected
        metrics = [name for name in metrics if not name.startswith("error_detection")]
    if np.unique(labels).size < classes.NUM_CLASSES:  # it is the mean of classes that occur
        metrics = [name for name in metrics if not name.startswith("macro")]
    found = _printed(_compared(models, labels, "classification", metrics, seed=replica))
    names = ("precision", "recall", "f1", "predictive_entropy")
    by_class = _by_class(_of_each_class(models, labels), names)
    return found | {name: _ends(each) for name, each in by_class.items()}


def _class_truths(world, size, expected):
    return truth.population(world, expected, size)


_DENSE_CLASS_NAMES = ("precision", "recall", "f1", "intersection_over_union", "predictive_entropy")


def _of_dense(world, size, _, replica):
    """Images, whose pixels are not independent."""
    generator = np.random.default_rng([size, dense.WORLDS.index(world), replica])
    true, *models = dense.draw(world, size, generator)
    labels = dense.labels_of(true, generator)
    found = _printed(_compared(models, labels, "classification", DENSE_METRICS, seed=replica))
    by_class = _by_class(_of_each_class(models, labels), _DENSE_CLASS_NAMES)
    return found | {name: _ends(each) for name, each in by_class.items()}


def _dense_truths(world, *_):
    generator = np.random.default_rng([6, dense.WORLDS.index(world)])
    true, *models = dense.draw(world, DENSE_POPULATION, generator)
    labels = dense.labels_of(true, generator)
    whole = _compared(models, labels, "classification", DENSE_METRICS, 0)
    by_class = _by_class(_of_each_class(models, labels, with_intervals=False), _DENSE_CLASS_NAMES)
    return _values(whole) | {name: (each.value, np.nan) for name, each in by_class.items()}


def _of_regression(world, size, _, replica):
    """Residuals of several shapes."""
    generator = np.random.default_rng([size, regression.WORLDS.index(world), replica])
    target, *sides = regression.draw(world, size, generator)
    models = list(zip(*sides, strict=True))
    return _printed(_compared(models, target, "gaussian", REGRESSION_METRICS, seed=replica))


def _regression_truths(world, *_):
    generator = np.random.default_rng(8)
    target, *sides = regression.draw(world, REGRESSION_POPULATION, generator)
    models = list(zip(*sides, strict=True))
    found = _values(_compared(models, target, "gaussian", REGRESSION_METRICS, 0))
    # Squares of heavy tails converge slowly: their means are known.
    scale = np.exp(2 * 0.4**2)
    squares = np.array([regression.SQUARES[world], regression.SQUARES[world] + 0.09])
    found["root_mean_squared_error"] = tuple(np.sqrt(squares * scale))
    log_scale = 0.5 * np.log(2 * np.pi) + np.array([0.0, np.log(1.3)])
    found["log_likelihood"] = tuple(-log_scale - squares / np.array([2.0, 2.0 * 1.69]))
    return found


def _of_detection(world, known, out_of_distribution, replica):
    """Few out-of-distribution examples among known ones, told apart by two uncertainties."""
    out_of_distribution = int(out_of_distribution)
    generator = np.random.default_rng([out_of_distribution, detection.WORLDS.index(world), replica])
    inside = detection.draw(world, known, generator, out_of_distribution=False)
    outside = detection.draw(world, out_of_distribution, generator, out_of_distribution=True)
    sources = {
        name: without_passes(which_data(*pair))
        for name, *pair in zip(("first", "second"), inside, outside, strict=True)
    }
    settings = {"level": LEVEL, "num_resamples": RESAMPLES, "seed": replica}
    return _printed(compare_measures(sources, DATA_MEASURES, reference="first", **settings)[0])


def _of_seeds(world, size, _, replica):
    """A score of a few seeds, or a difference of two that are paired by seed."""
    generator = np.random.default_rng([size, seeds.WORLDS.index(world), replica])
    found = over_seeds(pd.Series(seeds.draw(world, size, generator)), LEVEL)[1]
    return {"mean over seeds": _ends(found)}


KINDS = {
    "classes": Kind(classes.WORLDS, _of_classes, _class_truths),
    "dense": Kind(dense.WORLDS, _of_dense, _dense_truths),
    "regression": Kind(regression.WORLDS, _of_regression, _regression_truths),
    "detection": Kind(detection.WORLDS, _of_detection, detection.truths),
    "seeds": Kind(
        seeds.WORLDS, _of_seeds, lambda world, *_: {"mean over seeds": (seeds.MEANS[world], np.nan)}
    ),
}
