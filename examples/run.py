"""Runs notebooks from top to bottom and keeps their outputs.

    python examples/run.py                 # all of them
    python examples/run.py examples/01*    # some

A notebook that fails, or that writes a warning, is left as it was.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
TIMEOUT = 600
"""Seconds that one cell may take."""

_NOTES = re.compile(r"(WARNING: All log messages before absl|I0000 ).*")
"""What TensorFlow writes about the machine before its log level is read."""


def execute(path: Path, environment: Mapping[str, str]) -> Any:
    """Returns the notebook at `path` with the outputs of a run in `environment`.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"})
    _tidy(notebook)
    return notebook


def warnings_of(notebook: Any) -> str:
    """Returns what the cells wrote to the error stream."""
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stderr"
    )


def _tidy(notebook: Any) -> None:
    """Leaves what every run has in common, so that machines and times do not show."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_without_notes, cell.outputs) if output]


def _without_notes(output: Any) -> Any:
    """Returns an output without TensorFlow's notes about the machine, None if that was all."""
    if output.output_type != "stream" or output.name != "stderr":
        return output
    kept = [line for line in output.text.splitlines(keepends=True) if not _NOTES.match(line)]
    output.text = "".join(kept)
    return output if output.text.strip() else None


def main(arguments: Sequence[str]) -> int:
    """Runs the notebooks named, or all, and returns the exit status."""
    environment = dict(os.environ)
    if environment.get("MCDROP_DATA"):
        environment["MCDROP_DATA"] = str(Path(environment["MCDROP_DATA"]).resolve())
    paths = [Path(argument) for argument in arguments] or sorted(HERE.glob("*.ipynb"))
    for path in paths:
        notebook = execute(path.resolve(), environment)
        warnings = warnings_of(notebook)
        if warnings:
            print(f"{path.name} wrote warnings and is left as it was:\n{warnings}", file=sys.stderr)
            return 1
        nbformat.write(notebook, path)
        print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
