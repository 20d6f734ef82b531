"""Split conformal prediction: sets and intervals whose coverage holds without assumptions.

Calibrated on n held-out examples at level q, a set contains the label of a new example with
probability k / (n + 1), where k = ceil((n + 1) q), so at least q, if calibration and new examples
are exchangeable; whatever the model. That is a mean over calibration sets: for one of them the
coverage varies as Beta(k, n + 1 - k), see `conformal_coverage`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from mcdrop._checks import (
    as_array,
    as_matched,
    check_choice,
    check_count,
    check_number,
    check_positive,
    check_seed,
)
from mcdrop.errors import DataError
from mcdrop.recalibrate._classes import FloatArray, as_known_classes, as_labelled
from mcdrop.recalibrate._io import Calibrator, require_fit
from mcdrop.recalibrate._outputs import by_output, check_outputs


@dataclass(frozen=True)
class ConformalCoverage:
    """The coverage to expect of split conformal prediction.

    Attributes:
        expected: Mean over calibration sets.
        low: Lower end of the interval in which the coverage lies, given one calibration set.
        high: Upper end.
    """

    expected: float
    low: float
    high: float


def conformal_coverage(
    num_examples: int, *, level: float, confidence_level: float = 0.95
) -> ConformalCoverage:
    """Returns how much the coverage varies with the calibration set of a given size.

    Beta(k, n + 1 - k) with k = ceil((n + 1) level). Exact for continuous scores; ties raise it.

    Args:
        num_examples: Number n of calibration examples (of one class if class-conditional).
        level: Nominal coverage, within (0, 1).
        confidence_level: Level of the central interval, within (0, 1).

    Returns:
        The expected coverage and the interval; all 1 when n is too small for the level.

    Raises:
        DataError: n is below 1, or a level is outside (0, 1).

    References:
        Vovk (2012), arXiv:1209.2673.

    Example:
        >>> round(conformal_coverage(99, level=0.9).expected, 6)
        0.9
    """
    count = check_count("num_examples", num_examples, minimum=1)
    tail = 1 - check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    rank = _conformal_rank(count, check_number("level", level, low=0, high=1, open_ends=True))
    if rank > count:
        return ConformalCoverage(1.0, 1.0, 1.0)
    low, high = betaincinv(rank, count + 1 - rank, [tail / 2, 1 - tail / 2])
    return ConformalCoverage(rank / (count + 1), float(low), float(high))


@final
@dataclass(frozen=True)
class SplitConformalClassifier(Calibrator):
    """Turns class probabilities into sets of classes that contain the label at a given level.

    The score of a class, of the Monte Carlo mean p, is

    - "threshold": 1 - p. The smallest sets on average; hard examples are covered less.
    - "adaptive" (APS): the mass of the classes above it, plus U p with U uniform on [0, 1).
    - "regularized_adaptive" (RAPS): the same plus penalty * max(rank - free_rank, 0), with rank 1
      the most probable class. Smaller sets with many classes.

    A set holds the classes whose score is at most the threshold. It may be empty: then no class
    fits the example well enough at this level. U depends on the seed and on the row.

    Attributes:
        method: "threshold", "adaptive" or "regularized_adaptive".
        level: Coverage wanted, within (0, 1).
        class_conditional: One threshold for each class, from the examples of that class alone, so
            that the level holds for every class. A class with fewer than level / (1 - level)
            examples is then in every set.
        penalty: Of "regularized_adaptive", for each rank; at least 0.
        free_rank: Of "regularized_adaptive", the number of ranks without penalty.
        thresholds: One for each class; None before the fit.

    References:
        Sadinle, Lei and Wasserman (2019), arXiv:1609.00451 ("threshold", class-conditional);
        Romano, Sesia and Candes (2020), arXiv:2006.02544; Angelopoulos et al. (2021),
        arXiv:2009.14193.

    Example:
        >>> p = [[0.9, 0.1]] * 7 + [[0.6, 0.4]] * 2
        >>> fitted = SplitConformalClassifier(level=0.8).fit(p, [0] * 9)
        >>> fitted.transform([[0.95, 0.05], [0.5, 0.5]])
        array([[ True, False],
               [False, False]])
    """

    method: str = "threshold"
    level: float = 0.9
    class_conditional: bool = False
    penalty: float = 0.1
    free_rank: int = 1
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, ("threshold", "adaptive", "regularized_adaptive"))
        check_number("level", self.level, low=0, high=1, open_ends=True)
        check_number("penalty", self.penalty, low=0, high=math.inf)
        check_count("free_rank", self.free_rank, minimum=0)
        if not isinstance(self.class_conditional, bool):
            raise DataError(
                f"`class_conditional` is {self.class_conditional!r}, expected True or False."
            )
        _check_thresholds(self.thresholds, minimum=2)

    def fit(
        self, probabilities: ArrayLike, y: ArrayLike, *, seed: int = 0
    ) -> SplitConformalClassifier:
        """Returns a copy with the thresholds of the calibration set.

        Args:
            probabilities: Mean probabilities of calibration examples, shape (N, C), that were
                used neither for training nor for another calibrator.
            y: Their integer labels, shape (N,).
            seed: Seed of U; the adaptive methods alone use it.

        Returns:
            A fitted calibrator. A threshold is infinite when there are too few examples.

        Raises:
            DataError: Shapes do not fit, a row is no distribution, or a label is no class.
        """
        array, labels = as_labelled(probabilities, y)
        scores = self._scores(array, (seed, 0))[np.arange(labels.size), labels]
        num_classes = array.shape[1]
        if self.class_conditional:
            of_class = (scores[labels == label] for label in range(num_classes))
            thresholds = tuple(_conformal_quantile(values, self.level) for values in of_class)
        else:
            thresholds = (_conformal_quantile(scores, self.level),) * num_classes
        return replace(self, thresholds=thresholds)

    def transform(self, probabilities: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
        """Returns the set of each example.

        Args:
            probabilities: Mean probabilities, shape (N, C).
            seed: Seed of U, which is drawn apart from that of `fit`.

        Returns:
            Booleans, shape (N, C): whether the set holds the class.

        Raises:
            DataError: The calibrator is not fitted, a row is no distribution, or the number of
                classes differs from the fit's.
        """
        thresholds = np.array(require_fit(self.thresholds, self))
        array = as_known_classes(probabilities, thresholds.size)
        return self._scores(array, (seed, 1)) <= thresholds

    def _scores(self, probabilities: FloatArray, seed: tuple[int, int]) -> FloatArray:
        """Returns the score of each class of each example, shape (N, C)."""
        check_seed("seed", seed[0])
        if self.method == "threshold":
            return 1 - np.minimum(probabilities, 1.0)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        ranked = np.take_along_axis(probabilities, order, axis=1)
        uniform = np.random.default_rng(seed).random((probabilities.shape[0], 1))
        scores = ranked.cumsum(axis=1) - ranked + uniform * ranked
        if self.method == "regularized_adaptive":
            ranks = np.arange(1, probabilities.shape[1] + 1)
            scores += self.penalty * np.maximum(ranks - self.free_rank, 0)
        unranked = np.empty_like(scores)
        np.put_along_axis(unranked, order, scores, axis=1)
        return unranked


@final
@dataclass(frozen=True)
class SplitConformalRegressor(Calibrator):
    """Turns mean and deviation into intervals that contain the target at a given level.

    The score is |y - mean| / (std + offset), with the standard deviation of the passes: intervals
    are mean -+ threshold * (std + offset), wide where the passes disagree. Each output has its
    own threshold and its own coverage; all outputs of an example together are covered less.

    Attributes:
        level: Coverage wanted, within (0, 1).
        offset: Added to every deviation, in the unit of the target; at least 0. A positive one
            lets a deviation be 0, and keeps a tiny one from making the others too wide.
        thresholds: One for each output; None before the fit.

    References:
        Lei et al. (2018), arXiv:1604.04173, section 5.2.

    Example:
        >>> fitted = SplitConformalRegressor(level=0.5).fit([0.0] * 3, [1.0] * 3, [1.0, 2.0, 3.0])
        >>> fitted.transform([0.0], [2.0])
        (array([-4.]), array([4.]))
    """

    level: float = 0.9
    offset: float = 0.0
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_number("level", self.level, low=0, high=1, open_ends=True)
        check_number("offset", self.offset, low=0, high=math.inf)
        _check_thresholds(self.thresholds, minimum=1)

    def fit(self, mean: ArrayLike, std: ArrayLike, y: ArrayLike) -> SplitConformalRegressor:
        """Returns a copy with the thresholds of the calibration set.

        Args:
            mean: Predicted means of calibration examples, shape (N,) or (N, ..., D), that were
                used neither for training nor for another calibrator.
            std: Their standard deviations, the same shape.
            y: Their targets, the same shape.

        Returns:
            A fitted calibrator. A threshold is infinite when there are too few examples.

        Raises:
            DataError: The shapes differ, or a deviation plus the offset is not above 0.
        """
        means, deviations, targets = as_matched(mean=mean, std=std, y=y)
        scores = by_output(np.abs(targets - means) / self._widened(deviations))
        quantiles = (_conformal_quantile(column, self.level) for column in scores.T)
        return replace(self, thresholds=tuple(quantiles))

    def transform(self, mean: ArrayLike, std: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Returns the interval of each example.

        Args:
            mean: Predicted means, shape (N,) or (N, ..., D).
            std: Their standard deviations, the same shape.

        Returns:
            Lower and upper bounds, each of the shape of `mean`; infinite when the calibration
            set was too small for the level.

        Raises:
            DataError: The calibrator is not fitted, the shapes differ, a deviation plus the
                offset is not above 0, or the number of outputs differs from the fit's.
        """
        thresholds = np.array(require_fit(self.thresholds, self))
        means, deviations = as_matched(mean=mean, std=std)
        check_outputs("mean", means, thresholds.size)
        half = (by_output(self._widened(deviations)) * thresholds).reshape(means.shape)
        return means - half, means + half

    def _widened(self, deviations: FloatArray) -> FloatArray:
        """Returns the deviations plus the offset, checked to be above 0."""
        check_positive("std", deviations, fix="Pass standard deviations.", allow_zero=True)
        widened = deviations + self.offset
        check_positive("std + offset", widened, fix="Set `offset` to a small positive number.")
        return widened


def _check_thresholds(thresholds: tuple[float, ...] | None, *, minimum: int) -> None:
    """Raises DataError unless there are at least `minimum` thresholds, none below 0 or NaN."""
    if thresholds is None:
        return
    values = as_array("thresholds", thresholds)
    if values.ndim != 1 or values.size < minimum or not (values >= 0).all():
        raise DataError(
            f"`thresholds` is {thresholds}, expected at least {minimum} numbers of at least 0. "
            "Let `fit` make them."
        )


def _conformal_rank(count: int, level: float) -> int:
    """Returns ceil((count + 1) level), where a product that is whole but for rounding stays so."""
    return math.ceil((count + 1) * level - 1e-9)


def _conformal_quantile(scores: FloatArray, level: float) -> float:
    """Returns the k-th smallest score, k = ceil((n + 1) level); infinity when k exceeds n."""
    rank = _conformal_rank(scores.size, level)
    return math.inf if rank > scores.size else float(np.partition(scores, rank - 1)[rank - 1])
