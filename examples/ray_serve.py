"""A service on Ray Serve: requests are batched, and doubtful ones are marked for a person.

MODEL=model.keras ABSTAIN_ABOVE=0.165 serve run examples.ray_serve:app

The interface is described at /openapi.json, and can be tried at /docs.
"""

import asyncio
import os

import numpy as np
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from ray import serve

from mcdrop.distributed import Predictor

api = FastAPI(title="Predictions with uncertainty")


class Request(BaseModel):
    input: list = Field(description="One example, in the shape that the model takes")


class Answer(BaseModel):
    predicted_class: int
    confidence: float = Field(description="Probability of the predicted class")
    predictive_entropy: float = Field(description="Uncertainty in nats")
    abstain: bool = Field(description="Whether a person should answer")


# What waits beyond these limits is told to come back (status 503), so that the queue is bounded.
@serve.deployment(max_ongoing_requests=64, max_queued_requests=256)
@serve.ingress(api)
class Service:
    def __init__(self, model, abstain_above, num_samples=50):
        self._predictor = Predictor(model, num_samples=num_samples, abstain_above=abstain_above)
        self._shape = self._predictor.load().model.input_shape[1:]
        self._answer([np.zeros(self._shape, np.float32)])  # compiles before the first request

    @api.post("/predict")
    async def predict(self, request: Request) -> Answer:
        try:
            array = np.asarray(request.input, np.float32)
        except (TypeError, ValueError):
            array = np.empty(0)
        # Looked at before requests are put together, so that one cannot fail the others.
        if array.shape != self._shape or not np.isfinite(array).all():
            raise HTTPException(422, f"expected numbers of the shape {self._shape}")
        return Answer(**await self._batched(array))

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.01)
    async def _batched(self, arrays):
        return await asyncio.to_thread(self._answer, arrays)

    def _answer(self, arrays):
        # All have the number 0, so that an answer depends on its request alone.
        batch = {"example": np.zeros(len(arrays), int), "x": np.stack(arrays)}
        columns = self._predictor(batch)
        names = list(Answer.model_fields)
        return [
            dict(zip(names, values, strict=True))
            for values in zip(*(columns[name].tolist() for name in names), strict=True)
        ]


def build(model, abstain_above, num_samples=50):
    return Service.bind(model, abstain_above, num_samples)


if "MODEL" in os.environ:
    app = build(os.environ["MODEL"], float(os.environ["ABSTAIN_ABOVE"]))
