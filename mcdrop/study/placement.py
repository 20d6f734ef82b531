"""Where dropout goes: one rate at different places of the same networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcdrop.study.answers import TRAINED
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import plan_networks
from mcdrop.study.plan import Plan, Request, beside

_SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mlp, none": ("mlp", {}),
    "mlp, inputs": ("mlp", {"input_rate": 0.2}),
    "mlp, before dense": ("mlp", {"rates": (0.3, 0.3), "dropout_first": True}),
    "mlp, behind dense": ("mlp", {"rates": (0.3, 0.3)}),
    "mlp, 0.2 then 0.3": ("mlp", {"rates": (0.2, 0.3)}),
    "mlp, 0.3 then 0.2": ("mlp", {"rates": (0.3, 0.2)}),
    "cnn, none": ("cnn", {}),
    "cnn, behind convolutions": ("cnn", {"convolution_rate": 0.3}),
    "cnn, behind pooling": ("cnn", {"pooling_rate": 0.3}),
    "cnn, behind dense": ("cnn", {"dense_rate": 0.3}),
    "cnn, before the softmax": ("cnn", {"output_rate": 0.3}),
    "cnn, everywhere": (
        "cnn",
        {"convolution_rate": 0.3, "pooling_rate": 0.3, "dense_rate": 0.3},
    ),
}


def plan(request: Request) -> Plan:
    """Returns the study; the two swapped rates are set beside each other, the rest beside none."""
    return Plan(
        name="placement",
        question=STUDIES["placement"],
        references=beside(_SETTINGS, "none") | {"mlp, 0.3 then 0.2": "mlp, 0.2 then 0.3"},
        headline="mlp, 0.3 then 0.2",
        **TRAINED,
        **plan_networks(request, _SETTINGS),
    )
