"""`mcdrop export`: a SavedModel for TensorFlow Serving."""

from __future__ import annotations

from argparse import Namespace

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import check_passes, claim_output, wrap_model
from mcdrop.files import Kind
from mcdrop.loading.saved import read_saved_model


def run(options: Namespace, terminal: Terminal) -> None:
    """Writes the SavedModel."""
    check_passes(options)
    read_saved_model(options.model)
    with claim_output(options, Kind("a SavedModel")) as output:
        mc = wrap_model(options.model, options, terminal)
        with output.draft() as draft:
            mc.export(draft, num_samples=options.samples, seed=options.seed)
    terminal.say(f"The SavedModel is in {options.output}.")
    terminal.result(
        {"output": str(options.output), "num_samples": options.samples, "seed": options.seed}
    )
