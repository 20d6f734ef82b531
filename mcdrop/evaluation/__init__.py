"""Scoring a prediction against the truth, Monte Carlo beside deterministic, with intervals."""

from mcdrop.evaluation.assessment import Evaluation as Evaluation
from mcdrop.evaluation.assessment import evaluate as evaluate
from mcdrop.evaluation.comparison import Comparison as Comparison
from mcdrop.weighted.bootstrap import Estimate as Estimate

__all__ = ["Comparison", "Estimate", "Evaluation", "evaluate"]
