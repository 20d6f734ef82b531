"""What a model file holds, read without Keras, with every way it can be wrong told apart."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrop.errors import ModelError
from mcdrop.files.archives import (
    ZIP_MAGIC,
    damage_told,
    list_members,
    read_member,
    read_start,
)
from mcdrop.files.paths import as_path

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5")
_LARGEST_CONFIG = 2**25
"""Bytes of a configuration; those of the largest published models have a few million."""

SAVE_WHOLE = 'Save the whole model with model.save("model.keras") and pass that file.'
LOAD_WEIGHTS = (
    'Build the same model with Keras 3 in Python, give it the weights by model.load_weights("{}"), '
    'and save it with model.save("model.keras").'
)
"""The way out for a model that cannot be made anew from its file."""


@dataclass(frozen=True, eq=False)
class SavedModel:
    """What a model file holds beside its weights.

    Attributes:
        path: The file.
        version: The version of Keras that wrote it, empty when it does not say.
        config: The configuration of the model.
        training: What it was compiled with, in the formats that keep it apart.
        zipped: Whether it is a zip archive (`.keras`), and not HDF5 (`.h5`).
        num_bytes: Size of all it holds, unpacked.
    """

    path: Path
    version: str
    config: dict[str, Any]
    training: Any
    zipped: bool
    num_bytes: int

    @property
    def is_keras2(self) -> bool:
        """Whether Keras 2 wrote the file; its first versions did not say so."""
        if self.version:
            return self.version.split(".")[0] == "2"
        return not any("module" in part for part in objects(self.config))


def read_saved_model(path: str | Path) -> SavedModel:
    """Returns what a model file holds, after every check that needs no Keras.

    Raises:
        ModelError: The file is missing, damaged, of another format, holds weights only, was
            written by Keras 1, or holds Python code.
    """
    file = as_path("path", path)
    if not file.exists():
        raise ModelError(f"{file} does not exist. Pass the .keras file that model.save wrote.")
    if file.is_dir():
        raise _directory_error(file)
    start = read_start(file, ModelError)
    if start.startswith(ZIP_MAGIC):
        saved = _read_zip(file)
    elif start == _HDF5_MAGIC:
        saved = _read_hdf5(file)
    else:
        raise ModelError(f"{file} is not a Keras model file. {SAVE_WHOLE}")
    _check(saved)
    return saved


def check_sums(saved: SavedModel) -> None:
    """Raises ModelError when a member of a zip archive was damaged.

    Keras reads the weights through a handle that seeks, and from Python 3.13 on zipfile does not
    compare the sums of what is read in that way.
    """
    if not saved.zipped:
        return
    with (
        damage_told(str(saved.path), ModelError, "Save or copy it again."),
        zipfile.ZipFile(saved.path) as archive,
    ):
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the sum of its member {damaged} is wrong")


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yields every mapping in a configuration, at any depth."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _directory_error(file: Path) -> ModelError:
    if (file / "keras_metadata.pb").exists():
        return ModelError(
            f"{file} is a SavedModel of Keras 2, whose graph no longer holds dropout. If you trust "
            f'it, run tf_keras.models.load_model("{file}").save("model.h5") in Python and pass '
            "that file."
        )
    if (file / "saved_model.pb").exists():
        return ModelError(
            f"{file} is a TensorFlow SavedModel, whose frozen graph no longer holds dropout. "
            f"{SAVE_WHOLE}"
        )
    return ModelError(f"{file} is a folder, expected a .keras file. {SAVE_WHOLE}")


def _read_zip(file: Path) -> SavedModel:
    members = list_members(file, ModelError)
    if not {"config.json", "metadata.json"} <= set(members):
        raise ModelError(f"{file} is a zip file, but not a Keras model. {SAVE_WHOLE}")
    with damage_told(str(file), ModelError, SAVE_WHOLE):
        metadata = json.loads(read_member(file, members["metadata.json"], _LARGEST_CONFIG))
        config = _mapping(read_member(file, members["config.json"], _LARGEST_CONFIG))
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    training = config.get("compile_config")
    num_bytes = sum(info.file_size for info in members.values())
    return SavedModel(file, str(version or ""), config, training, True, num_bytes)


def _read_hdf5(file: Path) -> SavedModel:
    import h5py

    with damage_told(str(file), ModelError, SAVE_WHOLE), h5py.File(file, "r") as archive:
        texts = [archive.attrs.get(key) for key in ("model_config", "training_config")]
        version = archive.attrs.get("keras_version", "")
    if texts[0] is None:
        raise ModelError(
            f"{file} holds weights only, without the layers. {LOAD_WEIGHTS.format(file)}"
        )
    with damage_told(str(file), ModelError, SAVE_WHOLE):
        version = version.decode() if isinstance(version, bytes) else str(version)
        training = None if texts[1] is None else _mapping(texts[1])
        num_bytes = file.stat().st_size
        return SavedModel(file, version, _mapping(texts[0]), training, False, num_bytes)


def _mapping(text: Any) -> dict[str, Any]:
    if not isinstance(text, (bytes, str)) or len(text) > _LARGEST_CONFIG:
        raise ValueError("its configuration is no text of a reasonable size")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("its configuration is no mapping")
    return found


def _check(saved: SavedModel) -> None:
    """Raises ModelError for what no version of Keras 3 may or can load."""
    file = saved.path
    if saved.version.startswith("1."):
        raise ModelError(
            f"{file} was written by Keras {saved.version}, whose layers Keras 3 does not know. "
            f"{LOAD_WEIGHTS.format(file)}"
        )
    if any(_is_code(part, saved.zipped) for part in objects([saved.config, saved.training])):
        raise ModelError(
            f"{file} holds Python code (a Lambda layer), which is never run from a file. "
            + (
                "Replace it by keras.ops. " + LOAD_WEIGHTS.format(file)
                if saved.is_keras2
                else "Replace it by a registered layer or keras.ops and save the model again, or "
                "load it yourself in Python and call mcdrop.MCDropout(model)."
            )
        )
    suffixes = (".keras",) if saved.zipped else _HDF5_SUFFIXES
    if not saved.is_keras2 and file.suffix not in suffixes:
        kind = ".keras" if saved.zipped else "HDF5"
        raise ModelError(
            f"{file} is in the {kind} format under another name; rename it to {suffixes[0]}."
        )


def _is_code(part: dict[str, Any], zipped: bool) -> bool:
    """Whether a mapping is a function given by its code.

    In a `.keras` file a Lambda layer may also name a registered function, which Keras looks up.
    """
    if part.get("class_name") == "__lambda__":
        return True
    if part.get("class_name") != "Lambda":
        return False
    config = part.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    return not (zipped and isinstance(function, dict) and function.get("class_name") == "function")
