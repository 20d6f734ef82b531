"""Shadows: layers that share every weight with the original but compute in another data type."""

from __future__ import annotations

from typing import Any

import keras

_CONVERTIBLE = (
    "Activation",
    "Add",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "EinsumDense",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Multiply",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
)


def in_data_type(operation: Any, dtype: str | None) -> Any:
    """Returns a copy of a simple float32 layer that computes in `dtype`, or the layer itself.

    The copy shares the variables; the original is not touched. Layers that hold other layers,
    softmax activations and layers with a policy of their own stay as they are.
    """
    if dtype is None or not can_convert(operation):
        return operation
    copy = object.__new__(type(operation))
    copy.__dict__.update(operation.__dict__)
    copy.__dict__["_dtype_policy"] = keras.DTypePolicy(f"mixed_{dtype}")
    return copy


def can_convert(operation: Any) -> bool:
    """Whether `in_data_type` makes a copy of this operation."""
    return (
        isinstance(operation, keras.layers.Layer)
        and any(type(operation) is getattr(keras.layers, name) for name in _CONVERTIBLE)
        and operation.dtype_policy.name == "float32"
        and getattr(operation, "activation", None) is not keras.activations.softmax
    )
