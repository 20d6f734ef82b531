"""The result of sampling: a frozen Prediction of plain NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from mcdrop import _notebook
from mcdrop._checks import as_float, as_indices, check_choice, check_count, check_number
from mcdrop._mixture import mixture_quantile
from mcdrop._prediction_checks import CLASS_TASKS as CLASS_TASKS
from mcdrop._prediction_checks import TASKS as TASKS
from mcdrop._prediction_checks import check_fields
from mcdrop.errors import DataError
from mcdrop.files import Kind, npz
from mcdrop.files.paths import as_path
from mcdrop.pass_statistics import entropy, jackknife, leave_group_out
from mcdrop.splitting import Splitting, check_splitting, levels_of, variance_of_mean
from mcdrop.stopping import TIED, reach_of_probability, unseen_variance

if TYPE_CHECKING:
    import pandas as pd

GAUSSIAN_SCALES = ("log_variance", "variance", "standard_deviation")
"""What a model of task "gaussian" puts out beside its mean."""

EXAMPLE = "example"
"""Column of the number of each example in the user's data, the first of every table."""

FORMAT = "mcdrop.Prediction"
FORMAT_VERSION = 1
SAVED_PREDICTION = Kind("a saved prediction", lambda path: npz.holds(path, FORMAT))
_SCALARS = ("task", "num_samples", "masks", "balanced", "splitting", "gaussian_scale", "tolerance")
EXAMPLE_AXIS = dict.fromkeys(
    (
        "group_means",
        "group_counts",
        "group_expected_entropy",
        "samples",
        "sample_variances",
        "variance_components",
    ),
    1,
)
"""Fields whose examples are on another axis than 0, and which."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What T stochastic passes say about N examples, beside the deterministic prediction.

    Shapes are written for one output vector an example; dense outputs put their spatial
    axes between N and C. For `task="binary"` the axis of the one sigmoid is dropped: `mean`
    holds the probability of class 1, shape (N,); `class_probabilities` gives both classes.

    Attributes:
        task: One of "classification", "binary", "multilabel", "regression", "gaussian".
        mean: Predictive mean, the average of the passes, shape (N, C) or (N, D).
        variance: Unbiased variance over the passes, same shape. For "gaussian" the total
            variance: `aleatoric_variance + epistemic_variance`.
        deterministic: The model's ordinary prediction, dropout off, same shape.
        num_samples: T, the largest number of passes of any example.
        num_samples_per_example: Passes of each example, shape (N,); all equal to T unless
            sampling stopped early by tolerance.
        group_means: Means over G interleaved groups of passes, shape (G, N, C).
        group_counts: Passes in each group, shape (G, N).
        expected_entropy: Mean entropy of the passes in nats, shape (N,); class tasks only. This,
            its groups and `votes` are None when the mean was recalibrated, not the passes.
        group_expected_entropy: The same per group, shape (G, N).
        votes: Fraction of passes in which each class came out first, shape (N, C); for
            binary and multilabel, the fraction that said yes, shape of `mean`.
        aleatoric_variance: Mean predicted variance, "gaussian" only.
        epistemic_variance: Unbiased variance of the predicted means, "gaussian" only, and what
            the passes of a regression varied by before its variance was recalibrated.
        deterministic_variance: Variance predicted with dropout off, "gaussian" only.
        samples: The passes, shape (T, N, C), when they were kept; for "gaussian" the means.
        sample_variances: The predicted variance of each kept pass, "gaussian" only.
        masks: "independent" or "shared", how the masks were drawn.
        balanced: Whether the masks were balanced over the passes.
        splitting: Draws of each stage, (n_1, ..., n_K), when passes share their early masks;
            `variance`, the error of the mean and everything made of groups allow for it.
        variance_components: What each stage adds to the variance over the passes, shape (K, N, C),
            one for every stage drawn more than once; their sum is unbiased, a single early one
            may be below 0. None for ordinary passes.
        gaussian_scale: What the model puts out beside its mean, as it was read: "log_variance",
            "variance" or "standard_deviation"; None where no "gaussian" model was sampled.
        dropped: With `on_nonfinite="drop"`, the examples for which the model put out NaN or
            infinity, shape (N,): everything that is said of them is NaN, their class -1, their
            passes 0. `prediction.take(~prediction.dropped)` leaves them out, as `evaluate` does.
        tolerance: What the passes of each example were stopped by; None for a fixed number.
        examples: Number of each example in the user's data, of which its masks are made, shape
            (N,); None for 0 to N - 1.
    """

    task: str
    mean: Array
    variance: Array
    deterministic: Array
    num_samples: int
    num_samples_per_example: NDArray[np.int64]
    group_means: NDArray[np.float32]
    group_counts: NDArray[np.int64]
    expected_entropy: Array | None = None
    group_expected_entropy: Array | None = None
    votes: Array | None = None
    aleatoric_variance: Array | None = None
    epistemic_variance: Array | None = None
    deterministic_variance: Array | None = None
    samples: Array | None = None
    sample_variances: Array | None = None
    masks: str = "independent"
    balanced: bool = False
    splitting: Splitting | None = None
    variance_components: Array | None = None
    gaussian_scale: str | None = None
    dropped: NDArray[np.bool_] | None = None
    tolerance: float | None = None
    examples: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Returns N, the number of examples."""
        return int(self.mean.shape[0])

    def __repr__(self) -> str:
        """Returns a summary, not the arrays."""
        kept = "kept" if self.samples is not None else "not kept"
        return (
            f"Prediction(task={self.task!r}, examples={len(self)}, output shape="
            f"{self.mean.shape[1:]}, num_samples={self.num_samples}"
            f"{self._split_words()}, samples {kept})"
        )

    def _repr_html_(self) -> str:
        """Returns a table for notebooks: what there is, and how far it ranges."""
        kept = "kept" if self.samples is not None else "not kept"
        named = {"mean": self.mean, "standard deviation": self.std}
        if self.task in CLASS_TASKS:
            named |= {"confidence": self.confidence, "predictive entropy": self.predictive_entropy}
        lines: list[tuple[str, ...]] = [("quantity", "shape", "lowest", "median", "highest")]
        for name, values in named.items():
            found = np.nanquantile(values, [0.0, 0.5, 1.0]) if values.size else np.full(3, np.nan)
            lines.append((name, str(values.shape), *(f"{value:.4g}" for value in found)))
        caption = (
            f"Prediction, {self.task}: {len(self)} examples, {self.num_samples} passes, "
            f"{self.masks} masks{self._split_words()}, samples {kept}"
        )
        return _notebook.table(caption, lines)

    @property
    def std(self) -> Array:
        """Standard deviation over the passes, the square root of `variance`."""
        return np.sqrt(self.variance)

    @property
    def monte_carlo_error(self) -> Array:
        """Standard error of `mean` from the finite number of passes, the shape of `mean`.

        It is the standard deviation over the passes divided by √T. With balanced masks the
        passes are negatively correlated and this is an upper bound, 1.1 to 2.4 times the error.
        Of passes that share their early masks it comes from the draws of stage 1 alone, the
        only independent ones: an interval takes Student's t with n_1 - 1 degrees of freedom.
        With `tolerance`, a probability whose passes all agree has the error of what they may
        have missed (`mcdrop.stopping.unseen_variance`), not 0.
        """
        if self.splitting is not None and self.variance_components is not None:
            levels = levels_of(self.splitting)
            draws = self._passes_like(self.mean) / prod(self.splitting[1:])
            squared = variance_of_mean(self.variance_components, levels, draws)
            spread = squared * draws
        else:
            spread = self.variance if self.epistemic_variance is None else self.epistemic_variance
            draws = self._passes_like(spread)
            squared = spread / draws
        if self.tolerance is not None and self.task in CLASS_TASKS:
            missed = unseen_variance(draws, reach_of_probability(self.mean))
            squared = np.where(spread < TIED, missed + squared, squared)
        return np.sqrt(squared)

    @property
    def effective_samples(self) -> Array:
        """Ordinary passes whose mean would have the same error, shape (N,).

        The variance of a pass over that of the mean, each summed over the outputs of an example:
        the number of passes itself unless they share their early masks. Where no pass differs
        from another it is the number of passes.
        """
        passes = self.num_samples_per_example.astype(np.float64)
        if self.variance_components is None:
            return passes
        of_one = self.variance_components.sum(axis=0).reshape(len(self), -1).sum(axis=1)
        of_mean = np.square(self.monte_carlo_error).reshape(len(self), -1).sum(axis=1)
        return np.asarray(np.divide(of_one, of_mean, out=passes, where=of_mean > 0))

    @property
    def example_numbers(self) -> NDArray[np.int64]:
        """Number of each example in the user's data, shape (N,): the column `example` of tables."""
        return np.arange(len(self)) if self.examples is None else self.examples

    @property
    def pass_groups(self) -> NDArray[np.intp]:
        """Group of each pass, shape (T,): passes of one draw of stage 1 belong together."""
        inner = prod(self.splitting[1:]) if self.splitting else 1
        return np.asarray(np.arange(self.num_samples) // inner % self.group_counts.shape[0])

    @property
    def class_probabilities(self) -> Array:
        """Predictive probabilities with classes on the last axis: (N, C), binary (N, 2).

        Multilabel gives (N, L, 2), the two classes of each label.
        """
        return self._as_classes(self.mean)

    @property
    def deterministic_class_probabilities(self) -> Array:
        """The deterministic prediction in the shape of `class_probabilities`."""
        return self._as_classes(self.deterministic)

    @property
    def predicted_class(self) -> NDArray[np.int64]:
        """The class of the largest predictive probability, shape (N,); multilabel (N, L).

        It is -1 for an example that is `dropped`.
        """
        return self._largest(self.class_probabilities)

    @property
    def deterministic_class(self) -> NDArray[np.int64]:
        """The class of the deterministic prediction, as `predicted_class`."""
        return self._largest(self.deterministic_class_probabilities)

    @property
    def confidence(self) -> Array:
        """The largest predictive probability, shape (N,); multilabel (N, L)."""
        return np.asarray(self.class_probabilities.max(axis=-1))

    @property
    def predictive_entropy(self) -> Array:
        """Entropy H[E p] of the predictive mean in nats, within [0, log C]; higher is less certain.

        The plug-in estimate is low by about (mutual information) / T.
        """
        return entropy(self.class_probabilities)

    @property
    def mutual_information(self) -> Array:
        """H[E p] - E H[p] in nats (BALD), never negative; higher is more disagreement of passes.

        Low by a factor (1 - 1/T) or more; see `mutual_information_corrected`.

        References:
            Houlsby et al. (2011), arXiv:1112.5745.
        """
        return np.asarray(
            np.maximum(self.predictive_entropy - self._class_field("expected_entropy"), 0.0)
        )

    @property
    def mutual_information_corrected(self) -> Array:
        """Mutual information with most of its finite-T bias removed by the group jackknife.

        At T=10 within 2% of the many-pass limit for logit-normal passes, of which the raw
        estimate is 12 to 16% low. More remains where a few rare passes disagree: on the digits
        of `mcdrop demo` 8% of 23%, at T=50 2% of 7%. One example's value may be below 0.
        """
        corrected, _ = self._jackknife_mutual_information()
        return corrected

    @property
    def mutual_information_error(self) -> Array:
        """Monte Carlo standard error of the mutual information in nats, by the jackknife."""
        _, error = self._jackknife_mutual_information()
        return error

    @property
    def variation_ratio(self) -> Array:
        """Share of passes that did not vote for the most voted class, in [0, 1 - 1/C]."""
        votes = self._class_field("votes")
        return np.asarray(1.0 - self._as_classes(votes).max(axis=-1))

    @property
    def leave_group_out_means(self) -> Array:
        """Predictive means without each group of passes, shape (G, N, C), for jackknives."""
        left = leave_group_out(self.mean, self.group_means.astype(np.float64), self.group_counts)
        return np.clip(left, 0.0, 1.0) if self.task in CLASS_TASKS else left

    @property
    def interval_basis(self) -> str:
        """What `quantile` rests on: "samples", "mixture" (gaussian passes kept) or "normal"."""
        if self.samples is None:
            return "normal"
        return "samples" if self.sample_variances is None else "mixture"

    def quantile(self, q: ArrayLike) -> Array:
        """Quantiles of the predictive distribution of a regression.

        With kept samples: the quantiles of the passes, or of the mixture of their normal
        distributions for "gaussian". Without: those of the normal distribution with the
        predictive mean and variance. A plain regression model states no noise of the
        targets, so its quantiles cover the model's own uncertainty only.

        Args:
            q: One probability, or a sequence of them, each strictly within (0, 1).

        Returns:
            The shape of `mean`, behind the shape of `q`.

        Raises:
            DataError: The task is not a regression, or `q` lies outside (0, 1).
        """
        self._require(("regression", "gaussian"), "quantile")
        levels = as_float("q", q)
        if levels.size == 0 or levels.min() <= 0 or levels.max() >= 1:
            raise DataError(f"`q` is {q!r}, expected probabilities strictly between 0 and 1.")
        if self.dropped is not None and self.dropped.any():
            result = np.full(levels.shape + self.mean.shape, np.nan)
            kept = (slice(None),) * levels.ndim + (~self.dropped,)
            result[kept] = self.take(~self.dropped).quantile(q) if not self.dropped.all() else 0
            return result
        if self.samples is None:
            grid = levels.reshape(levels.shape + (1,) * self.mean.ndim)
            return np.asarray(self.mean + self.std * special.ndtri(grid))
        if self.sample_variances is None:
            return np.quantile(self.samples.astype(np.float64), levels, axis=0)
        flat = [
            mixture_quantile(self.samples, self.sample_variances, float(level))
            for level in levels.reshape(-1)
        ]
        return np.stack(flat).reshape(levels.shape + self.mean.shape)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Central interval of the predictive distribution; see `quantile` for what it covers.

        Args:
            level: Probability inside the interval, strictly within (0, 1).

        Returns:
            The lower and the upper end, each of the shape of `mean`.

        Raises:
            DataError: The task is not a regression, or `level` lies outside (0, 1).
        """
        check_number("level", level, low=0.0, high=1.0, open_ends=True)
        low, high = self.quantile([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
        return low, high

    def distribution(self) -> Any:
        """Returns the predictive distribution as a TensorFlow Probability distribution.

        Class tasks give the categorical or Bernoulli distribution of the predictive mean,
        which is the mixture over passes of one draw. Regression gives the normal mixture
        over the kept passes ("gaussian"), the empirical distribution of the kept passes, or
        the normal distribution of mean and variance when none were kept.
        """
        from mcdrop import _distributions

        return _distributions.of(self)

    def take(self, indices: ArrayLike) -> Prediction:
        """Returns the prediction of some examples, in the order of `indices` (or a mask).

        Raises:
            DataError: An index is no whole number or there is no such example, or a mask is of
                another length.
        """
        chosen = as_indices(indices, len(self))
        changes: dict[str, Any] = {"examples": self.example_numbers[chosen]}
        for name, value in self._arrays().items():
            changes[name] = value[:, chosen] if name in EXAMPLE_AXIS else value[chosen]
        return replace(self, **changes)

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas table, one row an example, its number in the column `example`.

        Columns of class tasks: `predicted_class`, `deterministic_class`, the uncertainties, and
        `probability`, `std` and `deterministic_probability`. Of regressions: `mean`, `std`,
        `low` and `high` (the central 95% interval), `epistemic_std` where it is known, and
        `deterministic`. Where an example has several classes, labels or outputs, columns are
        numbered: `mean_0`, `mean_1`, ...

        Of dense outputs, (N, ..., C), each column is its average over the axes between: the
        pixels of an image, the steps of a series. Classes and intervals cannot be averaged and
        are left out.
        """
        from mcdrop import _frames

        return _frames.of_prediction(self)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the prediction to an `.npz` file, whole or not at all, without pickles.

        Args:
            path: File to write; its folder must be there.
            force: Whether to replace a saved prediction that is already there.

        Raises:
            DataError: The file exists and `force` is not set, it is no saved prediction, or it
                cannot be written.
        """
        npz.save(
            as_path("path", path), header_of(self), self._arrays(), SAVED_PREDICTION, force=force
        )

    @classmethod
    def load(cls, path: str | Path) -> Prediction:
        """Reads a prediction that `save` wrote.

        Raises:
            DataError: The file is missing, damaged, or not a saved prediction.
        """
        header, arrays = npz.load(as_path("path", path), FORMAT, FORMAT_VERSION)
        names = {field.name for field in fields(cls)}
        if not set(arrays) <= names:
            raise DataError(f"{path} holds unknown arrays: {sorted(set(arrays) - names)}.")
        scalars = {key: header[key] for key in _SCALARS if key in header}
        if scalars.get("splitting") is not None:
            scalars["splitting"] = check_splitting(scalars["splitting"])
        values: dict[str, Any] = {**scalars, **arrays}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if not needed <= set(values):
            raise DataError(f"{path} lacks {', '.join(sorted(needed - set(values)))}.")
        loaded = cls(**values)
        check_prediction(str(path), loaded)
        return loaded

    def _arrays(self) -> dict[str, Array]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def _split_words(self) -> str:
        return "" if self.splitting is None else f", splitting={self.splitting}"

    def _require(self, tasks: Sequence[str], what: str) -> None:
        if self.task not in tasks:
            raise DataError(
                f"`{what}` is defined for {' and '.join(tasks)}; this prediction's task is "
                f"{self.task!r}."
            )

    def _passes_like(self, values: Array) -> Array:
        """Returns the passes of each example, to be broadcast with `values`, shape (N, ...)."""
        return self.num_samples_per_example.reshape((-1,) + (1,) * (values.ndim - 1))

    def _class_field(self, name: str) -> Array:
        self._require(CLASS_TASKS, name)
        value: Array | None = getattr(self, name)
        if value is None:
            raise DataError(
                f"`{name}` is not known of a recalibrated mean, nor is what compares its passes. "
                "Take it from the prediction as it was before."
            )
        return value

    def _as_classes(self, values: Array) -> Array:
        self._require(CLASS_TASKS, "class_probabilities")
        if self.task == "classification":
            return values
        return np.stack([1.0 - values, values], axis=-1)

    def _largest(self, probabilities: Array) -> NDArray[np.int64]:
        classes = probabilities.argmax(axis=-1)
        if self.dropped is not None:
            classes[self.dropped] = -1
        return np.asarray(classes)

    def _jackknife_mutual_information(self) -> tuple[Array, Array]:
        expected = self._class_field("expected_entropy")
        groups = self._class_field("group_expected_entropy")
        left_entropy = entropy(self._as_classes(self.leave_group_out_means))
        left_expected = leave_group_out(expected, groups, self.group_counts)
        raw = self.predictive_entropy - expected
        return jackknife(raw, left_entropy - left_expected, self.group_counts)


def header_of(prediction: Prediction) -> dict[str, Any]:
    """Returns what a saved prediction holds besides its arrays."""
    scalars = {name: getattr(prediction, name) for name in _SCALARS}
    return {"format": FORMAT, "version": FORMAT_VERSION} | scalars


def check_prediction(label: str, prediction: Prediction) -> None:
    """Raises DataError for what no sampling gives: a NaN, a negative variance, no probabilities.

    Args:
        label: The prediction in the user's words.
        prediction: What is checked, in time and memory of reading it once.
    """
    if prediction.gaussian_scale is not None:
        check_choice(f"{label}.gaussian_scale", prediction.gaussian_scale, GAUSSIAN_SCALES)
    if prediction.dropped is not None:
        if prediction.dropped.dtype != bool or prediction.dropped.shape != (len(prediction),):
            raise DataError(
                f"`{label}.dropped` has shape {prediction.dropped.shape} and dtype "
                f"{prediction.dropped.dtype}, expected a yes or no for each of the "
                f"{len(prediction)} examples."
            )
        prediction = prediction.take(~prediction.dropped)
    check_fields(label, prediction.task, prediction._arrays())
    check_choice(f"{label}.masks", prediction.masks, ("independent", "shared"))
    most = int(prediction.num_samples_per_example.max(initial=0))
    if check_count(f"{label}.num_samples", prediction.num_samples, minimum=1) < most:
        raise DataError(
            f"`{label}.num_samples` is {prediction.num_samples}, but an example has {most} passes."
        )


def mark_dropped(prediction: Prediction, dropped: NDArray[np.bool_]) -> Prediction:
    """Returns a prediction in which nothing is said of some examples; see `dropped`."""
    changes: dict[str, Any] = {"dropped": dropped.copy()}
    for name, value in prediction._arrays().items():
        rows = (slice(None),) * EXAMPLE_AXIS.get(name, 0) + (dropped,)
        if value.dtype.kind == "f":
            changes[name] = value.copy()
            changes[name][rows] = np.nan
    changes["num_samples_per_example"] = np.where(dropped, 0, prediction.num_samples_per_example)
    return replace(prediction, **changes)


def join(
    parts: Iterable[Prediction], num_examples: int, *, same: Mapping[str, str] | None = None
) -> Prediction:
    """Joins predictions of consecutive examples as they come, without holding them all.

    Args:
        parts: Predictions made with the same settings, at least one.
        num_examples: N, of all parts together.
        same: Fields that are left out, by the field that holds the same.
    """
    whole: dict[str, Any] = {}
    start, last = 0, None
    for last in parts:
        stop = start + len(last)
        for name, values in last._arrays().items():
            if same and name in same:
                continue
            axis = EXAMPLE_AXIS.get(name, 0)
            if name not in whole:
                shape = (*values.shape[:axis], num_examples, *values.shape[axis + 1 :])
                whole[name] = np.empty(shape, values.dtype)
            whole[name][(slice(None),) * axis + (slice(start, stop),)] = values
        start = stop
    if last is None:
        raise DataError("There is no prediction to join.")
    return replace(last, **whole, **{name: whole[other] for name, other in (same or {}).items()})


def concatenate(predictions: Sequence[Prediction]) -> Prediction:
    """Joins predictions of consecutive examples, made with the same settings, into one."""
    first = predictions[0]
    changes: dict[str, Any] = {}
    for name in first._arrays():
        parts = [getattr(prediction, name) for prediction in predictions]
        changes[name] = np.concatenate(parts, axis=EXAMPLE_AXIS.get(name, 0))
    changes["num_samples"] = max(prediction.num_samples for prediction in predictions)
    return replace(first, **changes)
