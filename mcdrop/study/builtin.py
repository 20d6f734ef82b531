"""The built-in studies: a question, its networks, and the setting each is set beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from mcdrop.study import networks

Shape = tuple[int, ...]
Build = Callable[..., keras.Model]

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_NETWORKS: Mapping[str, Build] = {"mlp": networks.mlp, "cnn": networks.cnn}


@dataclass(frozen=True)
class Study:
    """A built-in study.

    Attributes:
        name: Name on the command line.
        question: What it asks.
        settings: For each setting its network and the arguments of that.
        references: For each setting the one that it is set beside.
        headline: The setting that the first sentence of the answer is about.
    """

    name: str
    question: str
    settings: Mapping[str, tuple[str, Mapping[str, Any]]]
    references: Mapping[str, str]
    headline: str

    def grid(self) -> dict[str, dict[str, Any]]:
        """Returns the arguments of `build` for every setting."""
        return {
            setting: {"network": network, **arguments}
            for setting, (network, arguments) in self.settings.items()
        }

    def build(self, input_shape: Shape, num_classes: int) -> Build:
        """Returns the function that makes a setting's network for images of this shape."""

        def make(network: str, **arguments: Any) -> keras.Model:
            return _NETWORKS[network](input_shape, num_classes, **arguments)

        return make


def _beside(settings: Mapping[str, Any], suffix: str) -> dict[str, str]:
    """Returns for each setting "network, ..." the one of the same network named `suffix`."""
    return {name: f"{name.split(', ')[0]}, {suffix}" for name in settings}


def _rate() -> Study:
    settings: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for rate in RATES:
        label = f"rate {rate}" if rate else "none"
        settings[f"mlp, {label}"] = "mlp", {"rates": (rate, rate)}
    for rate in RATES:
        label = f"rate {rate}" if rate else "none"
        settings[f"cnn, {label}"] = "cnn", {"pooling_rate": rate, "dense_rate": rate}
    return Study(
        "rate",
        "How much dropout: what does the rate do to accuracy, overfitting and calibration?",
        settings,
        _beside(settings, "none"),
        "mlp, rate 0.5",
    )


def _placement() -> Study:
    settings: dict[str, tuple[str, Mapping[str, Any]]] = {
        "mlp, none": ("mlp", {}),
        "mlp, inputs": ("mlp", {"input_rate": 0.2}),
        "mlp, before dense": ("mlp", {"rates": (0.3, 0.3), "dropout_first": True}),
        "mlp, behind dense": ("mlp", {"rates": (0.3, 0.3)}),
        "mlp, 0.2 then 0.3": ("mlp", {"rates": (0.2, 0.3)}),
        "mlp, 0.3 then 0.2": ("mlp", {"rates": (0.3, 0.2)}),
        "cnn, none": ("cnn", {}),
        "cnn, behind convolutions": ("cnn", {"convolution_rate": 0.3}),
        "cnn, behind pooling": ("cnn", {"pooling_rate": 0.3}),
        "cnn, behind dense": ("cnn", {"dense_rate": 0.3}),
        "cnn, before the softmax": ("cnn", {"output_rate": 0.3}),
        "cnn, everywhere": (
            "cnn",
            {"convolution_rate": 0.3, "pooling_rate": 0.3, "dense_rate": 0.3},
        ),
    }
    references = _beside(settings, "none") | {"mlp, 0.3 then 0.2": "mlp, 0.2 then 0.3"}
    return Study(
        "placement",
        "Where: behind which layers does dropout help, and where does it hurt?",
        settings,
        references,
        "mlp, 0.3 then 0.2",
    )


def _kind() -> Study:
    layers = keras.layers

    def convolutional(make: networks.MakeDropout) -> dict[str, Any]:
        return {"convolution_rate": 0.2, "convolution_dropout": make}

    settings: dict[str, tuple[str, Mapping[str, Any]]] = {
        "cnn, none": ("cnn", {}),
        "cnn, Dropout": ("cnn", convolutional(layers.Dropout)),
        "cnn, SpatialDropout2D": ("cnn", convolutional(layers.SpatialDropout2D)),
        "cnn, GaussianDropout": ("cnn", convolutional(layers.GaussianDropout)),
        "cnn, AlphaDropout": ("cnn", convolutional(layers.AlphaDropout)),
        "pooled, none": ("cnn", {"global_pooling": True}),
        "pooled, dense head": ("cnn", {"global_pooling": True, "dense_rate": 0.5}),
        "mlp, none": ("mlp", {}),
        "mlp, Dropout": ("mlp", {"rates": (0.3, 0.3)}),
        "mlp, L2": ("mlp", {"l2": 1e-4}),
        "mlp, L2 and Dropout": ("mlp", {"l2": 1e-4, "rates": (0.3, 0.3)}),
        "mlp, BatchNormalization": ("mlp", {"batch_normalization": True}),
    }
    return Study(
        "kind",
        "Which kind: how do the dropouts differ behind convolutions, and what else regularizes?",
        settings,
        _beside(settings, "none"),
        "cnn, SpatialDropout2D",
    )


STUDIES: Mapping[str, Callable[[], Study]] = {
    "rate": _rate,
    "placement": _placement,
    "kind": _kind,
}
"""The built-in studies by name."""
