"""Loading of saved Keras models, those of Keras 2 included."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcdrop.errors import McdropError, ModelError, ModelWarning
from mcdrop.loading.saved import LOAD_WEIGHTS, SavedModel, check_sums, objects, read_saved_model
from mcdrop.loading.weighing import check_weights

_IN_PYTHON = "or load it yourself in Python and call mcdrop.MCDropout(model)"


def load_model(path: str | Path) -> Any:
    """Returns the Keras model saved at `path`, a `.keras` file or a whole-model `.h5` file.

    Files of Keras 2 (tf.keras, tf_keras) are translated; see `translate_model`. Keras' safe mode
    stays on: Python code inside the file is never run. A model whose compiled loss or optimizer
    cannot be restored is loaded without them, with a ModelWarning.

    Args:
        path: The file that `model.save` wrote.

    Raises:
        ModelError: The file is missing, damaged, of another format, holds weights only, holds
            a Lambda layer with code, was written by Keras 2 and holds a layer that Keras 3 lacks,
            was written by a newer Keras, or needs custom classes that were not imported; or Keras
            runs on another backend than TensorFlow.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     load_model(f"{folder}/model.keras").input_shape
        (None, 4)
    """
    saved = _read(path)
    if saved.is_keras2:
        return _translate(saved)[0]
    check_weights(saved, lambda: _make(saved))
    try:
        return _restore(saved, compiled=True)
    except Exception as error:  # Keras raises many kinds for a file that it cannot restore
        problem = error
    try:
        model = _restore(saved, compiled=False)
    except Exception as error:
        raise _explain(saved, error) from error
    warnings.warn(
        f"{saved.path} was loaded without its compiled loss and optimizer ({_reason(problem)}).",
        ModelWarning,
        stacklevel=2,
    )
    return model


def translate_model(path: str | Path) -> tuple[Any, list[str]]:
    """Returns the model of Keras 3 for a file of Keras 2, and what was understood.

    The model computes what the old one computed: every built-in layer is made with the options
    that the file records, and words whose meaning changed keep the old one. The state of the
    optimizer and the metrics are left out.

    Args:
        path: An `.h5` file of Keras 2 or tf.keras, or a `.keras` file of tf_keras.

    Returns:
        The model, and remarks on what became of what, one a line.

    Raises:
        ModelError: As `load_model`, or the file was written by Keras 3.
    """
    saved = _read(path)
    if not saved.is_keras2:
        raise ModelError(
            f"{path} was written by Keras {saved.version or 3}, which needs no conversion. Pass "
            "it to the other commands as it is."
        )
    return _translate(saved)


def _read(path: str | Path) -> SavedModel:
    """Reads a file before Keras does, and refuses another backend before Keras is imported."""
    from mcdrop.engine.backend import check_backend

    check_backend()
    saved = read_saved_model(path)
    check_sums(saved)
    return saved


def _translate(saved: SavedModel) -> tuple[Any, list[str]]:
    from mcdrop.loading import keras2

    check_weights(saved, lambda: keras2.make_model(saved.config, keras2.Record(saved.version)))
    try:
        model, record = keras2.translate(saved)
    except keras2.NotImportedError as error:
        raise ModelError(
            f"{saved.path} was written by Keras {saved.version or 2} and cannot be translated: "
            f"{error}. Name the module that registers it with Keras 3, as in --import my_layers."
        ) from error
    except Exception as error:  # a configuration may be wrong in many ways
        raise ModelError(
            f"{saved.path} was written by Keras {saved.version or 2} and cannot be translated: "
            f"{_reason(error)}. {LOAD_WEIGHTS.format(saved.path)}"
        ) from error
    for caution in record.cautions:
        warnings.warn(f"{saved.path}: {caution}.", ModelWarning, stacklevel=3)
    return model, record.lines()


def _make(saved: SavedModel) -> Any:
    """Makes the model of a file of Keras 3 without its weights."""
    import keras

    if saved.zipped:
        config = {name: part for name, part in saved.config.items() if name != "compile_config"}
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    kind = keras.Sequential if saved.config.get("class_name") == "Sequential" else keras.Model
    return kind.from_config(saved.config["config"])


def _restore(saved: SavedModel, *, compiled: bool) -> Any:
    """Loads the model in safe mode; what Keras warns of concerns its optimizer alone."""
    import keras

    import mcdrop.layers
    import mcdrop.loading.keras2  # noqa: F401 (so that Keras knows what a file may hold of mcdrop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return keras.saving.load_model(saved.path, safe_mode=True, compile=compiled)


def _explain(saved: SavedModel, error: Exception) -> McdropError:
    """Words the reason why Keras could not restore a model whose file is sound."""
    import keras

    custom = sorted({name for name, is_custom in _names(saved.config) if is_custom})
    if custom:
        return ModelError(
            f"{saved.path} needs custom objects that are not imported: {', '.join(custom)}. Name "
            f"the module that registers them, as in --import my_layers, {_IN_PYTHON}."
        )
    if _numbers(saved.version) > _numbers(keras.__version__):
        return ModelError(
            f"{saved.path} was written by Keras {saved.version}, and Keras {keras.__version__} "
            f"cannot read it ({_reason(error)}). Upgrade Keras: pip install --upgrade mcdrop "
            f'"keras>={saved.version}".'
        )
    return ModelError(
        f"{saved.path} could not be restored by Keras ({_reason(error)}). Save it again with "
        f"Keras {keras.__version__} {_IN_PYTHON}."
    )


def _names(config: Any) -> Iterator[tuple[str, bool]]:
    """Yields the class name of every serialized object, and whether it lies outside Keras."""
    for part in objects(config):
        name = part.get("class_name")
        if name == "function":  # a registered function: its name is its configuration
            function = str(part.get("config"))
            yield function, ">" in function
        elif isinstance(name, str):
            registered = part.get("registered_name")
            yield registered or name, ">" in f"{registered} {name}" or _is_foreign(part)


def _is_foreign(part: dict[str, Any]) -> bool:
    module = part.get("module")
    return isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins")


def _numbers(version: str) -> list[int]:
    """Returns the numbers of a version that count for the format of files."""
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _reason(error: Exception) -> str:
    """Returns the cause in an error's text; Keras puts words before it and configurations after."""
    text = str(error).rsplit("Exception encountered:", 1)[-1].strip() or type(error).__name__
    line = text.split("\n")[0].strip().rstrip(".")
    return line if len(line) <= 300 else f"{line[:300]}..."


def import_module(name: str) -> None:
    """Runs a module, or a .py file, that the user named to register custom objects."""
    try:
        if not name.endswith(".py"):
            sys.path.insert(0, "")
            importlib.import_module(name)
            return
        spec = importlib.util.spec_from_file_location(Path(name).stem, name)
        if spec is None or spec.loader is None:
            raise ImportError("it cannot be read")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:  # the user's code may raise anything
        raise ModelError(
            f"--import {name} failed: {error}. Pass the name of a module or the path of a .py file."
        ) from error
