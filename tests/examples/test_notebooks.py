from __future__ import annotations

import json
import os
import re

import pytest

from .conftest import EXAMPLES

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
MACHINE_DETAILS = re.compile(
    r"/(work|home|root|tmp|usr|opt|var|Users)/|[A-Z]:\\|\b\d+\.\d+\.\d+\.\d+\b"
)
"""Absolute paths and network addresses."""

MAX_BYTES = 1_000_000


def code_cells(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text_of(output):
    """Returns the text of an output, of all kinds but the image."""
    parts = [output.get("text", "")]
    parts += [value for kind, value in output.get("data", {}).items() if kind != "image/png"]
    return "".join("".join(part) for part in parts)


def test_there_are_seven_notebooks():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_outputs_come_from_one_run_from_top_to_bottom(path):
    cells = code_cells(path)
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {output["output_type"] for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_outputs_tell_nothing_of_the_machine(path):
    told = [text_of(output) for cell in code_cells(path) for output in cell["outputs"]]
    assert [text for text in told if MACHINE_DETAILS.search(text)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_notebooks_are_small_with_plain_metadata_and_names_for_cells(path):
    assert path.stat().st_size < MAX_BYTES
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_links_between_notebooks_lead_somewhere(path):
    linked = re.findall(r"\]\((\w+\.ipynb)\)", path.read_text(encoding="utf-8"))
    assert [name for name in linked if not (EXAMPLES / name).is_file()] == []


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebook_runs_from_top_to_bottom_without_a_warning(path, examples):
    pytest.importorskip("nbclient")
    import run

    environment = {name: value for name, value in os.environ.items() if name != "MCDROP_DATA"}
    notebook = run.execute(path, environment | {"MCDROP_QUICK": "1"})
    assert run.warnings_of(notebook) == ""
