"""The steps that commands share: load, wrap, open data, sample, and say where it came from."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_count, check_seed
from mcdrop.cli.options import DEFAULT_SAMPLES
from mcdrop.cli.terminal import Terminal, import_keras
from mcdrop.errors import DataError
from mcdrop.evaluation.dropping import tell_dropped
from mcdrop.files import Kind, Output, claim
from mcdrop.files.archives import read_text
from mcdrop.loading import (
    Data,
    DataOptions,
    ImageOptions,
    Labels,
    TextOptions,
    fit_to_model,
    import_module,
    input_specs,
    load_model,
    number_labels,
    open_data,
)
from mcdrop.loading.columns import listed
from mcdrop.loading.data import rename_classes
from mcdrop.loading.expected import fill_images
from mcdrop.loading.labels import check_numbers
from mcdrop.loading.named import is_named
from mcdrop.loading.ranges import input_warnings
from mcdrop.loading.rows import rows_at_once
from mcdrop.loading.saved import read_saved_model
from mcdrop.prediction import Prediction
from mcdrop.report.votes import MOST_DOTS
from mcdrop.splitting import AUTO, PILOT_EXAMPLES, check_splitting

if TYPE_CHECKING:
    from mcdrop.predictor import MCDropout

_LARGEST_NAMES = 2**22
"""Bytes of a file with the names of classes; ImageNet's 21,841 need half a million."""

_PACKAGES = ("mcdrop", "keras", "tensorflow", "numpy")


@dataclass(frozen=True, eq=False)
class Examples:
    """Data as the user gave them, and as the model takes them.

    Attributes:
        original: As they were given.
        fitted: As the model takes them.
        warnings: What makes the model's numbers doubtful, a sentence each, by a short key.
    """

    original: Data
    fitted: Data
    warnings: Mapping[str, str] = field(default_factory=dict)

    def blocks(self, start: int = 0) -> Iterator[Any]:
        """Yields the inputs from an example on, as the model takes them."""
        return self.fitted.blocks(rows_at_once(self.original.inputs.values()), start)

    def choose(self, places: NDArray[np.intp]) -> Self:
        """Returns the examples at some places, which keep their numbers in the whole data."""
        original, fitted = (each.choose(places) for each in (self.original, self.fitted))
        return replace(self, original=original, fitted=fitted)

    def pictures(self) -> NDArray[Any] | None:
        """Returns the examples for showing when they are images, shape (N, height, width, ...)."""
        rows = list(self.original.inputs.values())
        if len(rows) != 1:
            return None
        shape, dtype = rows[0].shape, rows[0].dtype
        # Sequences of features have three axes too; only 8-bit ones are taken for images.
        is_image = len(shape) == 4 and shape[-1] in (1, 3, 4)
        is_plane = len(shape) == 3 and (dtype == np.uint8 or self._has_channel_axis())
        if not (is_image or is_plane):
            return None
        pixels: NDArray[Any] = self.original.x()
        return pixels

    def named(self, class_names: tuple[str, ...] | None) -> Examples:
        """Returns the examples with names for the numbers of their classes."""
        return replace(self, original=replace(self.original, class_names=class_names))

    def _has_channel_axis(self) -> bool:
        return len(next(iter(self.fitted.inputs.values())).shape) == 4


def wrap_model(path: Path, options: Namespace, terminal: Terminal) -> MCDropout:
    """Loads a model and wraps it as the options say.

    Raises:
        ModelError: The file holds no such model, or nothing in it would be random.
        DataError: An option does not fit the model.
    """
    read_saved_model(path)
    import_keras(verbose=terminal.verbose)
    for name in options.imports:
        import_module(name)
    return wrap(load_model(path), options)


def wrap(model: Any, options: Namespace) -> MCDropout:
    """Wraps a loaded model as the options say."""
    from mcdrop.predictor import MCDropout

    return MCDropout(
        model,
        layers=options.layers,
        masks=options.masks,
        balanced=options.balanced,
        task=options.task,
        output=options.model_output,
        gaussian_scale=options.gaussian_scale,
        compute_dtype=options.compute_dtype,
        splitting=getattr(options, "splitting", None),
    )


def open_examples(
    source: str, model: Any, options: Namespace, terminal: Terminal, *, is_labelled: bool = True
) -> Examples:
    """Opens data for a model, as the options say; `is_labelled` tells whether labels are needed."""
    specs = input_specs(model)
    images = fill_images(None, specs, size=options.image_size)
    data = open_data(source, data_options(options, images, is_labelled=is_labelled), specs)
    if options.drop_missing and is_labelled:
        data = data.drop_missing()
    data = data.limit(options.limit)
    fitted = fit_to_model(data, model, scale=options.scale)
    warnings = input_warnings(data, fitted, model, options.scale)
    for warning in warnings.values():
        terminal.warn(warning)
    return Examples(data, fitted, warnings)


def check_source(source: str) -> None:
    """Raises DataError when data surely cannot be opened, before Keras is imported."""
    if not is_named(source) and not Path(source).exists():
        open_data(source)


def data_options(
    options: Namespace, images: ImageOptions, *, is_labelled: bool = True
) -> DataOptions:
    """Returns how to read data for a model that takes such images."""
    return DataOptions(
        x_key=options.x_key,
        y_key=options.y_key,
        labels=options.labels if is_labelled else None,
        is_labelled=is_labelled,
        class_names=class_names(getattr(options, "class_names", None)) if is_labelled else None,
        images=images,
        text=TextOptions(options.separator, options.decimal, options.encoding),
    )


def class_names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns the names given, or the lines of the text file that the only name names."""
    if given is None:
        return None
    if len(given) == 1 and Path(given[0]).exists():
        lines = read_text(Path(given[0]), DataError, _LARGEST_NAMES).splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return tuple(given)


def claim_output(options: Namespace, kind: Kind) -> AbstractContextManager[Output]:
    """Claims --output for a command, so that it cannot fail after the work for it; see `claim`."""
    return claim(options.output, kind, force=options.force, inputs=_input_paths(options))


def _input_paths(options: Namespace) -> list[Path]:
    """Returns every path that a command reads, or may read: a name is no path, and not there."""
    found: list[Any] = [*getattr(options, "models", ()), *getattr(options, "imports", ())]
    found += getattr(options, "class_names", None) or ()
    further = ("labels", "ood", "calibration_data", "calibration_labels", "calibration")
    chosen = ("model", "data", "predictions", *further)
    found += [getattr(options, name, None) for name in chosen]
    return [Path(path) for path in found if path is not None]


def check_passes(options: Namespace) -> None:
    """Settles how many passes there are: enough for a variance, and not too many.

    Raises:
        DataError: They are too few or too many, or --splitting makes another number.
    """
    counts = getattr(options, "splitting", None)
    made = prod(check_splitting(counts)) if isinstance(counts, tuple) else None
    if options.samples is None:
        options.samples = DEFAULT_SAMPLES if made is None else made
    elif made not in (None, options.samples):
        raise DataError(
            f"`--samples` is {options.samples}, but `--splitting` "
            f"{','.join(map(str, counts or ()))} makes {made} passes. Leave --samples out."
        )
    check_count("--samples", options.samples, minimum=2)
    check_seed("--seed", options.seed)


def sample(
    mc: MCDropout, examples: Examples, options: Namespace, terminal: Terminal, what: str
) -> Prediction:
    """Samples all examples under a progress bar."""
    x = examples.fitted.x()
    with terminal.progress(what) as progress:
        predictions = mc.predict(
            x,
            num_samples=passes_of(mc, options),
            seed=options.seed,
            batch_size=options.batch_size,
            tolerance=options.tolerance,
            on_nonfinite=getattr(options, "on_nonfinite", "raise"),
            keep_samples=getattr(options, "keep_samples", False),
            progress=lambda done, total: progress(done, len(examples.fitted)),
            examples=examples.original.numbers,
        )
    return only_output(predictions)


def sample_again(
    mc: MCDropout, examples: Examples, options: Namespace, terminal: Terminal
) -> Callable[[NDArray[np.intp]], Prediction]:
    """Returns what samples the examples at some places as before, and keeps the passes shown."""
    most = options.samples if options.balanced else min(options.samples, MOST_DOTS)
    again = {"keep_samples": True, "tolerance": None, "samples": most}
    kept = Namespace(**vars(options) | again)

    def sampled(places: NDArray[np.intp]) -> Prediction:
        return sample(mc, examples.choose(places), kept, terminal, "Sampling those shown")

    return sampled


def passes_of(mc: MCDropout, options: Namespace) -> int:
    """Returns the number of passes of a model whose draws are settled."""
    return prod(mc.splitting) if isinstance(mc.splitting, tuple) else int(options.samples)


def try_out(
    mc: MCDropout, examples: Examples, options: Namespace, terminal: Terminal
) -> tuple[MCDropout, Prediction]:
    """Returns the prediction of the first examples, to find mistakes before the long run.

    And the model with its draws settled: --splitting auto looks at the first examples.
    """
    _check_output_name(options.model_output, mc.output_names)
    if mc.splitting == AUTO:
        first = next(iter(examples.fitted.blocks(PILOT_EXAMPLES)))
        mc = mc.choose_splitting(first, num_samples=options.samples)
        terminal.note(str(mc.splitting_reason))
    x = next(iter(examples.fitted.blocks(2)))
    settings: dict[str, Any] = {"seed": options.seed, "num_samples": None if mc.splitting else 2}
    settings["on_nonfinite"] = getattr(options, "on_nonfinite", "raise")
    return mc, only_output(mc.predict(x, **settings))


def leave_out_dropped(
    prediction: Prediction, examples: Examples, y: NDArray[Any]
) -> tuple[Prediction, Examples, NDArray[Any]]:
    """Returns a prediction, its examples and their labels without those that it dropped.

    Raises:
        DataError: It dropped all.
    """
    if prediction.dropped is None or not prediction.dropped.any():
        return prediction, examples, y
    told = {"dropped_examples": tell_dropped(prediction.dropped)}
    kept = np.flatnonzero(~prediction.dropped)
    left = replace(examples.choose(kept), warnings={**examples.warnings, **told})
    return prediction.take(kept), left, y[kept]


def only_output(predictions: Any) -> Prediction:
    """Returns the prediction of a model with one output, or of the one that was chosen.

    Raises:
        DataError: There are several and none was chosen.
    """
    if not isinstance(predictions, Prediction):
        raise DataError(_several_outputs(tuple(predictions)))
    return predictions


def _check_output_name(name: str | None, names: Sequence[str]) -> None:
    """Raises DataError unless the name chooses an output, where the model tells their names.

    It comes before any task is asked for: those of the outputs not chosen do not matter.
    """
    if name is None and len(names) > 1:
        raise DataError(_several_outputs(names))
    if name is not None and len(names) == 1:
        raise DataError(f"--model-output is {name!r}, but the model has a single output.")
    if name is not None and names and name not in names:
        raise DataError(f"--model-output is {name!r}, expected one of {', '.join(names)}.")


def _several_outputs(names: Sequence[str]) -> str:
    return f"The model has several outputs; choose one of {', '.join(names)} by --model-output."


def read_labels(
    examples: Examples, trial: Prediction, class_names: tuple[str, ...] | None = None
) -> Labels:
    """Returns the labels as numbers, checked against the prediction of the first examples.

    Args:
        examples: The data.
        trial: A prediction of some of them.
        class_names: Names of the classes in the order of the outputs; None takes those that
            the data bring.

    Raises:
        DataError: There are none, some are missing, or they do not fit the prediction.
    """
    from mcdrop.evaluation.targets import as_targets, shape_of

    data = examples.original
    if class_names is not None:
        data = rename_classes(data, class_names)
    values, names = data.y(), data.class_names
    try:
        if trial.task in ("classification", "binary"):
            _, *shape, num_classes = trial.class_probabilities.shape
            if names is not None and len(names) != num_classes:
                raise DataError(
                    f"they have {len(names)} classes ({listed(names)}), the model has "
                    f"{num_classes}. Leave out what is no class of the model, or name its "
                    "classes in order with --class-names."
                )
            labels = number_labels(
                values, num_classes, names, row_shape=tuple(shape), categories=data.categories
            )
        else:
            labels = Labels(check_numbers(values), names)
        as_targets(labels.values, trial.task, (len(data), *shape_of(trial)[1:]), 0.95)
    except DataError as error:
        raise DataError(f"The labels of {data.name} do not fit the model: {error}") from None
    return labels


def tell_readings(examples: Examples, labels: Labels | None, terminal: Terminal) -> list[str]:
    """Says how the data were read where they might be read otherwise, and returns it."""
    readings = [*examples.fitted.readings, *(labels.readings if labels is not None else ())]
    for reading in readings:
        terminal.note(reading)
    return readings


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
