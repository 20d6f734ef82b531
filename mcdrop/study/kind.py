"""Which kind of dropout behind convolutions, and what else regularizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mcdrop.study.answers import TRAINED
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import plan_networks
from mcdrop.study.plan import Plan, Request, beside

_KINDS = ("Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout")
_SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "cnn, none": ("cnn", {}),
    **{
        f"cnn, {kind}": (
            "cnn",
            {"convolution_rate": 0.2, "convolution_dropout": getattr(keras.layers, kind)},
        )
        for kind in _KINDS
    },
    "pooled, none": ("cnn", {"global_pooling": True}),
    "pooled, dense head": ("cnn", {"global_pooling": True, "dense_rate": 0.5}),
    "mlp, none": ("mlp", {}),
    "mlp, Dropout": ("mlp", {"rates": (0.3, 0.3)}),
    "mlp, L2": ("mlp", {"l2": 1e-4}),
    "mlp, L2 and Dropout": ("mlp", {"l2": 1e-4, "rates": (0.3, 0.3)}),
    "mlp, BatchNormalization": ("mlp", {"batch_normalization": True}),
}


def plan(request: Request) -> Plan:
    """Returns the study; every setting is set beside its own network without any of it."""
    return Plan(
        name="kind",
        question=STUDIES["kind"],
        references=beside(_SETTINGS, "none"),
        headline="cnn, SpatialDropout2D",
        **TRAINED,
        **plan_networks(request, _SETTINGS),
    )
