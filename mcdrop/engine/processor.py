"""What the machine computes fast."""

from __future__ import annotations

import warnings
from pathlib import Path

import tensorflow as tf

from mcdrop.errors import ModelWarning

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Words of Linux for instructions on bfloat16, of x86 (two) and of ARM."""

_EMULATED = (
    "This processor has no instructions for bfloat16, which would be slower than float32; the "
    "passes are computed in the data type of the model. Leave `compute_dtype` out."
)


def has_bfloat16(flags: Path = Path("/proc/cpuinfo")) -> bool:
    """Returns whether bfloat16 is computed by instructions of its own here.

    Without them it is emulated, and 3 to 4.5 times slower than float32. A machine that does not
    tell counts as one without.
    """
    if tf.config.list_physical_devices("GPU"):
        return True
    try:
        return not _FLAGS.isdisjoint(flags.read_text(encoding="utf-8").split())
    except OSError:
        return False


def choose_dtype(asked: str | None) -> str | None:
    """Returns the data type of the passes: None, that of the model, where bfloat16 is slower."""
    if asked != "bfloat16" or has_bfloat16():
        return asked
    warnings.warn(_EMULATED, ModelWarning, stacklevel=3)
    return None


def dtype_notes(asked: str | None, chosen: str | None) -> tuple[str, ...]:
    """Returns what the audit says of the data type of the passes."""
    if asked is None:
        return ()
    return ("The passes are computed in bfloat16, statistics in float32." if chosen else _EMULATED,)
