"""The predictor that goes to the data: picklable, and the same on every worker."""

from __future__ import annotations

import os
import threading
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_choice, check_count, check_seed
from mcdrop.distributed.columns import finish, uncertainty
from mcdrop.distributed.dtypes import check_dtype
from mcdrop.errors import DataError, DataWarning
from mcdrop.prediction import EXAMPLE, Prediction
from mcdrop.recalibrate import calibrations
from mcdrop.splitting import AUTO

if TYPE_CHECKING:
    import pandas as pd

    from mcdrop.predictor import MCDropout

Array = NDArray[Any]
Batch = Mapping[str, Any]

_SETTINGS = (
    *("layers", "masks", "balanced", "task", "output", "gaussian_scale", "compute_dtype"),
    "splitting",
)
_SQL_TYPES = {"b": "boolean", "i": "bigint", "u": "bigint", "f": "double", "O": "string"}
_MOST_LOADED = 2


class Predictor:
    """Predicts batches of columns wherever it is sent: on Ray, on Spark, in any pool of processes.

    Masks are a function of the number of an example, which the column `example` holds, so workers,
    the size of batches, retries and the order of rows change no mask. A pickled predictor is as
    small as its settings, or the bytes of the model; each process loads the model once, on its
    first batch.

    Args:
        model: Path of a `.keras` or whole-model `.h5` file that every worker can read, or the
            bytes of a `.keras` file.
        inputs: Column or columns that the model takes. None: all but `example` and `keep`. For a
            model with several inputs those of their names; for one with a single input several
            columns of numbers are its features, in this order.
        keep: Columns that are handed on, such as labels and names.
        num_samples: T >= 2 passes. None is 50, or the product of `splitting`.
        seed: Whole number from 0 below 2**64.
        tolerance: As for `MCDropout.predict`.
        on_nonfinite: As for `MCDropout.predict`.
        scale: What to do with pixels: "none", "unit" divides by 255, "symmetric" maps to [-1, 1].
        calibration: Path of a file of `mcdrop calibrate`.
        abstain_above: Uncertainty above which the column `abstain` asks for a person.
        imports: Modules to import before the model is loaded, which register its own layers.
        **settings: Those of `MCDropout`: `layers`, `masks`, `balanced`, `task`, `output`,
            `gaussian_scale`, `compute_dtype`, which must be what every machine computes in, and
            `splitting`, counts that are the same for all batches.

    Raises:
        DataError: A setting is none, or the calibration cannot be read.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([
        ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
        >>> batch = {"example": np.array([7, 3]), "x": np.ones((2, 4), np.float32)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     columns = Predictor(f"{folder}/model.keras", num_samples=10)(batch)
        >>> columns["example"].tolist(), columns["std_0"].shape
        ([7, 3], (2,))
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        inputs: str | Sequence[str] | None = None,
        keep: Sequence[str] = (),
        num_samples: int | None = None,
        seed: int = 0,
        tolerance: float | None = None,
        on_nonfinite: str = "raise",
        scale: str = "none",
        calibration: str | Path | None = None,
        abstain_above: float | None = None,
        imports: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        unknown = sorted(set(settings) - set(_SETTINGS))
        if unknown:
            raise DataError(
                f"`{unknown[0]}` is no setting of a Predictor; MCDropout's are "
                f"{', '.join(_SETTINGS)}."
            )
        if not isinstance(model, str | Path | bytes):
            raise DataError(
                f"`model` is of type {type(model).__name__}, expected the path of a model file, or "
                "its bytes. Save the model first: model.save('model.keras')."
            )
        if settings.get("splitting") == AUTO:
            raise DataError(
                "`splitting` is 'auto', which every batch would choose anew. Choose once, as with "
                "MCDropout(model, splitting='auto').choose_splitting(x).splitting."
            )
        if num_samples is not None:
            check_count("num_samples", num_samples, minimum=2)
        check_choice("on_nonfinite", on_nonfinite, ("raise", "drop"))
        self._model = model
        self._inputs = (inputs,) if isinstance(inputs, str) else inputs
        self._keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self._sampling: dict[str, Any] = {
            "num_samples": num_samples,
            "seed": check_seed("seed", seed),
            "tolerance": tolerance,
            "on_nonfinite": on_nonfinite,
        }
        self._scale = scale
        self._calibration = None if calibration is None else calibrations.load(Path(calibration))
        self._abstain_above = abstain_above
        self._imports = tuple(imports)
        self._settings = settings
        self._key = uuid.uuid4().hex

    def __call__(self, batch: Batch) -> dict[str, Array]:
        """Returns the columns of `Prediction.to_frame` for a batch of columns, as arrays.

        Args:
            batch: The inputs by name, each with the examples on axis 0; `example`, their numbers
                in the whole data; and the columns to keep.

        Raises:
            DataError: A column is missing or does not fit the model, or a number is none.
            ModelError: The model cannot be loaded or fails.
        """
        numbers = np.asarray(_column(batch, EXAMPLE))
        kept = {name: np.asarray(_column(batch, name)) for name in self._keep}
        if not len(numbers):
            return {EXAMPLE: numbers, **kept}
        loaded = _load(self)
        x = self._arrays(batch, numbers, loaded.mc.model)
        prediction = _only(loaded.mc.predict(x, examples=numbers, **self._sampling))
        if not loaded.is_checked:
            self._check(loaded.mc, prediction)
            loaded.is_checked = True
        prediction, more = finish(prediction, self._calibration, self._abstain_above)
        frame = prediction.to_frame()
        columns = {str(name): frame[name].to_numpy() for name in frame}
        twice = sorted({*columns, *more} & set(kept))
        if twice:
            raise DataError(
                f"The column {twice[0]!r} to keep has the name of one of the prediction. Rename it."
            )
        return {EXAMPLE: columns.pop(EXAMPLE), **kept, **columns, **more}

    def in_pandas(self, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Yields predictions as tables, for Spark: `df.mapInPandas(predictor.in_pandas, schema)`.

        Args:
            frames: Tables with the columns that `__call__` takes; cells may be lists.
        """
        import pandas as pd

        for frame in frames:
            if len(frame):
                yield pd.DataFrame(self({str(name): frame[name].to_numpy() for name in frame}))

    def sql_schema(self, frame: pd.DataFrame) -> str:
        """Returns the schema of the predictions as Spark's DDL, from a few examples.

        Args:
            frame: Some rows of the data, as of `df.limit(2).toPandas()`.

        Raises:
            DataError: It is empty, or as for `__call__`.
        """
        found = next(self.in_pandas([frame]), None)
        if found is None:
            raise DataError("`frame` is empty, expected some rows of the data, to predict them.")
        return ", ".join(f"`{name}` {_SQL_TYPES[kind.kind]}" for name, kind in found.dtypes.items())

    def load(self) -> MCDropout:
        """Returns the sampled model, made from the file on the first call in this process.

        Raises:
            ModelError: The model or a module that it needs cannot be loaded, or nothing in it
                would be random.
            DataError: A setting does not fit the model, nor the calibration.
        """
        return _load(self).mc

    def _make(self) -> MCDropout:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        from mcdrop.engine import pickled
        from mcdrop.loading import import_module, load_model
        from mcdrop.predictor import MCDropout

        check_dtype(self._settings.get("compute_dtype"))
        for name in self._imports:
            import_module(name)
        given = self._model
        model = pickled.from_bytes(given) if isinstance(given, bytes) else load_model(given)
        return MCDropout(model, **self._settings)

    def _check(self, mc: MCDropout, trial: Prediction) -> None:
        """Raises DataError for what can only be told once the model is there."""
        if self._calibration is not None:
            model = calibrations.fingerprint_of_model(mc.model)
            made_for, passes = self._calibration.made_for, self._sampling["num_samples"]
            made_for.check(Path("The calibration"), trial, model)
            found = made_for.differences(trial, passes or trial.num_samples)
            if found:
                warnings.warn(
                    f"The calibration was fitted on predictions with {found}; it may not hold for "
                    "these.",
                    DataWarning,
                    stacklevel=3,
                )
        if self._abstain_above is not None:
            uncertainty(trial)

    def _arrays(self, batch: Batch, numbers: Array, model: Any) -> Any:
        """Returns the inputs as the model takes them, checked and scaled as of a file."""
        from mcdrop.loading import Data, fit_to_model, input_specs
        from mcdrop.loading.rows import ArrayRows

        left_out = {EXAMPLE, *self._keep}
        names = self._inputs or [name for name in batch if name not in left_out]
        arrays = {name: _stacked(name, _column(batch, name)) for name in names}
        if len(input_specs(model) or ()) <= 1 and len(arrays) != 1:
            arrays = {"x": _features(arrays)}
        data = Data(
            "the batch",
            {name: ArrayRows(array) for name, array in arrays.items()},
            columns=tuple(names) if len(names) > 1 else (),
            indices=numbers.astype(np.int64) if numbers.dtype.kind in "iu" else None,
        )
        return fit_to_model(data, model, scale=self._scale).x()


@dataclass
class _Loaded:
    """A model that was made, and whether a prediction of it was looked at."""

    mc: MCDropout
    is_checked: bool = False


_LOADED: dict[str, _Loaded] = {}
_LOCK = threading.Lock()


def _load(predictor: Predictor) -> _Loaded:
    """Returns the model of a predictor, which copies of it in this process share."""
    with _LOCK:
        if predictor._key not in _LOADED:
            loaded = _Loaded(predictor._make())
            while len(_LOADED) >= _MOST_LOADED:
                del _LOADED[next(iter(_LOADED))]
            _LOADED[predictor._key] = loaded
        return _LOADED[predictor._key]


def _only(predictions: Any) -> Prediction:
    if isinstance(predictions, Prediction):
        return predictions
    raise DataError(
        f"The model has several outputs, {', '.join(predictions)}; choose one, as with "
        f"output={next(iter(predictions))!r}."
    )


def _column(batch: Batch, name: str) -> Any:
    if name in batch:
        return batch[name]
    how = ""
    if name == EXAMPLE:
        how = (
            " It holds the number of each row in the whole data, of which the masks are made; "
            "number the rows once, before they are spread."
        )
    raise DataError(f"The batch has no column {name!r}; it has {', '.join(map(str, batch))}.{how}")


def _stacked(name: str, values: Any) -> Array:
    """Returns a column as a full array: engines hand over lists as arrays of objects."""
    array = np.asarray(values)
    if array.dtype != object or not array.size or not np.ndim(array[0]):
        return array
    try:
        return np.stack([_stacked(name, np.asarray(value)) for value in array])
    except ValueError:
        raise DataError(
            f"The rows of column {name!r} have different shapes. Pad them to one shape."
        ) from None


def _features(arrays: Mapping[str, Array]) -> Array:
    """Returns columns of numbers as the features of the only input."""
    if not arrays:
        raise DataError("The batch has no column of inputs; name it with `inputs`.")
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise DataError(
                f"Column {name!r} holds no single numbers, so it is no feature beside "
                f"{', '.join(other for other in arrays if other != name)}. Name the input column "
                "with `inputs`, and others with `keep`."
            )
    return np.stack(list(arrays.values()), axis=1)
