"""What a score would be with infinitely many examples: labels integrated out."""

import numpy as np

from benchmarks.coverage import classes
from mcdrop.weighted import calibration, ranking

LEAST_POPULATION = 10_000
CLASS_POPULATION = 200_000
COVERAGE = 0.8
RISK = 0.01
TRUE_POSITIVE_RATE = 0.95


def population(world, expected, size):
    """Returns the true scores of both models, {name: (first, second)}.

    They come from 20 times as many examples as the data sets hold, stratified and with every
    label they may have, so that their own error hardly counts. Scores of classes come from
    more, as some classes are rare.
    """

    def drawn_of(num_examples):
        generator = np.random.default_rng(7)
        return classes.draw(world, num_examples, expected, size, generator, stratified=True)

    num_examples = max(LEAST_POPULATION, 20 * size)
    drawn = drawn_of(num_examples)
    # Of the eight classes that share the rest evenly one stands for all.
    ranked = np.argsort(-drawn.truth, axis=1, kind="stable")[:, :3]
    weights = np.take_along_axis(drawn.truth, ranked, axis=1) * [1.0, 1.0, 8.0]
    rows = np.repeat(np.arange(num_examples), 3)
    found = [scores(p, rows, ranked.ravel(), weights.ravel()) for p in (drawn.first, drawn.second)]
    drawn = drawn_of(CLASS_POPULATION)
    by_class = [class_scores(p, drawn.truth) for p in (drawn.first, drawn.second)]
    return {name: (side[0][name], side[1][name]) for side in (found, by_class) for name in side[0]}


def scores(table, rows, labels, weights):
    """Returns every score of probabilities `table`, of weighted rows and labels."""
    whole = weights[None] * (len(table) / weights.sum())
    entropy = -(table * np.log(np.maximum(table, 1e-300))).sum(axis=1)[rows]
    predicted, confidence = table.argmax(axis=1)[rows], table.max(axis=1)[rows]
    error = (predicted != labels).astype(float)
    chosen = table[rows, labels]
    squares = np.square(table).sum(axis=1)[rows]

    def mean(values):
        return float((whole[0] @ values) / whole[0].sum())

    def one(statistic):
        return float(statistic(whole)[0])

    def binned(strategy, norm):
        return one(
            calibration.binned_calibration_statistic(
                confidence, 1 - error, num_bins=15, strategy=strategy, norm=norm
            )
        )

    return {
        "accuracy": 1.0 - mean(error),
        "negative_log_likelihood": mean(-np.log(np.maximum(chosen, 1e-300))),
        "brier_score": mean(squares - 2 * chosen + 1),
        "predictive_entropy": mean(entropy),
        "expected_calibration_error": binned("uniform", "l1"),
        "equal_mass_calibration_error": binned("quantile", "l1"),
        "root_mean_squared_calibration_error": binned("uniform", "l2"),
        "area_under_risk_coverage": one(ranking.area_under_risk_coverage_statistic(entropy, error)),
        "area_under_generalized_risk_coverage": one(
            ranking.area_under_generalized_risk_coverage_statistic(entropy, error)
        ),
        "excess_area_under_risk_coverage": one(
            ranking.excess_area_under_risk_coverage_statistic(entropy, error)
        ),
        "error_detection_auroc": one(ranking.auroc_statistic(entropy, error > 0)),
        "error_detection_aupr": one(ranking.average_precision_statistic(entropy, error > 0)),
        "error_detection_fpr95": one(
            ranking.false_positive_rate_statistic(
                entropy, error > 0, true_positive_rate=TRUE_POSITIVE_RATE
            )
        ),
        "risk_at_coverage": one(
            ranking.risk_at_coverage_statistic(entropy, error, coverage=COVERAGE)
        ),
        "coverage_at_risk": one(ranking.coverage_at_risk_statistic(entropy, error, risk=RISK)),
    }


def class_scores(table, truth):
    """Returns top-5 accuracy, scores of each class, and their means."""
    predicted = table.argmax(axis=1)
    top = np.argsort(-table, axis=1, kind="stable")[:, :5]
    found = {"top_k_accuracy": np.take_along_axis(truth, top, axis=1).sum(axis=1).mean()}
    hits = np.bincount(predicted, truth[np.arange(len(table)), predicted], table.shape[1])
    called, held = np.bincount(predicted, minlength=table.shape[1]), truth.sum(axis=0)
    entropy = -(table * np.log(np.maximum(table, 1e-300))).sum(axis=1)
    ratios = {
        "precision": (hits, called),
        "recall": (hits, held),
        "f1": (2 * hits, held + called),
        "predictive_entropy": (entropy @ truth, held),
    }
    for name, (part, whole) in ratios.items():
        with np.errstate(invalid="ignore"):
            of_classes = part / whole
        found[f"macro_{name}"] = np.nan_to_num(of_classes).mean()
        found |= {f"{name} of class {c}": float(value) for c, value in enumerate(of_classes)}
    return found
