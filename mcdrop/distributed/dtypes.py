"""The data type of the passes, which has to be one on all machines that share a work."""

from __future__ import annotations

from mcdrop.errors import DataError


def dtype_here(asked: str | None) -> str | None:
    """Returns the data type in which this machine computes the passes, None for the model's own."""
    from mcdrop.engine.processor import has_bfloat16

    return asked if asked is None or has_bfloat16() else None


def check_dtype(asked: str | None) -> None:
    """Raises DataError where this machine would compute the passes in another data type."""
    if dtype_here(asked) != asked:
        raise DataError(
            f"This machine has no instructions for {asked}, in which others compute these "
            "predictions; its numbers would differ. Leave `compute_dtype` (--compute-dtype) out, "
            "or keep to machines that have them."
        )
