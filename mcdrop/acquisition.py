"""Which examples to label next: acquisition by uncertainty, alone or jointly.

Scores of single examples hold for any masks. Joint quantities, BatchBALD and `covariance`,
compare examples within a pass, so pass t must be the same sub-network for all of them: sample
with `MCDropout(model, masks="shared")`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mcdrop._checks import as_float, as_samples, check_choice, check_count, check_seed
from mcdrop.errors import DataError
from mcdrop.metrics.uncertainty import (
    mean_standard_deviation,
    mutual_information,
    predictive_entropy,
    variation_ratio,
)

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

SCORES: dict[str, Callable[[ArrayLike], FloatArray]] = {
    "predictive_entropy": predictive_entropy,
    "mutual_information": mutual_information,
    "variation_ratio": variation_ratio,
    "mean_standard_deviation": mean_standard_deviation,
}
"""Scores of single examples by name; "mutual_information" is BALD."""

BLOCK_ELEMENTS = 2**21
"""Probabilities handled at once while candidates are compared: 16 MiB of float64."""


@dataclass(frozen=True)
class BatchSelection:
    """The batch that BatchBALD chose, in the order of choice.

    Attributes:
        indices: Chosen examples, shape (k,).
        mutual_information: Joint mutual information in nats of the first 1, ..., k of them with
            the sub-network, shape (k,); it never falls.
    """

    indices: Indices
    mutual_information: FloatArray


@dataclass(frozen=True)
class _Configurations:
    """Labels that the batch so far may turn out to have, as beliefs about the pass.

    Attributes:
        weight: Probability of each configuration, shape (M,), sum 1.
        belief: Probability of each pass given the configuration, shape (M, T), rows sum to 1.
    """

    weight: FloatArray
    belief: FloatArray


def score(samples: ArrayLike, *, method: str) -> FloatArray:
    """Returns the acquisition score of each example; higher is chosen first.

    Args:
        samples: Class probabilities of each pass, shape (T, N, C). Of maps score the pixels with
            `mcdrop.metrics`, and reduce them with `metrics.reduce_map`.
        method: "predictive_entropy", "mutual_information" (BALD), "variation_ratio" or
            "mean_standard_deviation".

    Returns:
        Scores, shape (N,); units and ranges are those of `mcdrop.metrics`.

    Raises:
        DataError: The method is unknown, the rank is not 3, or a row is no distribution.

    References:
        Gal, Islam and Ghahramani (2017), arXiv:1703.02910.

    Example:
        >>> score([[[1.0, 0.0]], [[0.0, 1.0]]], method="mutual_information").round(4)
        array([0.6931])
    """
    check_choice("method", method, tuple(SCORES))
    return SCORES[method](_as_pool(samples))


def select(
    scores_or_samples: ArrayLike, k: int, *, method: str | None = None, seed: int = 0
) -> Indices:
    """Returns the k examples to label next.

    Ties, which the variation ratio has many of, are broken at random, so that the order of the
    pool does not matter.

    Args:
        scores_or_samples: Scores, shape (N,), higher first; or class probabilities of each pass,
            shape (T, N, C), together with `method`.
        k: Number of examples, at most N.
        method: One of the methods of `score`, or "batch_bald", which needs shared masks. None
            for scores.
        seed: Seed of the ties, and of the configurations of "batch_bald".

    Returns:
        Indices, shape (k,), all different, best first.

    Raises:
        DataError: Scores come with a method or samples without, k exceeds N, or a value is not
            finite.

    References:
        Gal, Islam and Ghahramani (2017), arXiv:1703.02910.

    Example:
        >>> select([0.1, 0.9, 0.5], 2)
        array([1, 2])
    """
    array = as_float("scores_or_samples", scores_or_samples)
    if (array.ndim == 1) != (method is None):
        raise DataError(
            f"`scores_or_samples` has shape {array.shape} with method={method!r}, expected scores "
            "(N,) without a method, or samples (T, N, C) with one. Change one of the two."
        )
    if method == "batch_bald":
        return batch_bald(array, k, seed=seed).indices
    if method is not None:
        check_choice("method", method, (*SCORES, "batch_bald"))
        array = score(array, method=method)
    count = _check_batch(k, array.size)
    generator = np.random.default_rng(check_seed("seed", seed))
    return np.lexsort((generator.random(array.size), -array))[:count]


def batch_bald(
    samples: ArrayLike, k: int, *, num_configurations: int = 2_000, seed: int = 0
) -> BatchSelection:
    """Returns the batch that together tells most about the sub-network, chosen greedily.

    Each step adds the example with the largest I(y_new; pass | y_batch) = H(y_new | y_batch) -
    E H(y_new | pass); the sum over steps is the joint mutual information of the batch. Examples
    that tell the same are chosen once, where BALD would choose all of them. The greedy batch
    reaches at least 1 - 1/e of the best. The gain is exact as long as C^n label
    configurations of the n examples so far do not exceed `num_configurations`; beyond, it is an
    average over that many, drawn by systematic resampling.

    Nats; within [0, min(log T, k log C)]: once the batch tells all T passes apart nothing is left
    to choose by, so T should be well above exp of what the batch can tell. An average over drawn
    configurations can come out above that bound, and is then cut to it.

    Args:
        samples: Class probabilities of each pass, shape (T, N, C), with shared masks: pass t is
            one sub-network for all N examples.
        k: Size of the batch, at most N.
        num_configurations: Number of label configurations kept.
        seed: Seed of the resampling, and of the order in which ties are broken.

    Returns:
        The indices, and the joint mutual information after each step.

    Raises:
        DataError: The rank is not 3, a row is no distribution, or k exceeds N.

    References:
        Kirsch, van Amersfoort and Gal (2019), arXiv:1906.08158.

    Example:
        >>> twins_and_other = [
        ...     [[1.0, 0.0], [1.0, 0.0], [0.9, 0.1]],
        ...     [[0.0, 1.0], [0.0, 1.0], [0.9, 0.1]],
        ...     [[1.0, 0.0], [1.0, 0.0], [0.1, 0.9]],
        ...     [[0.0, 1.0], [0.0, 1.0], [0.1, 0.9]],
        ... ]
        >>> sorted(batch_bald(twins_and_other, 2).indices.tolist())[1]
        2
    """
    pool = _as_pool(samples)
    num_samples, num_examples, num_classes = pool.shape
    count = _check_batch(k, num_examples)
    limit = check_count("num_configurations", num_configurations, minimum=1)
    generator = np.random.default_rng(check_seed("seed", seed))
    pass_entropy = entr(pool).sum(axis=-1)
    states = _Configurations(np.ones(1), np.full((1, num_samples), 1 / num_samples))
    # A gain never rises as the batch grows (but for the noise of resampling), so the last gain
    # known of an example bounds its next.
    bounds = np.full(num_examples, np.inf)
    tie_breaks = generator.permutation(num_examples)
    indices, gains = [], []
    for _ in range(count):
        chosen = _best_candidate(pool, pass_entropy, states, bounds, tie_breaks)
        indices.append(chosen)
        gains.append(bounds[chosen])
        bounds[chosen] = -np.inf
        states = _extended(states, pool[:, chosen], limit, generator)
    # The noise of resampling adds up over the steps; the information itself stays in its range.
    most = np.minimum(np.log(num_samples), np.arange(1, count + 1) * np.log(num_classes))
    return BatchSelection(np.array(indices, dtype=np.intp), np.minimum(np.cumsum(gains), most))


def covariance(samples: ArrayLike) -> FloatArray:
    """Returns the covariance over passes between all pairs of examples.

    Cov_t(f_t(x_i), f_t(x_j)), divided by T - 1; its diagonal is the predictive variance. Unit:
    that of the outputs, squared. Its rank is at most T - 1.

    Args:
        samples: Outputs of each pass, shape (T, N), or (T, N, D) with outputs or classes last,
            with shared masks, and T at least 2. With independent masks the expected value between
            different examples is 0.

    Returns:
        Shape (N, N), or (D, N, N), one matrix for each output.

    Raises:
        DataError: The rank is neither 2 nor 3, T is 1, or a value is not finite.

    References:
        Gal (2016), "Uncertainty in Deep Learning", section 3.3.

    Example:
        >>> covariance([[0.0, 0.0], [2.0, -2.0]])
        array([[ 2., -2.],
               [-2.,  2.]])
    """
    array = as_float("samples", samples)
    if array.ndim not in (2, 3) or array.shape[0] < 2 or array.size == 0:
        raise DataError(
            f"`samples` has shape {array.shape}, expected (T, N) or (T, N, D) with T of at "
            "least 2. Stack the passes on axis 0."
        )
    centered = np.moveaxis(array - array.mean(axis=0), 0, -1)
    by_output = centered if array.ndim == 2 else np.moveaxis(centered, 1, 0)
    return np.asarray(by_output @ np.swapaxes(by_output, -1, -2) / (array.shape[0] - 1))


def _as_pool(samples: ArrayLike) -> FloatArray:
    """Returns the samples, checked to have shape (T, N, C)."""
    pool = as_samples("samples", samples)
    if pool.ndim != 3:
        raise DataError(
            f"`samples` has shape {pool.shape}, expected (T, N, C). Score maps with "
            "mcdrop.metrics, reduce them with metrics.reduce_map and select by the scores."
        )
    return pool


def _check_batch(k: int, num_examples: int) -> int:
    """Returns the size of the batch, checked to be within the pool."""
    count = check_count("k", k, minimum=1)
    if count > num_examples:
        raise DataError(f"`k` is {count} for {num_examples} examples, expected no more than those.")
    return count


def _best_candidate(
    pool: FloatArray,
    pass_entropy: FloatArray,
    states: _Configurations,
    bounds: FloatArray,
    tie_breaks: Indices,
) -> int:
    """Returns the example of the largest gain, and writes the gains it computed into `bounds`.

    Candidates are looked at in order of their bound, block by block, until no later bound
    exceeds the best gain found.
    """
    order = np.lexsort((tie_breaks, -bounds))
    num_classes = pool.shape[2]
    block = max(1, BLOCK_ELEMENTS // (states.weight.size * num_classes))
    best, chosen = -np.inf, -1
    for start in range(0, order.size, block):
        rows = order[start : start + block]
        if bounds[rows[0]] <= best:
            break
        rows = rows[bounds[rows] > -np.inf]
        bounds[rows] = _gains(pool[:, rows], pass_entropy[:, rows], states)
        winner = int(rows[np.argmax(bounds[rows])])
        if bounds[winner] > best:
            best, chosen = float(bounds[winner]), winner
    return chosen


def _gains(candidates: FloatArray, pass_entropy: FloatArray, states: _Configurations) -> FloatArray:
    """Returns I(y; pass | labels of the batch) of each candidate; `candidates` is (T, n, C).

    Both entropies are averaged with the same beliefs. Those of all configurations together are
    the even weights of the passes only up to the noise of the resampling, which so cancels: a gain
    cannot be negative, and vanishes once each configuration points to one pass.
    """
    num_samples, count, num_classes = candidates.shape
    predictive = states.belief @ candidates.reshape(num_samples, count * num_classes)
    total = entr(predictive).reshape(-1, count, num_classes).sum(axis=-1)
    expected = (states.weight @ states.belief) @ pass_entropy
    return np.asarray(np.maximum(states.weight @ total - expected, 0.0))


def _extended(
    states: _Configurations, chosen: FloatArray, limit: int, generator: np.random.Generator
) -> _Configurations:
    """Returns the configurations with the label of one more example; `chosen` is (T, C).

    Of more than `limit` configurations, `limit` are drawn by systematic resampling: each in
    proportion to its weight, to within one.
    """
    predictive = states.belief @ chosen
    weight = (states.weight[:, None] * predictive).ravel()
    if np.count_nonzero(weight) > limit:
        points = (generator.random() + np.arange(limit)) / limit * weight.sum()
        kept = np.searchsorted(weight.cumsum(), points, side="right").clip(max=weight.size - 1)
        weight = np.full(limit, 1 / limit)
    else:
        kept = np.flatnonzero(weight)
        weight = weight[kept] / weight.sum()
    parent, label = np.divmod(kept, chosen.shape[1])
    belief = states.belief[parent] * chosen.T[label]
    return _Configurations(weight, belief / belief.sum(axis=1, keepdims=True))
