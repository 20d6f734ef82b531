"""`mcdrop inspect`: the audit of what would sample."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import wrap_model
from mcdrop.loading import input_specs


def run(options: Namespace, terminal: Terminal) -> None:
    """Prints the audit as text or JSON."""
    mc = wrap_model(options.model, options, terminal)
    terminal.say(mc.summary())
    specs = input_specs(mc.model)
    terminal.result(
        {
            "model": str(options.model),
            "name": mc.model.name,
            "num_parameters": mc.model.count_params(),
            "inputs": None if specs is None else {key: list(s.shape) for key, s in specs.items()},
            "share_run_once": mc.share_run_once,
            "stochastic_layers": [_plain(asdict(layer)) for layer in mc.stochastic_layers],
        }
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values with None for an unknown rate, which JSON cannot say otherwise."""
    return values | {"rate": None if math.isnan(values["rate"]) else values["rate"]}
