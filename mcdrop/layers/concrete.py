"""Concrete Dropout: the dropout rate is a weight, learned with the others."""

from __future__ import annotations

from math import log, prod
from typing import Any

import keras
from keras import ops

from mcdrop._checks import check_number
from mcdrop.engine.audit import register
from mcdrop.errors import DataError

Tensor = Any
Shape = tuple[int | None, ...]

_EPSILON = 1e-7


class _LearnedRate:
    """Regularizer of a logit of the rate: the terms of the variational objective.

    w ||W||^2 / (1 - p) + d K (p log p + (1 - p) log(1 - p)), with K units that are dropped.
    """

    def __init__(self, owner: Any, num_units: int) -> None:
        self._owner = owner
        self._num_units = num_units

    def __call__(self, logit: Tensor) -> Tensor:
        rate = ops.sigmoid(ops.cast(logit, "float32"))
        negative_entropy = rate * ops.log(rate + _EPSILON) + (1.0 - rate) * ops.log(
            1.0 - rate + _EPSILON
        )
        loss = self._owner.dropout_regularizer * self._num_units * negative_entropy
        for weight in self._owner.layer.trainable_weights:
            square = ops.sum(ops.square(ops.cast(weight, "float32")))
            loss += self._owner.weight_regularizer * square / (1.0 - rate)
        return loss


@keras.saving.register_keras_serializable(package="mcdrop")
class ConcreteDropout(keras.layers.Wrapper):
    """Drops the inputs of a layer at a rate that training learns.

    In training every input unit is multiplied by (1 - z) / (1 - p), where z is a relaxed Bernoulli
    draw with the rate p: the sigmoid of (logit p + logit u) / temperature for uniform u. So the
    loss has a derivative in p. In inference the inputs pass unchanged, as with
    `keras.layers.Dropout`; `mcdrop.MCDropout` samples the layer without registering it.

    With N training examples, a length scale l and a noise precision tau, the model of the
    reference has `weight_regularizer` = l^2 / (tau N) and `dropout_regularizer` = 2 / (tau N); for
    a class task tau is 1 and the second is 1 / N. The regularization is part of
    `model.losses`, so of the training and the validation loss.

    Args:
        layer: The layer whose inputs are dropped, such as a `Dense`; its weights are regularized.
            For convolutions of images use `SpatialConcreteDropout2D`.
        initial_rate: Dropout rate before training, within (0, 1).
        weight_regularizer: Weight of the squared weights, at least 0.
        dropout_regularizer: Weight of the negative entropy of the rate, at least 0. Larger draws
            the rate towards 0.5.
        temperature: Of the relaxed draw, above 0; the smaller, the closer to 0 and 1 the masks.
        **options: As for every Keras layer: `name`, `dtype`, `trainable`.

    Input shape: That of `layer`, the batch axis first, sizes of the others known.

    Output shape: That of `layer`.

    Raises:
        DataError: An argument is out of range, or a size of the input is unknown.

    References:
        Gal, Hron & Kendall (2017), Concrete Dropout, arXiv:1705.07832.

    Example:
        >>> layer = ConcreteDropout(keras.layers.Dense(4), initial_rate=0.2)
        >>> layer(keras.ops.ones((2, 3)), training=False).shape
        TensorShape([2, 4])
        >>> round(layer.rate, 6)
        0.2
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        *,
        initial_rate: float = 0.1,
        weight_regularizer: float = 1e-6,
        dropout_regularizer: float = 1e-5,
        temperature: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(layer, **options)
        self.initial_rate = check_number(
            "initial_rate", initial_rate, low=0.0, high=1.0, open_ends=True
        )
        self.weight_regularizer = check_number(
            "weight_regularizer", weight_regularizer, low=0.0, high=float("inf")
        )
        self.dropout_regularizer = check_number(
            "dropout_regularizer", dropout_regularizer, low=0.0, high=float("inf")
        )
        self.temperature = check_number(
            "temperature", temperature, low=0.0, high=float("inf"), open_ends=True
        )
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Shape) -> None:
        """Makes the weights of the wrapped layer and the logit of the rate."""
        num_units = self._num_units(input_shape)
        super().build(input_shape)
        rate = self.initial_rate
        # A rate of 0.001 needs more digits than half precision has.
        self.rate_logit = self.add_weight(
            name="rate_logit",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(log(rate / (1.0 - rate))),
            regularizer=_LearnedRate(self, num_units),
        )

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        """Returns the wrapped layer's outputs, of dropped inputs when `training`."""
        return self.layer(self._drop(inputs) if training else inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the output shape of the wrapped layer."""
        shape: Shape = self.layer.compute_output_shape(input_shape)
        return shape

    @property
    def rate(self) -> float:
        """The dropout rate as it is now, within (0, 1)."""
        if not self.built:
            return self.initial_rate
        return float(ops.sigmoid(self.rate_logit))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, for saving."""
        return super().get_config() | {
            "initial_rate": self.initial_rate,
            "weight_regularizer": self.weight_regularizer,
            "dropout_regularizer": self.dropout_regularizer,
            "temperature": self.temperature,
        }

    def _drop(self, inputs: Tensor) -> Tensor:
        noise = keras.random.uniform(
            self._noise_shape(inputs), dtype="float32", seed=self.seed_generator
        )
        rate_logit = ops.cast(self.rate_logit, "float32")
        noise_logit = ops.log(noise + _EPSILON) - ops.log(1.0 - noise + _EPSILON)
        dropped = ops.sigmoid((rate_logit + noise_logit) / self.temperature)
        scale = (1.0 - dropped) / (1.0 - ops.sigmoid(rate_logit))
        return inputs * ops.cast(scale, inputs.dtype)

    def _noise_shape(self, inputs: Tensor) -> Any:
        return ops.shape(inputs)

    def _num_units(self, input_shape: Shape) -> int:
        sizes = input_shape[1:]
        if any(size is None for size in sizes):
            raise DataError(
                f"{type(self).__name__} {self.name!r} has inputs of shape {tuple(input_shape)}, "
                "expected a known size of every axis but the first: the regularizer counts units."
            )
        return prod(size for size in sizes if size is not None)


@keras.saving.register_keras_serializable(package="mcdrop")
class SpatialConcreteDropout2D(ConcreteDropout):
    """Drops whole channels of the inputs of a 2D convolution at a learned rate.

    As `ConcreteDropout`, with one draw for each example and channel. The rate is relaxed with a
    temperature of 2/3 by default, as in the authors' code.

    Args:
        layer: A 2D convolution.
        temperature: As in `ConcreteDropout`.
        **options: The other arguments of `ConcreteDropout`.

    Input shape: (N, height, width, channels), or (N, channels, height, width) when `layer` is
        "channels_first".

    Raises:
        DataError: An argument is out of range, or the inputs have no four axes.

    Example:
        >>> layer = SpatialConcreteDropout2D(keras.layers.Conv2D(4, 3))
        >>> layer(keras.ops.ones((2, 8, 8, 3)), training=True).shape
        TensorShape([2, 6, 6, 4])
    """

    def __init__(
        self, layer: keras.layers.Layer, *, temperature: float = 2.0 / 3.0, **options: Any
    ) -> None:
        super().__init__(layer, temperature=temperature, **options)

    def _noise_shape(self, inputs: Tensor) -> Any:
        shape = ops.shape(inputs)
        channels = self._channel_axis()
        return tuple(size if axis in (0, channels) else 1 for axis, size in enumerate(shape))

    def _num_units(self, input_shape: Shape) -> int:
        if len(input_shape) != 4:
            raise DataError(
                f"SpatialConcreteDropout2D {self.name!r} has inputs of shape "
                f"{tuple(input_shape)}, expected four axes: images with channels."
            )
        return super()._num_units((None, input_shape[self._channel_axis()]))

    def _channel_axis(self) -> int:
        return 1 if getattr(self.layer, "data_format", None) == "channels_first" else 3


for _layer_class in (ConcreteDropout, SpatialConcreteDropout2D):
    register(_layer_class)
