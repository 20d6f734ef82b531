"""`mcdrop export`: a SavedModel for TensorFlow Serving."""

from __future__ import annotations

from argparse import Namespace

from mcdrop.cli.outputs import check_output, unfinished
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import check_passes, wrap_model

OWNED = ("assets", "fingerprint.pb", "saved_model.pb", "variables")


def run(options: Namespace, terminal: Terminal) -> None:
    """Writes the SavedModel."""
    check_passes(options)
    check_output(options.output, force=options.force, owned=OWNED)
    mc = wrap_model(options.model, options, terminal)
    with unfinished(options.output) as draft:
        mc.export(draft, num_samples=options.samples, seed=options.seed)
    terminal.say(f"The SavedModel is in {options.output}.")
    terminal.result(
        {"output": str(options.output), "num_samples": options.samples, "seed": options.seed}
    )
