"""The layers of the code: who may import whom, and what stays light."""

import ast
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import mcdrop

ROOT = Path(mcdrop.__file__).parent

# Layer: (its modules, the layers it may import besides itself).
LAYERS = {
    "base": (
        (
            *("errors", "_checks", "_prediction_checks", "_mixture", "_notebook"),
            *("pass_statistics", "splitting", "stopping", "files", "files.*"),
        ),
        (),
    ),
    "weighted": (("weighted", "weighted.*"), ("base",)),
    "intervals": (("intervals", "intervals.*"), ()),
    "metrics": (("metrics", "metrics.*", "acquisition"), ("base", "weighted")),
    "prediction": (
        ("prediction", "targets", "accumulation", "_distributions", "_frames"),
        ("base",),
    ),
    "evaluation": (
        ("evaluation", "evaluation.*", "recalibrate", "recalibrate.*"),
        ("base", "weighted", "intervals", "metrics", "prediction"),
    ),
    "diagnostics": (
        ("diagnostics", "diagnostics.*"),
        ("base", "weighted", "intervals", "metrics", "prediction", "evaluation"),
    ),
    "plot": (
        ("plot", "plot.*"),
        ("base", "metrics", "prediction", "evaluation", "diagnostics"),
    ),
    "report": (
        ("report", "report.*"),
        ("base", "metrics", "prediction", "evaluation", "diagnostics", "plot"),
    ),
    "engine": (("engine", "engine.*"), ("base", "prediction")),
    "predictor": (("predictor", "estimator"), ("base", "prediction", "engine")),
    "training": (("layers", "layers.*"), ("base", "engine")),
    "loading": (("loading", "loading.*"), ("base", "engine", "training")),
    "study": (
        ("study", "study.*"),
        (
            *("base", "intervals", "metrics", "prediction", "evaluation"),
            *("engine", "predictor", "training", "loading"),
        ),
    ),
    "distributed": (
        ("distributed", "distributed.*"),
        ("base", "prediction", "evaluation", "engine", "predictor", "loading"),
    ),
    "demo": (("demo",), ("loading",)),
    "cli": (
        ("cli", "cli.*", "__main__"),
        (
            *("base", "metrics", "prediction", "evaluation", "report"),
            *("engine", "predictor", "loading", "distributed", "study", "demo"),
        ),
    ),
}
LAYERS_WITH_KERAS = ("engine", "predictor", "training", "loading", "distributed", "study", "demo")
FIGURES = ("plot.*", "report.figures", "report.drawing", "study.figures")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module):
    found = [
        layer
        for layer, (patterns, _) in LAYERS.items()
        if any(fnmatch(module, pattern) for pattern in patterns)
    ]
    assert len(found) == 1, f"give mcdrop.{module} a layer in tests/test_layers.py"
    return found[0]


def imports(node, *, nested, types=False):
    """Yields the absolute names that a syntax tree imports, with those of types if asked for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING" and not types:
            continue
        elif nested or not isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from imports(child, nested=nested, types=types)


MODULES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")
}
del MODULES[""]  # mcdrop/__init__.py only names the homes of the public names


def own_imports(module, *, nested):
    """Returns the modules of mcdrop that a module imports, for its types too."""
    found = set()
    for name in imports(MODULES[module], nested=nested, types=True):
        parts = name.split(".")
        if parts[0] == "mcdrop":
            candidates = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            found |= {next((c for c in candidates if c in MODULES), "")} - {"", module}
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_downward_only(module):
    layer = layer_of(module)
    allowed = {layer, *LAYERS[layer][1]}
    upward = {name for name in own_imports(module, nested=True) if layer_of(name) not in allowed}
    assert not upward


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_private_module_or_name_is_imported_from_another_room(module):
    room = module.split(".")[0]
    foreign = set()
    for name in imports(MODULES[module], nested=True, types=True):
        head, _, rest = name.removeprefix("mcdrop.").partition(".")
        if name.startswith("mcdrop.") and any(part.startswith("_") for part in rest.split(".")):
            foreign |= {name} if head != room else set()
    assert not foreign


BUILDERS = ("intervals", "weighted", "evaluation.sources", "evaluation.scoring")
"""Where intervals, resamples and forecasts are made."""


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.split(".")[0] == "report"))
def test_a_report_makes_no_interval_no_resample_and_no_forecast(module):
    used = own_imports(module, nested=True)
    assert not {name for name in used if name.startswith(BUILDERS)}


def test_no_modules_import_each_other_in_a_loop():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path, module])
        if module in done:
            return
        path.append(module)
        for name in sorted(own_imports(module, nested=False)):
            visit(name)
        done.add(path.pop())

    for module in sorted(MODULES):
        visit(module)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_packages_stay_in_their_layers(module):
    used = {name.split(".")[0] for name in imports(MODULES[module], nested=True)}
    layer = layer_of(module)
    if layer not in LAYERS_WITH_KERAS:
        assert used.isdisjoint({"keras", "tensorflow", "tf_keras"})
    if not any(fnmatch(module, pattern) for pattern in FIGURES):
        assert used.isdisjoint({"matplotlib", "seaborn"})
    if layer in {"weighted", "intervals", "metrics"}:
        others = used - set(sys.stdlib_module_names)
        assert others <= {"mcdrop", "numpy", "scipy", "sklearn"}


HEAVY = "{'tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib', 'pyarrow', 'PIL', 'rich'}"


@pytest.mark.parametrize(
    ("statement", "also"),
    [
        ("import mcdrop", "{'numpy', 'scipy'}"),
        ("from mcdrop import cli; cli.main(['--help'])", "{'numpy', 'scipy'}"),
        ("import mcdrop.metrics", "set()"),
        ("from mcdrop import Prediction", "set()"),
    ],
)
def test_light_imports_stay_light(statement, also):
    script = (
        "import atexit, sys\n"
        f"heavy = {HEAVY} | {also}\n"
        "atexit.register(lambda: sys.stderr.write(' '.join(sorted(heavy & set(sys.modules)))))\n"
        f"{statement}\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_every_public_name_is_there():
    assert sorted(set(mcdrop.__all__)) == sorted(mcdrop.__all__)
    for name in mcdrop.__all__:
        assert getattr(mcdrop, name).__doc__
