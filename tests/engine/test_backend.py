"""Another backend of Keras is refused in mcdrop's own words, before Keras is imported."""

import json
import os
import subprocess
import sys

import pytest

CATCH = """
import mcdrop
try:
    mcdrop.MCDropout
except mcdrop.McdropError as error:
    print(type(error).__name__, error)
"""
KERAS_ON_JAX = """
import sys, types
sys.modules["keras"] = types.ModuleType("keras")
sys.modules["keras"].backend = types.SimpleNamespace(backend=lambda: "jax")
"""


def _said(code, **settings):
    environment = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_layers_refuse_it_too():
    said = _said(CATCH.replace("mcdrop.MCDropout", "mcdrop.layers"), KERAS_BACKEND="jax")
    assert said.startswith("ModelError Keras runs on the backend 'jax'")


@pytest.mark.parametrize(
    "use",
    ["mcdrop.study.run", "__import__('mcdrop.loading').loading.load_model('no.keras')"],
    ids=["study", "loading"],
)
def test_studies_and_loading_refuse_it_too(use):
    said = _said(CATCH.replace("mcdrop.MCDropout", use), KERAS_BACKEND="numpy")
    assert said.startswith("ModelError Keras runs on the backend 'numpy'")


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_the_environment_is_read(backend):
    said = _said(CATCH, KERAS_BACKEND=backend)
    assert said.startswith(f"ModelError Keras runs on the backend '{backend}'")
    assert "KERAS_BACKEND=tensorflow" in said


def test_the_settings_of_keras_are_read_unless_the_environment_says_otherwise(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    assert "'torch'" in _said(CATCH, KERAS_HOME=str(tmp_path))
    assert _said(CATCH, KERAS_HOME=str(tmp_path), KERAS_BACKEND="tensorflow") == ""


def test_keras_that_is_imported_already_is_asked():
    assert "'jax'" in _said(KERAS_ON_JAX + CATCH, KERAS_BACKEND="tensorflow")
