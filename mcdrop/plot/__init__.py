"""The report's figures for notebooks: each draws on one pair of axes and returns it.

Functions take a `Prediction` and targets, or plain arrays, and `ax`, the axes to draw on (None
takes the current ones of pyplot). Colours mean the same everywhere: blue is MC dropout, grey the
deterministic prediction, vermilion what is wrong, purple what is out of distribution.

Example:
    figure, (left, right) = plt.subplots(1, 2)
    mcdrop.plot.reliability_diagram(prediction, y, ax=left)
    mcdrop.plot.risk_coverage(prediction, y, ax=right)
"""

from mcdrop.plot.calibration import pit_histogram as pit_histogram
from mcdrop.plot.calibration import quantile_calibration as quantile_calibration
from mcdrop.plot.calibration import reliability_diagram as reliability_diagram
from mcdrop.plot.classes import confusion_matrix as confusion_matrix
from mcdrop.plot.classes import image_grid as image_grid
from mcdrop.plot.doubt import doubt_map as doubt_map
from mcdrop.plot.regression import error_by_deviation as error_by_deviation
from mcdrop.plot.regression import predictive_intervals as predictive_intervals
from mcdrop.plot.selective import risk_coverage as risk_coverage
from mcdrop.plot.uncertainty import convergence as convergence
from mcdrop.plot.uncertainty import uncertainty_histogram as uncertainty_histogram

__all__ = [
    "confusion_matrix",
    "convergence",
    "doubt_map",
    "error_by_deviation",
    "image_grid",
    "pit_histogram",
    "predictive_intervals",
    "quantile_calibration",
    "reliability_diagram",
    "risk_coverage",
    "uncertainty_histogram",
]
