import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

from mcdrop import metrics

# Not getattr(metrics, name): the function `crps` has the name of its module.
MODULES = [
    importlib.import_module(f"mcdrop.metrics.{module.name}")
    for module in pkgutil.iter_modules(metrics.__path__)
    if not module.name.startswith("_")
]


def public_objects(module):
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }


def test_the_list_of_names_is_sorted_and_without_repeats():
    assert metrics.__all__ == sorted(set(metrics.__all__))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_of_a_module_is_exported(module):
    for name, value in public_objects(module).items():
        assert getattr(metrics, name) is value
        assert name in metrics.__all__


def test_nothing_else_is_exported():
    defined = set().union(*(public_objects(module) for module in MODULES))
    assert set(metrics.__all__) == defined


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_function_has_documented_inputs_output_errors_and_example(name):
    value = getattr(metrics, name)
    sections = ["Args:", "Returns:", "Raises:", "Example:"]
    if inspect.isclass(value):
        sections = ["Attributes:"]
    documentation = inspect.getdoc(value)
    for section in sections:
        assert section in documentation


def test_importing_the_metrics_imports_no_heavy_library():
    code = (
        "import sys, mcdrop.metrics; "
        "print([name for name in ('keras', 'tensorflow', 'sklearn', 'pandas', 'matplotlib') "
        "if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
