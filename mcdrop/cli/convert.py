"""`mcdrop convert`: a model file of Keras 2 as one of Keras 3."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mcdrop.cli.terminal import Terminal, import_keras
from mcdrop.cli.work import claim_output
from mcdrop.errors import DataError
from mcdrop.files import Kind
from mcdrop.files.archives import ZIP_MAGIC
from mcdrop.loading.models import import_module, translate_model
from mcdrop.loading.saved import read_saved_model


def run(options: Namespace, terminal: Terminal) -> None:
    """Writes the translated model and says what was understood."""
    if options.output.suffix != ".keras":
        raise DataError(f"NEW is {options.output}, expected a name that ends in .keras.")
    read_saved_model(options.model)
    with claim_output(options, Kind("a .keras model", _is_model)) as output:
        import_keras(verbose=terminal.verbose)
        for name in options.imports:
            import_module(name)
        model, remarks = translate_model(options.model)
        with output.draft() as draft:
            # Keras goes by the suffix, which a draft has not.
            named = draft.with_name(f"{draft.name}.keras")
            model.save(named)
            named.rename(draft)
    for remark in remarks:
        terminal.say(f"{remark[0].upper()}{remark[1:]}.")
    layers = len(model.layers)
    terminal.say(f"{options.output} holds the model: {layers} layers, as in {options.model}.")
    terminal.result(
        {"model": str(options.model), "output": str(options.output), "remarks": remarks}
    )


def _is_model(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".keras" and file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
