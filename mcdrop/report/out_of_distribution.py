"""Data out of distribution beside the evaluated data."""

from __future__ import annotations

from mcdrop.diagnostics.separation import histogram
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.detection import data_detection, uncertainties
from mcdrop.prediction import Prediction
from mcdrop.report.content import OutOfDistribution, Separation

_NAMES = {"monte_carlo": "MC dropout", "deterministic": "deterministic"}


def out_of_distribution(evaluation: Evaluation, other: Prediction) -> OutOfDistribution:
    """Returns how the uncertainty tells other examples from the evaluated ones.

    Raises:
        DataError: The two predictions are not of one model, or not of as many passes.
    """
    found = data_detection(evaluation, other)
    metrics = {metric.name.rpartition("_")[2]: metric for metric in found.metrics}
    rows = tuple(
        Separation(
            name=each.name,
            title=each.title,
            source=each.side,
            histogram=histogram(*found.scores[each.key]),
            auroc=metrics["auroc"].estimates[each.key],
            difference=metrics["auroc"].differences.get(each.key),
            aupr=metrics["aupr"].estimates[each.key],
            fpr95=metrics["fpr95"].estimates[each.key],
        )
        for each in uncertainties(evaluation.prediction)
    )
    return OutOfDistribution(
        count=next(iter(found.scores.values()))[1].size,
        separations=rows,
        confidences={_NAMES[side]: pair for side, pair in found.confidences.items()},
    )
