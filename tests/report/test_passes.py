"""Were the passes enough?"""

from dataclasses import replace

import numpy as np

from mcdrop.diagnostics.convergence import convergence
from mcdrop.report.passes import enough


def test_without_curves_nothing_is_claimed(classification):
    assert enough((), classification)[0] == "It cannot be told"


def test_many_alike_passes_are_enough_and_few_unlike_ones_are_not(classification):
    curves = convergence(classification.prediction, classification.y_true)
    quiet = next(curve for curve in curves if curve.name == "accuracy")
    flat = replace(quiet, value=np.full(10, 0.9), error=np.full(10, 1e-6))
    assert enough([flat], classification)[0] == "Yes"
    loud = replace(flat, error=np.full(10, 1.0))
    verdict, basis = enough([loud], classification)
    assert verdict == "No"
    assert "passes would" in basis
