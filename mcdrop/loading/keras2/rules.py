"""How the options of each built-in layer changed from Keras 2 to Keras 3.

A layer that is not listed kept its name and its options. Options of either version that are
listed nowhere are refused by `layers`, so that none is ever dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """How one layer is made.

    Attributes:
        target: Its name in `keras.layers`.
        renamed: New names of options.
        without_effect: Options that Keras 3 lacks, with the values at which leaving them out
            changes nothing that the model computes; None stands for any value.
        unrecorded: What an option was in the versions that did not write it.
        lists: Options that are one number in Keras 3 and may be a list of one number here.
        also: Options that Keras 3 takes without naming them in its signature.
        call: Options that Keras 3 takes when the layer is called, by the name there.
        remark: What the owner may want to know.
    """

    target: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    without_effect: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    unrecorded: Mapping[str, Any] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    call: Mapping[str, str] = field(default_factory=dict)
    remark: str | None = None


EVERY_LAYER: dict[str, tuple[Any, ...] | None] = {
    "batch_input_shape": None,  # taken up by the model around it
    "dynamic": (False, None),
    "experimental_autocast": (True, False, None),
    "force_generator": None,
    "input_dtype": None,
    "input_spec": (None,),
    "ragged": (False, None),
    "rng_type": None,
    "trainable": None,  # layers that do not take it have no weights
}
"""Options without effect that any layer may have."""

_RECURRENT: dict[str, tuple[Any, ...] | None] = {
    "input_dim": None,
    "input_length": None,
    "num_constants": (0, None),
    "time_major": (False, None),
}
_CONVOLUTION: dict[str, tuple[Any, ...] | None] = {"groups": (1, None), "conv_op": (None,)}
_DEPTHWISE: dict[str, tuple[Any, ...] | None] = {
    "conv_op": (None,),
    "filters": None,  # follows from the input and the depth multiplier
    "groups": None,
    "kernel_constraint": None,
    "kernel_initializer": None,
    "kernel_regularizer": None,
}
_SEPARABLE = _DEPTHWISE | {"filters": (), "groups": (1, None)}
_NORMALIZATION: dict[str, tuple[Any, ...] | None] = {
    "adjustment": (None,),
    "fused": None,
    "mode": (0,),
    "renorm": (False,),
    "renorm_clipping": None,
    "renorm_momentum": None,
    "virtual_batch_size": (None,),
}
_SEARCH: dict[str, tuple[Any, ...] | None] = {"has_input_vocabulary": None, "vocabulary_size": None}


def _recurrent(target: str, **unrecorded: Any) -> Rule:
    return Rule(target, without_effect=_RECURRENT, unrecorded=unrecorded, also=("implementation",))


def _batch_normalization(**unrecorded: Any) -> Rule:
    return Rule(
        "BatchNormalization", without_effect=_NORMALIZATION, lists=("axis",), unrecorded=unrecorded
    )


RULES: dict[str, Rule] = {
    "Attention": Rule("Attention", call={"causal": "use_causal_mask"}),
    "AdditiveAttention": Rule("AdditiveAttention", call={"causal": "use_causal_mask"}),
    "BatchNormalization": _batch_normalization(),
    "BatchNormalizationV1": _batch_normalization(),
    "BatchNormalizationV2": _batch_normalization(),
    "SyncBatchNormalization": _batch_normalization(synchronized=True),
    "CategoryEncoding": Rule("CategoryEncoding", renamed={"max_tokens": "num_tokens"}),
    "Conv1DTranspose": Rule("Conv1DTranspose", without_effect=_CONVOLUTION),
    "Conv2DTranspose": Rule("Conv2DTranspose", without_effect=_CONVOLUTION),
    "Conv3DTranspose": Rule("Conv3DTranspose", without_effect=_CONVOLUTION),
    "ConvLSTM1D": _recurrent("ConvLSTM1D"),
    "ConvLSTM2D": _recurrent("ConvLSTM2D"),
    "ConvLSTM3D": _recurrent("ConvLSTM3D"),
    "CuDNNGRU": Rule(
        "GRU",
        without_effect=_RECURRENT,
        unrecorded={"reset_after": True},
        remark="CuDNNGRU became GRU, which computes the same",
    ),
    "CuDNNLSTM": Rule(
        "LSTM",
        without_effect=_RECURRENT,
        remark="CuDNNLSTM became LSTM, which computes the same",
    ),
    "DepthwiseConv1D": Rule("DepthwiseConv1D", without_effect=_DEPTHWISE),
    "DepthwiseConv2D": Rule("DepthwiseConv2D", without_effect=_DEPTHWISE),
    "Embedding": Rule("Embedding", without_effect={"input_length": None, "sparse": (False,)}),
    "GRU": _recurrent("GRU", reset_after=False),
    "GRUCell": Rule("GRUCell", unrecorded={"reset_after": False}, also=("implementation",)),
    "GRUV2": _recurrent("GRU", reset_after=False),
    "LSTM": _recurrent("LSTM"),
    "LSTMCell": Rule("LSTMCell", also=("implementation",)),
    "LSTMV2": _recurrent("LSTM"),
    "LeakyReLU": Rule("LeakyReLU", renamed={"alpha": "negative_slope"}),
    "MultiHeadAttention": Rule(
        "MultiHeadAttention",
        without_effect={
            "key_shape": None,
            "query_shape": None,
            "softmax_robust_masking": None,
            "value_shape": None,
        },
    ),
    "RNN": _recurrent("RNN"),
    "RandomCrop": Rule(
        "Resizing",
        without_effect={"seed": None},
        unrecorded={"crop_to_aspect_ratio": True},
        remark="RandomCrop became Resizing with a central crop, which is what it does in use",
    ),
    "SeparableConv1D": Rule("SeparableConv1D", without_effect=_SEPARABLE),
    "SeparableConv2D": Rule("SeparableConv2D", without_effect=_SEPARABLE),
    "SimpleRNN": _recurrent("SimpleRNN"),
    "Softmax": Rule("Softmax", without_effect={"robust_masking": None}),
    "SpatialDropout1D": Rule("SpatialDropout1D", without_effect={"noise_shape": (None,)}),
    "SpatialDropout2D": Rule("SpatialDropout2D", without_effect={"noise_shape": (None,)}),
    "SpatialDropout3D": Rule("SpatialDropout3D", without_effect={"noise_shape": (None,)}),
    "IntegerLookup": Rule("IntegerLookup", without_effect=_SEARCH),
    "StringLookup": Rule("StringLookup", without_effect=_SEARCH),
    "TextVectorization": Rule("TextVectorization", without_effect=_SEARCH),
    "ThresholdedReLU": Rule(
        "ReLU",
        renamed={"theta": "threshold"},
        remark="ThresholdedReLU became ReLU with a threshold, which computes the same",
    ),
}

ALIASES = {
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
}
"""Second names under which Keras 2 exported a class."""

MISSING = {
    "AbstractRNNCell": "Keras 3 has no layer of that name",
    "DenseFeatures": "Keras 3 has no feature columns",
    "InstanceMethod": "it works on ragged tensors, which Keras 3 has not",
    "InstanceProperty": "it works on ragged tensors, which Keras 3 has not",
    "Lambda": "it holds Python code, which is never run from a file",
    "LocallyConnected1D": "Keras 3 has no layer of that name",
    "LocallyConnected2D": "Keras 3 has no layer of that name",
    "RandomHeight": "Keras 3 has no layer of that name",
    "RandomWidth": "Keras 3 has no layer of that name",
    "SequenceFeatures": "Keras 3 has no feature columns",
    "TensorFlowOpLayer": "it holds a TensorFlow node of Keras 2.3 or older",
}
"""Layers of Keras 2 that cannot be made anew, each with the reason."""
