"""MCDropout: a trained Keras model that samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np

from mcdrop._checks import check_choice, check_count, check_flag, check_number, check_seed
from mcdrop.engine import describe, nonfinite, pickled, pilot
from mcdrop.engine.audit import StochasticLayer, find_leaves
from mcdrop.engine.inputs import Inputs, check_numbers, open_inputs
from mcdrop.engine.pilot import Choice
from mcdrop.engine.processor import choose_dtype, dtype_notes
from mcdrop.engine.progress import Progress, check_progress
from mcdrop.engine.running import Options, Run
from mcdrop.engine.sampling import Sampler, devices
from mcdrop.engine.shadow import can_convert
from mcdrop.engine.targets import TargetReader
from mcdrop.engine.tasks import Asked, Task
from mcdrop.engine.tracing import Settings
from mcdrop.errors import DataError, ModelError
from mcdrop.prediction import Prediction, concatenate
from mcdrop.splitting import AUTO, PILOT_EXAMPLES, Splitting, check_splitting, levels_of
from mcdrop.targets import PredictionWithTargets

DEFAULT_SAMPLES = 50
"""Passes where no number is given."""


class MCDropout:
    """Samples a trained Keras model with its dropout on, and everything else in inference.

    The model is not changed, to the bit. Pass t of example i depends on the weights, the
    example, the seed, t and i alone: not on batch sizes, chunks or the number of passes
    (but with `balanced`, on the number of passes).

    Args:
        model: A built Keras 3 model of any kind.
        layers: Which stochastic layers sample. None: dropout, spatial_dropout, alpha_dropout,
            gaussian_dropout, rnn, attention and registered custom layers. Otherwise a list of
            kinds, layer names or paths; or a predicate on `StochasticLayer`.
        masks: "independent", each example has masks of its own, as in training; "shared", one
            mask a pass for all examples, a draw of one network.
        balanced: Draws masks that keep each unit nearly the same number of times over the
            passes, which lowers the Monte Carlo error of the mean, to 0.4 to 0.7 of it on the
            models of docs/benchmarks.md; the variance and the mutual information become slightly
            too large (by about 3% at 50 passes; the corrected mutual information by 4 to 11%
            at 7 to 10 passes).
        task: "classification", "binary", "multilabel", "regression" or "gaussian"; for several
            outputs a mapping or sequence of them. None reads it from the model.
        output: The name of the only output to predict, of a model that has several; None
            predicts all of them, and needs to know the task of each.
        gaussian_scale: What a model of task "gaussian" puts out beside its mean: "log_variance",
            "variance" or "standard_deviation". None takes a linear output for a log-variance,
            and asks about any other.
        compute_dtype: "bfloat16" computes the passes in half precision, statistics in float32;
            with a warning, and not at all, where the processor has no instructions for it.
        splitting: Counts of draws for passes that share their early masks: with (7, 16) each of 7
            draws of all masks but the last layer's is followed by 16 of the last layer's, 112
            passes for little more than the price of 7. One count for each stochastic layer in
            the order in which they run; of fewer counts the first is for all layers but the
            last ones. None draws all masks anew in each pass. "auto" chooses the counts in every
            `predict`, by a pilot on the first 128 examples: those that reach the error of the mean
            of `num_samples` ordinary passes at the least cost; see `choose_splitting`.
        jit_compile: Compiles the passes as a whole with XLA; mostly slower on CPUs.

    Raises:
        ModelError: The object is no built Keras 3 model, or nothing in it would be random.
        DataError: An argument is none of those above.

    References:
        Gal & Ghahramani (2016), "Dropout as a Bayesian Approximation", arXiv:1506.02142.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
        >>> mc = MCDropout(model)
        >>> mc.predict(np.ones((2, 4)), num_samples=10).mean.shape
        (2, 3)
    """

    def __init__(
        self,
        model: Any,
        *,
        layers: Iterable[str] | Callable[[StochasticLayer], bool] | None = None,
        masks: str = "independent",
        balanced: bool = False,
        task: Task = None,
        output: str | None = None,
        gaussian_scale: str | None = None,
        compute_dtype: str | None = None,
        splitting: Sequence[int] | str | None = None,
        jit_compile: bool = False,
    ) -> None:
        check_choice("masks", masks, ("independent", "shared"))
        if compute_dtype is not None:
            check_choice("compute_dtype", compute_dtype, ("bfloat16",))
        self._splitting = _checked(splitting)
        self._choice: Choice | None = None
        self._leaves = find_leaves(model, layers)
        self._model = model
        self._asked = Asked(task, gaussian_scale, output)
        self._settings = Settings(
            shared=masks == "shared",
            balanced=check_flag("balanced", balanced),
            compute_dtype=choose_dtype(compute_dtype),
            jit_compile=check_flag("jit_compile", jit_compile),
            nested=_is_nested(self._splitting),
        )
        self._notes = dtype_notes(compute_dtype, self._settings.compute_dtype)
        if compute_dtype is not None and not any(map(can_convert, model._flatten_layers())):
            raise ModelError(
                f"No layer of the model can compute in {compute_dtype}; leave `compute_dtype` out."
            )
        self._samplers = self._make_samplers()
        self._idle: dict[int, str] = {}

    def _make_samplers(self) -> list[Sampler]:
        return [Sampler(self._model, self._leaves, self._settings, device) for device in devices()]

    @cached_property
    def _ordinary(self) -> Self:
        """The same model with all masks drawn anew in each pass, which needs no stages."""
        copied = copy(self)
        copied._splitting = None
        copied._settings = replace(self._settings, nested=False)
        copied._samplers = copied._make_samplers()
        return copied

    def __copy__(self) -> Self:
        """Returns an object with the same model, programs and settings."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.__dict__.pop("_ordinary", None)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Returns what `pickle` and `copy.deepcopy` keep: all but what is compiled.

        Raises:
            ModelError: Keras cannot save the model, or make it anew.
        """
        state = self.__dict__ | {"_model": pickled.to_bytes(self._model)}
        # The choice, not what was asked for, which may be a lambda.
        state["_leaves"] = tuple(leaf.info for leaf in self._leaves)
        del state["_samplers"]
        state.pop("_ordinary", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the model anew, with the same layers chosen.

        Raises:
            ModelError: Keras cannot make the model anew, or a class was not registered.
        """
        self.__dict__.update(state)
        self._model = pickled.from_bytes(state["_model"])
        self._leaves = pickled.select_again(self._model, state["_leaves"])
        self._samplers = self._make_samplers()

    @property
    def model(self) -> Any:
        """The wrapped model, untouched."""
        return self._model

    @property
    def stochastic_layers(self) -> tuple[StochasticLayer, ...]:
        """Every layer that can be random, and whether and why it samples.

        A selected layer that the model never ran, or of which no noise reaches the outputs, is
        listed as not selected once the model was traced: by `summary`, or for data.
        """
        return tuple(
            replace(leaf.info, selected=False, reason=self._idle[leaf.ordinal])
            if leaf.ordinal in self._idle
            else leaf.info
            for leaf in self._leaves
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs in their order, as `task` and `output` take them.

        Empty for a model with a `call` of its own, whose outputs only running it tells.
        """
        return describe.output_names(self._model)

    @property
    def share_run_once(self) -> float | None:
        """Share of the model that runs once, not T times, by multiply-accumulates, in [0, 1].

        None for a model that declares no input shapes and has seen no data.
        """
        program = self._samplers[0].audited_program(self._model)
        return None if program is None else program.share_run_once

    def summary(self) -> str:
        """Returns the audit: what samples, what stays off and why, and what runs only once."""
        return describe.summary(self._model, *self._traced_audit())

    def _repr_html_(self) -> str:
        """Returns the audit as a notebook shows it."""
        return describe.summary_html(self._model, *self._traced_audit())

    def _traced_audit(self) -> tuple[tuple[StochasticLayer, ...], float | None, tuple[str, ...]]:
        """Returns the layers, and what of the audit only a trace of the model tells."""
        program = self._samplers[0].audited_program(self._model)
        chosen = () if self.splitting_reason is None else (self.splitting_reason,)
        if program is None:
            return self.stochastic_layers, None, (*self._notes, *chosen)
        self._idle = program.idle
        stages = (
            () if self._splitting is None else (describe.stages(program.layers_of(program.stages)),)
        )
        notes = (*self._notes, *program.notes, *stages, *chosen)
        return self.stochastic_layers, program.share_run_once, notes

    @property
    def splitting(self) -> Splitting | str | None:
        """Draws of each stage as they were given, "auto", or None for ordinary passes."""
        return self._splitting

    @property
    def splitting_reason(self) -> str | None:
        """What "auto" chose last and why, a sentence; None before."""
        return None if self._choice is None else self._choice.reason

    def choose_splitting(self, x: Any, *, num_samples: int | None = None) -> Self:
        """Returns the same model with the draws that `splitting="auto"` takes for these data.

        A pilot looks at the first 128 examples alone, so that few are enough; its masks have a
        seed of their own. Choose once where several data have to be sampled alike, or a long
        run is made in parts. `summary()` says what was chosen and why.

        Args:
            x: Inputs, as for `sample`.
            num_samples: Ordinary passes whose error of the mean is to be reached, 2 at least.
                None is 50.

        Returns:
            An `MCDropout` whose `splitting` is the counts, or None where ordinary passes are
            as good: where the model has one dropout, say.

        Raises:
            DataError: The inputs do not fit the model, are empty or not finite.
            ModelError: The model fails on them, or its task is ambiguous.

        Example:
            >>> import keras
            >>> keras.utils.set_random_seed(0)
            >>> model = keras.Sequential([
            ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
            >>> mc = MCDropout(model, splitting="auto").choose_splitting(np.ones((2, 4)))
            >>> mc.splitting is None, "no early masks" in mc.summary()
            (True, True)
        """
        counts = self._counts(num_samples, minimum=2)
        if self._splitting != AUTO:
            raise DataError(
                f"`splitting` is {self._splitting!r}, so there is nothing to choose; expected "
                "MCDropout(model, splitting='auto')."
            )
        choice = self._choose(self._read(x).with_head(PILOT_EXAMPLES)[1], counts[0])
        chosen = copy(self) if len(choice.splitting) > 1 else copy(self._ordinary)
        chosen._splitting = choice.splitting if len(choice.splitting) > 1 else None
        chosen._choice = choice
        return chosen

    def _choose(self, head: Inputs, num_samples: int) -> Choice:
        return pilot.choose(self._model, self._samplers, head, self._asked, num_samples)

    def sample(
        self,
        x: Any,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        on_nonfinite: str = "raise",
        examples: Any = None,
    ) -> Any:
        """Returns the raw outputs of T stochastic passes.

        Args:
            x: Inputs of N examples: arrays of numbers or strings, a dict or tuple of arrays, a
                list of examples, which may differ in length, a `tf.data.Dataset`, a `PyDataset`,
                or a generator of batches.
            num_samples: T >= 1. The passes are the first T of any larger number. None is 50, or the
                product of `splitting`.
            seed: Whole number from 0 below 2**64.
            batch_size: Examples held at once; None chooses by memory. It changes no result.
            on_nonfinite: What becomes of a row for which the model puts out NaN or infinity, in any
                pass or with dropout off: "raise" an error that names rows and passes, or "drop":
                the row is marked, its passes are NaN; so is a row that holds them itself.
            examples: Number of each example in the whole data, of which `x` may be a part: its
                masks are then those that it has in the whole. None counts from 0.

        Returns:
            Array of shape (T, N, ...), or the model's own output structure of such arrays.

        Raises:
            DataError: The inputs do not fit the model, are empty or not finite.
            ModelError: The model fails on them, or nothing selected was reached.
        """
        if self._splitting == AUTO:
            raise DataError(
                "`sample` cannot say which passes share masks, so `splitting` has to be counts, "
                "not 'auto'. Take those of `choose_splitting`."
            )
        run = self._open(x, num_samples, seed, batch_size, examples, minimum=1)
        flat = list(zip(*run.outputs(drop=_drops(on_nonfinite)), strict=True))
        for parts in flat:
            _check_one_shape(passes.shape[2:] for passes in parts)
        return run.pack([np.concatenate(parts, axis=1) for parts in flat])

    def predict(
        self,
        x: Any,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keep_samples: bool = False,
        tolerance: float | None = None,
        on_nonfinite: str = "raise",
        progress: Progress = None,
        examples: Any = None,
    ) -> Any:
        """Samples T passes and returns their statistics beside the deterministic prediction.

        Args:
            x: Inputs of N examples, as for `sample`.
            num_samples: T >= 2; with `tolerance`, the largest number of passes. None is 50, or the
                product of `splitting`. With `splitting="auto"` the ordinary passes whose error of
                the mean is to be reached; how many there were the prediction says.
            seed: Whole number from 0 below 2**64.
            batch_size: Examples held at once; None chooses by memory. It changes no result.
            keep_samples: Also keep the passes, T x N x C numbers.
            tolerance: Stop sampling an example once the Monte Carlo standard error of every
                output's mean is at most this, what the passes may have missed included
                (`mcdrop.stopping`): looked at every 16 passes from 32 on, and again with half as
                many passes more. Probabilities take at least 2.1 / `tolerance` passes.
            on_nonfinite: What becomes of a row for which the model puts out NaN or infinity, in any
                pass or with dropout off: "raise" an error that names rows and passes, or "drop":
                the row is marked, see `Prediction.dropped`; so is a row that holds them itself.
            progress: True shows a bar on a terminal or in a notebook; a function is called with
                (examples done, N or None) as the work advances.
            examples: Number of each example in the whole data, of which `x` may be a part, from 0
                below 2**32: its masks are then those that it has in the whole, and tables name it
                by this number. None counts from 0.

        Returns:
            A `Prediction`; for several outputs a dict or tuple of them.

        Raises:
            DataError: The inputs do not fit the model, are empty or not finite.
            ModelError: The model fails on them, its task is ambiguous, or nothing was sampled.
        """
        check_progress(progress)
        tolerance = self._check_tolerance(tolerance, keep_samples)
        keep_samples = check_flag("keep_samples", keep_samples)
        options = Options(keep_samples, tolerance, _drops(on_nonfinite))
        run = self._open(x, num_samples, seed, batch_size, examples, minimum=2)
        parts = list(run.predictions(self._asked, options, progress))
        return _unwrap({name: _join([part[name] for part in parts]) for name in parts[0]})

    def predict_with_targets(
        self,
        x: Any,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        keep_samples: bool = False,
        tolerance: float | None = None,
        on_nonfinite: str = "raise",
        progress: Progress = None,
    ) -> Any:
        """Returns what `predict` does, with the targets that come with the inputs in the data.

        The data are read once, so that targets belong to their inputs also when the data are
        shuffled at each reading.

        Args:
            x: A `tf.data.Dataset`, a `PyDataset` or a generator of batches (inputs, targets) or
                (inputs, targets, weights).
            num_samples: As for `predict`, and so all below.
            seed: Whole number from 0 below 2**64.
            batch_size: Examples held at once.
            keep_samples: Also keep the passes.
            tolerance: Stop sampling an example once its standard error is at most this.
            on_nonfinite: What becomes of a row for which the model puts out NaN or infinity.
            progress: True shows a bar on a terminal or in a notebook; a function is called with
                (examples done, N or None) as the work advances.

        Returns:
            A `PredictionWithTargets`, which `mcdrop.evaluate` takes; for several outputs a dict
            of them.

        Raises:
            DataError: The data hold no targets, those of an output are missing, or as for
                `predict`.
            ModelError: As for `predict`.

        Example:
            >>> import keras, tensorflow as tf
            >>> model = keras.Sequential([
            ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
            >>> x, y = np.ones((6, 4)), np.array([0, 1, 2, 0, 1, 2])
            >>> data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(6).batch(2)
            >>> result = MCDropout(model).predict_with_targets(data, num_samples=10)
            >>> sorted(result.targets.tolist())
            [0, 0, 1, 1, 2, 2]
        """
        reader = TargetReader(x)
        predictions = self.predict(
            reader.inputs(),
            num_samples=num_samples,
            seed=seed,
            batch_size=batch_size,
            keep_samples=keep_samples,
            tolerance=tolerance,
            on_nonfinite=on_nonfinite,
            progress=progress,
        )
        named = predictions if isinstance(predictions, dict) else {"": predictions}
        targets, weights = reader.targets(list(named)), reader.weights(list(named))
        return _unwrap(
            {
                name: PredictionWithTargets(prediction, targets[name], weights[name])
                for name, prediction in named.items()
            }
        )

    def predict_batches(
        self,
        x: Any,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        tolerance: float | None = None,
        on_nonfinite: str = "raise",
        progress: Progress = None,
        examples: Any = None,
    ) -> Iterator[Any]:
        """Yields what `predict` returns, a batch of consecutive examples at a time.

        For data that does not fit in memory: nothing is kept of what was yielded.

        Args:
            x: Inputs of N examples, as for `sample`.
            num_samples: As for `predict`, and so all up to `progress`.
            seed: Whole number from 0 below 2**64.
            batch_size: Examples held at once.
            tolerance: Stop sampling an example once its standard error is at most this.
            on_nonfinite: What becomes of a row for which the model puts out NaN or infinity.
            progress: Called with (examples done, N or None).
            examples: Number of each example in the whole data.

        Raises:
            DataError: As for `predict`.
            ModelError: As for `predict`.

        Example:
            >>> import keras
            >>> model = keras.Sequential([
            ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
            >>> mc, x = MCDropout(model), np.ones((5, 4), np.float32)
            >>> (part,) = mc.predict_batches(x[3:], num_samples=10, examples=[3, 4])
            >>> bool(np.allclose(part.mean, mc.predict(x, num_samples=10).mean[3:], atol=1e-6))
            True
        """
        check_progress(progress)
        options = Options(False, self._check_tolerance(tolerance, False), _drops(on_nonfinite))
        run = self._open(x, num_samples, seed, batch_size, examples, minimum=2)
        for predictions in run.predictions(self._asked, options, progress):
            yield _unwrap(predictions)

    def export(
        self,
        path: str | Path,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        force: bool = False,
    ) -> None:
        """Writes a SavedModel that returns mean, variance and uncertainty, for TensorFlow Serving.

        Its `serving_default` signature takes the model's inputs by name and returns `mean`,
        `variance` and `deterministic`, for class tasks also `predictive_entropy`,
        `expected_entropy` and `mutual_information`. The signature `with_settings` takes besides
        `seed`, a whole number from 0 below 2**63, and `num_samples`, at most that of the file.
        Every example is sampled with the masks of example 0, so an answer is a function of the
        request, however a server batches it. The numbers are those of `predict` for one example.
        Where `predict` would raise an error about an example (NaN or infinity in it or in any of
        its passes, probabilities that are none), all its outputs are NaN.

        Args:
            path: Directory to write; folders that are missing above it are made.
            num_samples: T >= 2 passes, the most in the file. None is 50, or the product of
                `splitting`.
            seed: Whole number from 0 below 2**64, that of `serving_default`.
            force: Whether to replace a directory every file of which mcdrop wrote.

        Raises:
            DataError: `path` exists and `force` is not set or does not cover it, it cannot be
                written, or an argument is out of range.
            ModelError: The model has several predictions, or inputs of unknown shape.
        """
        from mcdrop.engine import export

        force = check_flag("force", force)
        if self._splitting == AUTO:
            raise DataError(
                "`splitting` is 'auto', but an export has no data to choose by. Export what "
                "`choose_splitting` returns."
            )
        splitting = self._counts(num_samples, minimum=2)
        check_seed("seed", seed)
        export.write(
            self._model,
            self._samplers[0],
            self._asked,
            path,
            splitting=splitting,
            seed=seed,
            force=force,
        )

    def _open(
        self,
        x: Any,
        num_samples: int | None,
        seed: int,
        batch_size: int | None,
        examples: Any,
        *,
        minimum: int,
    ) -> Run:
        splitting = self._counts(num_samples, minimum)
        check_seed("seed", seed)
        if batch_size is not None:
            check_count("batch_size", batch_size, minimum=1)
        inputs, samplers = self._read(x), self._samplers
        if self._splitting == AUTO and examples is not None:
            raise DataError(
                "`examples` may be a part of the data, for which splitting='auto' would choose "
                "counts of its own. Take those of `choose_splitting` for all parts."
            )
        if self._splitting == AUTO:
            inputs, head = inputs.with_head(PILOT_EXAMPLES)
            self._choice = self._choose(head, splitting[0])
            splitting = self._choice.splitting
            samplers = samplers if len(splitting) > 1 else self._ordinary._samplers
        if examples is not None:
            inputs = inputs.numbered(check_numbers(examples))
        run = Run(self._model, samplers, inputs, splitting, seed, batch_size)
        self._idle = run.program.idle
        return run

    def _read(self, x: Any) -> Inputs:
        """Returns the batches of `x`, of which the first is checked to fit the model."""
        inputs = open_inputs(
            x,
            double=describe.reads_float64(self._model),
            example_shape=describe.example_shape(self._model),
        )
        describe.check_inputs(self._model, inputs)
        return inputs

    def _counts(self, num_samples: int | None, minimum: int) -> Splitting:
        """Returns the draws of each stage, (T,) for ordinary passes and before a choice."""
        if num_samples is not None:
            check_count("num_samples", num_samples, minimum=minimum)
        if self._splitting is None or isinstance(self._splitting, str):
            return (DEFAULT_SAMPLES if num_samples is None else num_samples,)
        made = prod(self._splitting)
        if num_samples not in (None, made):
            raise DataError(
                f"`num_samples` is {num_samples}, but `splitting` {self._splitting} makes {made} "
                "passes. Leave `num_samples` out."
            )
        return self._splitting

    def _check_tolerance(self, tolerance: float | None, keep_samples: bool) -> float | None:
        if tolerance is None:
            return None
        if self._settings.balanced:
            raise DataError(
                "`tolerance` stops examples early, but balanced masks need all passes. Use one of "
                "the two."
            )
        if keep_samples:
            raise DataError("`keep_samples` needs the same passes for all; leave `tolerance` out.")
        return check_number("tolerance", tolerance, low=0.0, high=np.inf)


def _checked(splitting: Any) -> Splitting | str | None:
    if splitting is None or (isinstance(splitting, str) and splitting == AUTO):
        return splitting
    return check_splitting(splitting)


def _is_nested(splitting: Splitting | str | None) -> bool:
    return splitting is not None and (isinstance(splitting, str) or len(levels_of(splitting)) > 1)


def _drops(on_nonfinite: str) -> bool:
    return check_choice("on_nonfinite", on_nonfinite, nonfinite.CHOICES) == "drop"


def _check_one_shape(shapes: Iterable[tuple[int, ...]]) -> None:
    """Raises DataError when the outputs of batches cannot be one array."""
    found = list(dict.fromkeys(shapes))
    if len(found) > 1:
        raise DataError(
            f"The batches give outputs of different shapes, {found[0]} and {found[1]} an example, "
            "which are no one array. Pad the inputs to one length, or use predict_batches."
        )


def _join(parts: list[Prediction]) -> Prediction:
    _check_one_shape(part.mean.shape[1:] for part in parts)
    return concatenate(parts)


def _unwrap(predictions: Mapping[str, Any]) -> Any:
    """Returns the only prediction, or all of them by name."""
    return predictions[""] if set(predictions) == {""} else predictions
