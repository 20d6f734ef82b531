"""What a Keras model takes: the shape and kind of each input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcdrop.loading.options import ImageOptions

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        shape: Shape of an example; None is any size.
        is_text: Whether it takes strings.
    """

    shape: Shape
    is_text: bool = False

    @property
    def is_image(self) -> bool:
        """Whether examples have the axes of an image, (height, width) or with channels last."""
        return len(self.shape) == 2 or (len(self.shape) == 3 and self.shape[-1] in (1, 3, 4))


def takes_dict(model: Any) -> bool:
    """Returns whether a model takes its inputs as a dict by name."""
    return isinstance(getattr(model, "_inputs_struct", None), dict)


def input_specs(model: Any) -> dict[str, InputSpec] | None:
    """Returns each input of a Keras model by its name, the key for a model that takes a dict.

    None when the model does not state its inputs, as a subclassed model may not.
    """
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return None
    named = model._inputs_struct if takes_dict(model) else {t.name: t for t in tensors}
    return {
        name: InputSpec(tuple(tensor.shape[1:]), getattr(tensor, "dtype", "") == "string")
        for name, tensor in named.items()
    }


def fill_images(
    given: ImageOptions | None,
    expected: Mapping[str, InputSpec] | None,
    *,
    size: tuple[int, int] | None = None,
) -> ImageOptions:
    """Returns how to decode images for a model: as given, else as its only image input takes them.

    Args:
        given: What the user said.
        expected: The inputs of the model.
        size: Height and width, when only these were said.
    """
    if given is not None:
        return given
    specs = [spec for spec in (expected or {}).values() if spec.is_image]
    if len(specs) != 1:
        return ImageOptions(size=size)
    height, width, *channels = specs[0].shape
    fixed = (height, width) if height is not None and width is not None else None
    return ImageOptions((channels or [1])[0] or 3, size or fixed)
