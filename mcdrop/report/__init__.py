"""Reports that people look at: one self-contained HTML page, with its numbers as JSON and Parquet.

Example:
    evaluation = mcdrop.evaluate(prediction, y)
    mcdrop.report.write(evaluation, "report", x=images)
"""

from mcdrop.report.context import ReportContext as ReportContext
from mcdrop.report.recalibration import Recalibration as Recalibration
from mcdrop.report.writing import compare as compare
from mcdrop.report.writing import write as write

__all__ = ["Recalibration", "ReportContext", "compare", "write"]
