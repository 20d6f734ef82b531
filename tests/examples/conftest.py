"""Notebooks run only when asked for: `pytest -m notebooks tests/examples`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def pytest_configure(config):
    config.addinivalue_line("markers", "notebooks: runs a notebook of examples/; minutes in all")


def pytest_collection_modifyitems(config, items):
    if "notebooks" in config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("notebooks")]
    if slow:
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture
def examples(monkeypatch):
    """Returns the folder of the notebooks, from which their modules can be imported."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield EXAMPLES
    for name in ("data", "run", "style"):
        sys.modules.pop(name, None)
