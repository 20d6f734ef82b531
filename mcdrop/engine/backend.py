"""The backend that Keras runs on, found before Keras is imported."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mcdrop.errors import ModelError


def check_backend() -> None:
    """Raises ModelError unless Keras computes, or will compute, with TensorFlow."""
    backend = _backend()
    if backend != "tensorflow":
        raise ModelError(
            f"Keras runs on the backend {backend!r}, but mcdrop needs TensorFlow. Set "
            "KERAS_BACKEND=tensorflow before Keras is imported; saved models load in it unchanged."
        )


def _backend() -> str:
    """Returns the backend in use, else what Keras would read, in its order."""
    keras = sys.modules.get("keras")
    if keras is not None:
        return str(keras.backend.backend())
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        settings = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))
        return str(settings.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):  # Keras ignores what it cannot read
        return "tensorflow"
