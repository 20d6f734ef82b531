"""Intervals that hold with few data: closed forms and resampling, of plain arrays.

Every function returns an `Interval`: both ends, or NaN and the reason where the data cannot
carry one. None leaves the possible range, and none has width 0 where the data could have come
out otherwise. docs/intervals.md states the method of each score and its coverage.
"""

from mcdrop.intervals.clusters import cluster_share as cluster_share
from mcdrop.intervals.clusters import cluster_share_difference as cluster_share_difference
from mcdrop.intervals.interval import Interval as Interval
from mcdrop.intervals.interval import absent as absent
from mcdrop.intervals.interval import central as central
from mcdrop.intervals.interval import hull as hull
from mcdrop.intervals.interval import too_few as too_few
from mcdrop.intervals.means import interval_score as interval_score
from mcdrop.intervals.means import log_likelihood as log_likelihood
from mcdrop.intervals.means import mean_with_atoms as mean_with_atoms
from mcdrop.intervals.means import paired_loss_difference as paired_loss_difference
from mcdrop.intervals.means import regression_loss as regression_loss
from mcdrop.intervals.means import root_mean_square as root_mean_square
from mcdrop.intervals.means import root_mean_square_difference as root_mean_square_difference
from mcdrop.intervals.means import student as student
from mcdrop.intervals.ranking import Detection as Detection
from mcdrop.intervals.ranking import as_positive as as_positive
from mcdrop.intervals.ranking import auroc as auroc
from mcdrop.intervals.ranking import auroc_difference as auroc_difference
from mcdrop.intervals.ranking import average_precision as average_precision
from mcdrop.intervals.ranking import average_precision_difference as average_precision_difference
from mcdrop.intervals.resampled import Calibration as Calibration
from mcdrop.intervals.resampled import calibration_error as calibration_error
from mcdrop.intervals.resampled import calibration_error_difference as calibration_error_difference
from mcdrop.intervals.resampled import pseudo as pseudo
from mcdrop.intervals.resampled import pseudo_difference as pseudo_difference
from mcdrop.intervals.resampled import reflected as reflected
from mcdrop.intervals.shares import ClassShares as ClassShares
from mcdrop.intervals.shares import mean_share as mean_share
from mcdrop.intervals.shares import mean_share_difference as mean_share_difference
from mcdrop.intervals.shares import paired_share_difference as paired_share_difference
from mcdrop.intervals.shares import recovered_difference as recovered_difference
from mcdrop.intervals.shares import share as share
from mcdrop.intervals.thresholds import coverage_scan as coverage_scan
from mcdrop.intervals.thresholds import false_positive_rate as false_positive_rate
from mcdrop.intervals.thresholds import risk_difference as risk_difference
