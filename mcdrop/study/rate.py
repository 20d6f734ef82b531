"""How much dropout: one rate behind every hidden layer, from none to 0.7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcdrop.study.answers import TRAINED
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import plan_networks
from mcdrop.study.plan import Plan, Request, beside

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_HIDDEN = {"mlp": (128, 64), "wide mlp": (256, 256)}


def plan(request: Request) -> Plan:
    """Returns the study: two perceptrons and a CNN with every rate, each beside the one without."""
    names = {rate: f"rate {rate}" if rate else "none" for rate in RATES}
    settings: dict[str, tuple[str, Mapping[str, Any]]] = {
        f"{group}, {name}": ("mlp", {"hidden": hidden, "rates": (rate, rate)})
        for group, hidden in _HIDDEN.items()
        for rate, name in names.items()
    }
    for rate, name in names.items():
        settings[f"cnn, {name}"] = "cnn", {"pooling_rate": rate, "dense_rate": rate}
    return Plan(
        name="rate",
        question=STUDIES["rate"],
        references=beside(settings, "none"),
        headline="mlp, rate 0.5",
        **TRAINED,
        **plan_networks(request, settings),
    )
