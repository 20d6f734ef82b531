"""A service on Ray Serve: requests are put together, and doubtful answers marked for a person.

serve run mcdrop.distributed.service:build model=/shared/model.keras abstain_above=0.165

`/predict` takes one example and returns a row of `mcdrop predict`; `/openapi.json` describes it,
and `/docs` lets a person try it. What would wait beyond a limit is told to come back (status 503).
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, RootModel
from ray import serve

from mcdrop.distributed.predictor import Predictor
from mcdrop.errors import DataError, McdropError
from mcdrop.loading import InputSpec, input_specs
from mcdrop.prediction import EXAMPLE

MOST_AT_ONCE, MOST_RUNNING, MOST_WAITING = 32, 64, 256
"""Requests that are predicted together, that a replica holds, and that wait for one."""

Inputs = dict[str, NDArray[Any]]
Row = dict[str, bool | int | float | str | None]

api = FastAPI(title="Predictions with uncertainty")


class Settings(BaseModel):
    """What a service predicts with: the NAME=VALUE of `serve run`, or `args` of its configuration.

    Further arguments of `mcdrop.distributed.Predictor`, such as `masks`, are handed on.

    Attributes:
        model: Path of the model file, which every machine can read.
        abstain_above: Uncertainty above which `abstain` asks for a person; None leaves it out.
        columns: What to answer with, as a list or separated by commas; None for all columns.
        num_samples: T >= 2; None is 50, or the product of `splitting`.
        seed: Seed of the masks.
        calibration: Path of a file of `mcdrop calibrate`.
    """

    model_config = ConfigDict(extra="allow")

    model: str
    abstain_above: float | None = None
    columns: list[str] | str | None = None
    num_samples: int | None = None
    seed: int = 0
    calibration: str | None = None


class Request(BaseModel):
    """One example."""

    input: Any = Field(
        description="Numbers or texts in nested lists, in the shape that the model takes, without "
        "the axis of examples; for a model with several inputs an object with one of these by name."
    )


class Answer(RootModel[Row]):
    """The columns of `mcdrop predict` for the example; null where there is no number.

    `abstain` says whether a person should answer: the uncertainty is above the threshold of the
    service, or there is none because the model put out NaN.
    """


# Above the class, whose decorators copy it with the names that are defined by then.
def _read(given: Any, specs: dict[str, InputSpec] | None) -> Inputs:
    """Returns the inputs of an example, looked at before they are put together with others.

    Raises:
        DataError: They are not what the model takes.
    """
    if specs is None:
        return {"input": _array("input", given, None)}
    if len(specs) == 1:
        ((name, spec),) = specs.items()
        return {name: _array("input", given, spec)}
    if not isinstance(given, dict) or set(given) != set(specs):
        raise DataError(f"`input` is expected to be an object with {', '.join(specs)}.")
    return {name: _array(name, given[name], spec) for name, spec in specs.items()}


def _array(name: str, given: Any, spec: InputSpec | None) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    kinds = "U" if spec is not None and spec.is_text else "biuf"
    fits = spec is None or (
        array.ndim == len(spec.shape)
        and all(size in (None, found) for size, found in zip(spec.shape, array.shape, strict=True))
    )
    if array.dtype.kind not in kinds or not fits:
        shape = "" if spec is None else f" of shape {spec.shape}"
        what = "texts" if kinds == "U" else "numbers"
        raise DataError(f"`{name}` is expected to hold {what}{shape}, in nested lists.")
    if kinds != "U" and not np.isfinite(array).all():
        raise DataError(f"`{name}` holds NaN or infinity, expected finite numbers.")
    return array


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@serve.deployment(max_ongoing_requests=MOST_RUNNING, max_queued_requests=MOST_WAITING)
@serve.ingress(api)
class Service:
    """A replica, which loads the model before its first request."""

    def __init__(self, predictor: Predictor, columns: Sequence[str] | None) -> None:
        self._predictor = predictor
        self._columns = columns
        self._specs = input_specs(predictor.load().model)

    @api.post("/predict")
    async def predict(self, request: Request) -> Answer:
        """Returns the prediction of one example, which depends on this request alone."""
        try:
            inputs = _read(request.input, self._specs)
            found = await self._together(inputs)
        except DataError as error:
            raise HTTPException(422, str(error)) from None
        if isinstance(found, McdropError):
            raise HTTPException(422, str(found))
        return Answer(found)

    @serve.batch(max_batch_size=MOST_AT_ONCE, batch_wait_timeout_s=0.01)
    async def _together(self, examples: list[Inputs]) -> list[Row | McdropError]:
        return await asyncio.to_thread(self._answers, examples)

    def _answers(self, examples: Sequence[Inputs]) -> list[Row | McdropError]:
        """Returns a row or an error for each example; those of one shape are predicted at once."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for place, inputs in enumerate(examples):
            alike.setdefault(tuple(array.shape for array in inputs.values()), []).append(place)
        found: dict[int, Row | McdropError] = {}
        for places in alike.values():
            found |= zip(places, self._of_one_shape([examples[n] for n in places]), strict=True)
        return [found[place] for place in range(len(examples))]

    def _of_one_shape(self, examples: Sequence[Inputs]) -> Sequence[Row | McdropError]:
        try:
            return self._rows(examples)
        except McdropError as error:
            if len(examples) == 1:
                return [error]
        return [self._of_one_shape([inputs])[0] for inputs in examples]

    def _rows(self, examples: Sequence[Inputs]) -> list[Row]:
        # All have the number 0, and so its masks, whatever they were put together with.
        batch = {name: np.stack([inputs[name] for inputs in examples]) for name in examples[0]}
        columns = self._predictor({EXAMPLE: np.zeros(len(examples), np.int64), **batch})
        del columns[EXAMPLE]
        names = list(columns) if self._columns is None else self._columns
        missing = sorted(set(names) - set(columns))
        if missing:
            raise DataError(
                f"There is no column {missing[0]!r} to answer with; there are {', '.join(columns)}."
            )
        lists = (columns[name].tolist() for name in names)
        rows = zip(*lists, strict=True)
        return [dict(zip(names, map(_plain, values), strict=True)) for values in rows]


def build(settings: Settings) -> serve.Application:
    """Returns the application, for `serve run mcdrop.distributed.service:build NAME=VALUE ...`.

    Raises:
        DataError: A setting is none, or the calibration cannot be read.
    """
    given = settings.model_dump()
    columns = given.pop("columns")
    names = columns.split(",") if isinstance(columns, str) else columns
    # An example for which the model puts out NaN must not fail those put together with it.
    predictor = Predictor(**{"on_nonfinite": "drop", **given})
    return Service.bind(predictor, names)  # type: ignore[attr-defined]  # it is a deployment
