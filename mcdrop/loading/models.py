"""Loading of saved Keras models, with every way a file can be wrong told apart."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcdrop.errors import McdropError, ModelError, ModelWarning
from mcdrop.files.archives import (
    DAMAGES,
    ZIP_MAGIC,
    damage_told,
    describe,
    list_members,
    read_member,
    read_start,
)

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_LARGEST_CONFIG = 2**25
"""Bytes of a configuration; those of the largest published models have a few million."""

_HDF5_SUFFIXES = (".h5", ".hdf5")
_SAVE_AGAIN = 'Save the whole model with model.save("model.keras") and pass that file.'
_IN_PYTHON = "or load it yourself in Python and call mcdrop.MCDropout(model)"


def load_model(path: str | Path) -> Any:
    """Returns the Keras model saved at `path`, a `.keras` file or a whole-model `.h5` file.

    Keras' safe mode stays on: Python code inside the file is never run. A model whose
    compiled loss or optimizer cannot be restored is loaded without them, with a ModelWarning.

    Args:
        path: The file that `model.save` wrote.

    Raises:
        ModelError: The file is missing, damaged, of another format, holds weights only, was
            written by Keras 2, holds a Lambda layer with code, or needs custom classes that
            were not imported.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     load_model(f"{folder}/model.keras").input_shape
        (None, 4)
    """
    file = Path(path)
    config = check_model_file(file)
    try:
        return _restore(file, compiled=True)
    except Exception as error:  # Keras raises many kinds for a file that it cannot restore
        problem = error
    try:
        model = _restore(file, compiled=False)
    except Exception as error:
        raise _explain(file, config, error) from error
    warnings.warn(
        f"{file} was loaded without its compiled loss and optimizer ({_first_line(problem)}).",
        ModelWarning,
        stacklevel=2,
    )
    return model


def _restore(file: Path, *, compiled: bool) -> Any:
    """Loads the model in safe mode; what Keras warns of concerns its optimizer alone."""
    import keras

    import mcdrop.layers  # noqa: F401 (so that Keras knows the classes of a file that holds them)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return keras.saving.load_model(file, safe_mode=True, compile=compiled)


def check_model_file(path: str | Path) -> Any:
    """Returns the configuration in a model file, after every check that needs no Keras.

    Raises:
        ModelError: As `load_model`, for what can be told from the file alone.
    """
    file = Path(path)
    if not file.exists():
        raise ModelError(f"{file} does not exist. Pass the .keras file that model.save wrote.")
    if file.is_dir():
        raise _directory_error(file)
    start = read_start(file, ModelError)
    if start.startswith(ZIP_MAGIC):
        return _read_keras_config(file)
    if start == _HDF5_MAGIC:
        return _read_hdf5_config(file)
    raise ModelError(f"{file} is not a Keras model file. {_SAVE_AGAIN}")


def _directory_error(file: Path) -> ModelError:
    if (file / "saved_model.pb").exists():
        return ModelError(
            f"{file} is a TensorFlow SavedModel, whose frozen graph no longer holds dropout. "
            f"{_SAVE_AGAIN}"
        )
    return ModelError(f"{file} is a folder, expected a .keras file. {_SAVE_AGAIN}")


def _read_keras_config(file: Path) -> Any:
    members = list_members(file, ModelError)
    if not {"config.json", "metadata.json"} <= set(members):
        raise ModelError(f"{file} is a zip file, but not a Keras model. {_SAVE_AGAIN}")
    if file.suffix != ".keras":
        raise ModelError(f"{file} is in the .keras format under another name; rename it to .keras.")
    with damage_told(str(file), ModelError, _SAVE_AGAIN):
        metadata = json.loads(read_member(file, members["metadata.json"], _LARGEST_CONFIG))
        config = json.loads(read_member(file, members["config.json"], _LARGEST_CONFIG))
    version = str(metadata.get("keras_version")) if isinstance(metadata, dict) else ""
    if version.startswith("2."):
        raise ModelError(
            f"{file} was written by Keras {version} (tf_keras), and Keras 3 cannot read its .keras "
            'files. Save it again there with model.save("model.h5"), which Keras 3 can read.'
        )
    return config


def _read_hdf5_config(file: Path) -> Any:
    import h5py

    if file.suffix not in _HDF5_SUFFIXES:
        raise ModelError(f"{file} is in the HDF5 format under another name; rename it to .h5.")
    with damage_told(str(file), ModelError, _SAVE_AGAIN), h5py.File(file, "r") as archive:
        text = archive.attrs.get("model_config")
    if text is None:
        raise ModelError(f"{file} holds weights only, without the layers. {_SAVE_AGAIN}")
    try:
        return json.loads(text)
    except (*DAMAGES, TypeError) as problem:
        raise ModelError(f"{file} is damaged ({describe(problem)}). {_SAVE_AGAIN}") from None


def _explain(file: Path, config: Any, error: Exception) -> McdropError:
    """Words the reason why Keras could not restore a model whose file is sound."""
    if "safe_mode" in str(error) or "__lambda__" in {name for name, _ in _objects(config)}:
        return ModelError(
            f"{file} holds Python code (a Lambda layer), which is never run from a file. Replace "
            f"it by a registered layer or keras.ops and save the model again, {_IN_PYTHON}."
        )
    custom = sorted({name for name, is_custom in _objects(config) if is_custom})
    if custom:
        return ModelError(
            f"{file} needs custom objects that are not imported: {', '.join(custom)}. Name the "
            f"module that registers them, as in --import my_layers, {_IN_PYTHON}."
        )
    return ModelError(
        f"{file} could not be restored by Keras ({_first_line(error)}). Save it again with Keras 3 "
        f"{_IN_PYTHON}."
    )


def _objects(config: Any) -> Iterator[tuple[str, bool]]:
    """Yields the class name of every serialized object, and whether it lies outside Keras."""
    if isinstance(config, list):
        for part in config:
            yield from _objects(part)
    if not isinstance(config, dict):
        return
    name = config.get("class_name")
    if name == "function":  # a registered function: its name stands in place of a configuration
        function = str(config.get("config"))
        yield function, ">" in function
    elif isinstance(name, str):
        registered = config.get("registered_name")
        yield registered or name, ">" in f"{registered} {name}" or _is_foreign(config)
    for part in config.values():
        yield from _objects(part)


def _is_foreign(config: dict[str, Any]) -> bool:
    module = config.get("module")
    return isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins")


def _first_line(error: Exception) -> str:
    """Returns the beginning of an error's text: Keras appends whole configurations to it."""
    text = str(error).strip().split("\n")[0]
    return text if len(text) <= 200 else f"{text[:200]}..."
