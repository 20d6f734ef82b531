"""Scoring forecasts against the truth, any number side by side, with intervals."""

from mcdrop.evaluation.assessing import evaluate as evaluate
from mcdrop.evaluation.comparing import compare as compare
from mcdrop.evaluation.records import ClassScore as ClassScore
from mcdrop.evaluation.records import ComparedMetric as ComparedMetric
from mcdrop.evaluation.records import Estimate as Estimate
from mcdrop.evaluation.records import MetricComparison as MetricComparison
from mcdrop.evaluation.results import Comparison as Comparison
from mcdrop.evaluation.results import Evaluation as Evaluation

__all__ = [
    "ClassScore",
    "ComparedMetric",
    "Comparison",
    "Estimate",
    "Evaluation",
    "MetricComparison",
    "compare",
    "evaluate",
]
