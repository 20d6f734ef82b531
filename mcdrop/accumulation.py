"""From passes to a Prediction: the accumulator that streaming sampling feeds block by block."""

from __future__ import annotations

from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_array, as_float, check_choice, check_finite, check_simplex
from mcdrop.errors import DataError
from mcdrop.pass_statistics import (
    NUM_GROUPS,
    GroupMeans,
    Moments,
    bernoulli_entropy,
    entropy,
    says_yes,
)
from mcdrop.prediction import CLASS_TASKS, TASKS, Prediction, join
from mcdrop.splitting import (
    NestedMoments,
    Splitting,
    check_splitting,
    levels_of,
)
from mcdrop.stopping import PATIENCE, reach_of_probability, unseen_variance

Array = NDArray[Any]

BLOCK_ELEMENTS = 2**20
"""Outputs of passes accumulated at once, 8 MiB of float64, where all of them are at hand."""


class PassAccumulator:
    """Accumulates blocks of passes of N examples into the statistics of a Prediction.

    Blocks may come in any size, for all examples or for some of them, as long as the passes
    of an example come in order. Memory is a fixed multiple of N x C, whatever T is. Passes that
    share their early masks come in blocks of whole draws of stage 1; groups hold such draws,
    because only these are independent.

    Args:
        task: Task of the prediction.
        splitting: Draws of each stage; (T,) for ordinary passes.
        keep_samples: Whether to keep the passes.
        tolerance: What the passes of each example are stopped by, None when they are not.
    """

    def __init__(
        self,
        task: str,
        splitting: Splitting,
        *,
        keep_samples: bool = False,
        tolerance: float | None = None,
    ) -> None:
        self._task = task
        self._splitting = splitting
        self._levels = levels_of(splitting)
        self._inner = prod(splitting[1:])
        self._num_groups = min(NUM_GROUPS, splitting[0])
        self._keep_samples = keep_samples
        self._tolerance = tolerance
        self._state: dict[str, Any] = {}
        self._kept: dict[str, Array] = {}

    def update(
        self,
        block: Array,
        *,
        first_pass: int,
        rows: NDArray[np.intp],
        num_examples: int,
        variances: Array | None = None,
    ) -> None:
        """Adds passes `first_pass`, `first_pass + 1`, ... of the examples at `rows`.

        Args:
            block: Outputs of shape (passes, len(rows), ...), probabilities for class tasks.
            first_pass: Number of the first pass of the block, from 0.
            rows: Positions of the block's examples among all N.
            num_examples: N.
            variances: Predicted variances of the shape of `block`, "gaussian" only.
        """
        if not self._state:
            self._allocate((num_examples, *block.shape[2:]))
        self._keep("samples", block, first_pass, rows, num_examples)
        values = block.astype(np.float64)
        self._state["moments"].update(values, rows)
        first_draw = first_pass // self._inner
        draws = self._over_inner(values)
        self._state["groups"].update(draws, rows, first_draw)
        if self._tolerance is not None and self._task not in CLASS_TASKS:
            self._state["low"][rows] = np.minimum(self._state["low"][rows], draws.min(axis=0))
            self._state["high"][rows] = np.maximum(self._state["high"][rows], draws.max(axis=0))
        if self._task in CLASS_TASKS:
            entropies = pass_entropy(self._task, values)
            self._state["entropy"].update(self._over_inner(entropies), rows, first_draw)
            self._state["votes"][rows] += _votes(self._task, values)
        if variances is not None:
            self._keep("sample_variances", variances, first_pass, rows, num_examples)
            self._state["aleatoric"][rows] += variances.astype(np.float64).sum(axis=0)

    def stopping_error(self, rows: NDArray[np.intp], deterministic: Array) -> NDArray[np.float64]:
        """Returns the error that decides on stopping, the largest over the outputs of an example.

        It is the standard error of the mean, and with it what the passes may have missed; see
        `mcdrop.stopping`. The reach of an output that is no probability is the range of its
        passes and of the deterministic prediction. Where it never varied it is infinite, unless
        the deterministic prediction is the same and there are enough passes to believe it.

        Args:
            rows: Examples, by their positions.
            deterministic: The prediction of all N examples with dropout off.
        """
        outer: Moments = self._state["moments"].outer
        count = outer.count[rows].reshape((-1,) + (1,) * (outer.mean.ndim - 1)).astype(np.float64)
        spread = outer.squares[rows] / ((count - 1) * count)
        if self._task in CLASS_TASKS:
            reach = reach_of_probability(outer.mean[rows])
        else:
            off = deterministic[rows]
            low, high = self._state["low"][rows], self._state["high"][rows]
            reach = np.maximum(high, off) - np.minimum(low, off)
            rounding = 1e-6 * np.abs(off)
            never = high - low <= rounding
            reach[never] = np.inf
            reach[never & (np.abs(off - low) <= rounding) & (count >= PATIENCE)] = 0.0
        squared = spread + unseen_variance(count, reach)
        return np.asarray(np.sqrt(squared.reshape(len(rows), -1).max(axis=1)))

    def finish(
        self,
        deterministic: Array,
        *,
        deterministic_variance: Array | None = None,
        masks: str = "independent",
        balanced: bool = False,
        gaussian_scale: str | None = None,
        examples: NDArray[np.int64] | None = None,
    ) -> Prediction:
        """Returns the Prediction of everything accumulated."""
        moments: NestedMoments = self._state["moments"]
        groups: GroupMeans = self._state["groups"]
        passes = moments.outer.count * self._inner
        per_example = (-1,) + (1,) * (moments.mean.ndim - 1)
        values: dict[str, Any] = {"variance": moments.variance()}
        if len(self._splitting) > 1:
            values["splitting"] = self._splitting
            values["variance_components"] = moments.components()
        if self._task in CLASS_TASKS:
            entropies: GroupMeans = self._state["entropy"]
            values["group_expected_entropy"] = entropies.mean()
            draws = moments.outer.count.reshape((-1,) + (1,) * (entropies.total.ndim - 2))
            values["expected_entropy"] = entropies.total.sum(axis=0) / draws
            values["votes"] = self._state["votes"] / passes.reshape(per_example)
        if self._task == "gaussian":
            values["epistemic_variance"] = values["variance"]
            values["aleatoric_variance"] = self._state["aleatoric"] / passes.reshape(per_example)
            values["variance"] = values["epistemic_variance"] + values["aleatoric_variance"]
            values["deterministic_variance"] = deterministic_variance
        return Prediction(
            task=self._task,
            mean=moments.mean,
            deterministic=deterministic.astype(np.float64),
            num_samples=int(passes.max()),
            num_samples_per_example=passes,
            group_means=groups.mean().astype(np.float32),
            group_counts=groups.count * self._inner,
            masks=masks,
            balanced=balanced,
            gaussian_scale=gaussian_scale,
            examples=examples,
            tolerance=self._tolerance,
            **values,
            **cast(dict[str, Any], self._kept),
        )

    def _allocate(self, shape: tuple[int, ...]) -> None:
        self._state["moments"] = NestedMoments.empty(self._levels, shape)
        self._state["groups"] = GroupMeans.empty(self._num_groups, shape)
        if self._tolerance is not None and self._task not in CLASS_TASKS:
            self._state["low"] = np.full(shape, np.inf)
            self._state["high"] = np.full(shape, -np.inf)
        if self._task in CLASS_TASKS:
            entropy_shape = shape[:-1] if self._task == "classification" else shape
            self._state["entropy"] = GroupMeans.empty(self._num_groups, entropy_shape)
            self._state["votes"] = np.zeros(shape)
        if self._task == "gaussian":
            self._state["aleatoric"] = np.zeros(shape)

    def _over_inner(self, values: Array) -> Array:
        """Returns the means over the passes of each draw of stage 1."""
        if self._inner == 1:
            return values
        return np.asarray(values.reshape(-1, self._inner, *values.shape[1:]).mean(axis=1))

    def _keep(
        self, name: str, block: Array, first_pass: int, rows: NDArray[np.intp], num_examples: int
    ) -> None:
        if not self._keep_samples:
            return
        if name not in self._kept:
            shape = (prod(self._splitting), num_examples, *block.shape[2:])
            self._kept[name] = np.empty(shape, block.dtype)
        self._kept[name][first_pass : first_pass + block.shape[0], rows] = block


def from_samples(
    samples: ArrayLike,
    deterministic: ArrayLike,
    *,
    task: str,
    variances: ArrayLike | None = None,
    deterministic_variance: ArrayLike | None = None,
    splitting: Splitting | None = None,
) -> Prediction:
    """Returns the Prediction of passes that were sampled elsewhere, the passes kept in it.

    Args:
        samples: Outputs of T >= 2 passes: probabilities of shape (T, N, ..., C) for
            "classification", (T, N) for "binary", (T, N, L) for "multilabel"; values of shape
            (T, N) or (T, N, D) for "regression"; predicted means for "gaussian".
        deterministic: The prediction with dropout off, of shape `samples.shape[1:]`.
        task: One of "classification", "binary", "multilabel", "regression", "gaussian".
        variances: Predicted variances of the shape of `samples`; "gaussian" only.
        deterministic_variance: Variance predicted with dropout off; "gaussian" only.
        splitting: Draws of each stage of passes that share their early masks, (n_1, ..., n_K)
            with the draws of stage 1 outermost; their product is T. None for ordinary passes.

    Raises:
        DataError: A shape does not fit, a value is not finite, or probabilities are none.

    Example:
        >>> import numpy as np
        >>> passes = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> prediction = from_samples(passes, [[0.5, 0.5]], task="classification")
        >>> prediction.mutual_information.round(4).tolist()  # log 2
        [0.6931]
    """
    check_choice("task", task, TASKS)
    values = as_array("samples", samples)
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    check_finite("samples", values)
    reference = as_float("deterministic", deterministic)
    if values.ndim < 2 or values.shape[0] < 2 or values.shape[1:] != reference.shape:
        raise DataError(
            f"`samples` has shape {values.shape} and `deterministic` {reference.shape}; expected "
            "(T, N, ...) with T >= 2, and (N, ...)."
        )
    if task == "classification":
        check_simplex("samples", values)
    elif task in CLASS_TASKS and (values.min() < 0 or values.max() > 1):
        raise DataError(
            "`samples` has values outside [0, 1]. Apply the sigmoid if these are logits."
        )
    counts = (values.shape[0],) if splitting is None else check_splitting(splitting)
    if prod(counts) != values.shape[0]:
        raise DataError(
            f"`splitting` is {counts}, which makes {prod(counts)} passes; `samples` has "
            f"{values.shape[0]}."
        )
    spread = _gaussian_part(task, "variances", variances, values.shape)
    off_spread = _gaussian_part(
        task, "deterministic_variance", deterministic_variance, reference.shape
    )
    num_examples = values.shape[1]
    step = max(1, BLOCK_ELEMENTS // max(1, values[:, :1].size))
    parts = (
        _accumulated(
            task,
            counts,
            np.arange(start, min(start + step, num_examples)),
            values[:, start : start + step],
            reference[start : start + step],
            None if spread is None else spread[:, start : start + step],
            None if off_spread is None else off_spread[start : start + step],
        )
        for start in range(0, max(num_examples, 1), step)
    )
    # With one pass a group the groups' means are the passes: the largest array, held once.
    one_each = len(counts) == 1 and counts[0] <= NUM_GROUPS and values.dtype == np.float32
    return join(parts, num_examples, same={"group_means": "samples"} if one_each else None)


def _accumulated(
    task: str,
    counts: Splitting,
    examples: NDArray[np.int64],
    values: Array,
    reference: Array,
    variances: Array | None,
    deterministic_variance: Array | None,
) -> Prediction:
    """Returns the prediction of some of the examples."""
    accumulator = PassAccumulator(task, counts, keep_samples=True)
    accumulator.update(
        values,
        first_pass=0,
        rows=np.arange(values.shape[1]),
        num_examples=values.shape[1],
        variances=variances,
    )
    return accumulator.finish(
        reference, deterministic_variance=deterministic_variance, examples=examples
    )


def pass_entropy(task: str, probabilities: Array) -> Array:
    """Returns the entropy in nats of each prediction: over classes, or of each yes/no outcome."""
    if task == "classification":
        return entropy(probabilities)
    return bernoulli_entropy(probabilities)


def _votes(task: str, probabilities: Array) -> Array:
    """Returns how many passes of a block put each class first, or said yes."""
    if task != "classification":
        return np.asarray(says_yes(probabilities).sum(axis=0))
    winners = probabilities.argmax(axis=-1)
    votes = np.zeros(probabilities.shape[1:])
    flat = votes.reshape(-1, probabilities.shape[-1])
    rows = np.arange(flat.shape[0])
    for winner in winners.reshape(winners.shape[0], -1):
        flat[rows, winner] += 1.0
    return votes


def _gaussian_part(
    task: str, name: str, values: ArrayLike | None, shape: tuple[int, ...]
) -> Array | None:
    """Returns the variances of a "gaussian" prediction, checked; None for every other task."""
    if (values is None) == (task == "gaussian"):
        needs = "needs" if task == "gaussian" else "takes no"
        raise DataError(f"`task` {task!r} {needs} `{name}`.")
    if values is None:
        return None
    array = as_float(name, values)
    if array.shape != shape or array.min() < 0:
        raise DataError(
            f"`{name}` has shape {array.shape}, expected {shape} and no negative value."
        )
    return array
