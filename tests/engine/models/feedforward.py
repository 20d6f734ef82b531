"""Sequential and Functional graphs of ordinary layers, and every dropout layer on its own."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from .cases import NUM_EXAMPLES, case, numbers


@case(numbers(6), sampled=2)
def multilayer_perceptron():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dropout(0.2),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )


@case(numbers(8, 8, 2), sampled=2)
def convolutional():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.SpatialDropout2D(0.25),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )


@case(numbers(6), sampled=1, constant_outputs=(0,))
def skip_with_auxiliary_outputs():
    inputs = keras.Input((6,), name="features")
    stem = layers.Dense(5, activation="relu")(inputs)
    hidden = layers.Dense(5)(layers.Dropout(0.4)(stem))
    joined = layers.Add()([stem, hidden])
    outputs = {"auxiliary": layers.Dense(2)(stem), "main": layers.Dense(3)(joined), "skip": joined}
    return keras.Model(inputs, outputs)


@case(
    lambda: {"image": numbers(4, 4, 1)(), "meta": numbers(3)()},
    sampled=2,
)
def two_inputs_in_a_dict():
    inputs = {"meta": keras.Input((3,), name="meta"), "image": keras.Input((4, 4, 1), name="image")}
    image = layers.Flatten()(layers.SpatialDropout2D(0.3)(layers.Conv2D(4, 2)(inputs["image"])))
    meta = layers.Dropout(0.3)(layers.Dense(4)(inputs["meta"]))
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([image, meta])))


@case(numbers(5), sampled=2)
def sequential_nested_three_deep():
    deepest = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(4)])
    middle = keras.Sequential([keras.Input((4,)), deepest, layers.Dropout(0.2)])
    outer = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="relu"), middle])
    return keras.Sequential([keras.Input((5,)), layers.Dense(4), outer, layers.Dense(2)])


@case(numbers(5), sampled=2)
def functional_nested_three_deep():
    def nest(inner):
        inputs = keras.Input((4,))
        return keras.Model(inputs, layers.Add()([inputs, inner(layers.Dense(4)(inputs))]))

    deepest = keras.Input((4,))
    deepest = keras.Model(deepest, layers.Dense(4)(layers.Dropout(0.5)(deepest)))
    inputs = keras.Input((5,))
    hidden = nest(nest(deepest))(layers.Dense(4)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Dropout(0.25)(hidden)))


@case(numbers(5), sampled=1)
def one_dropout_applied_twice():
    inputs = keras.Input((5,))
    dropout = layers.Dropout(0.5)
    return keras.Model(inputs, layers.Dense(2)(dropout(layers.Dense(5)(dropout(inputs)))))


@case(lambda: (numbers(4)(), 1.0 + numbers(4)()), sampled=1)
def siamese_with_a_shared_model():
    tower = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
    left, right = keras.Input((4,)), keras.Input((4,))
    return keras.Model((left, right), layers.Subtract()([tower(left), tower(right)]))


def _with_policy(name: str) -> Any:
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="relu", dtype=name)(inputs)
    hidden = layers.Dense(4, dtype=name)(layers.Dropout(0.3, dtype=name)(hidden))
    return keras.Model(inputs, hidden)


@case(numbers(6), tolerance=2e-3)
def mixed_float16():
    return _with_policy("mixed_float16")


@case(numbers(6), tolerance=1.6e-2)
def mixed_bfloat16():
    return _with_policy("mixed_bfloat16")


@case(numbers(6))
def float64():
    return _with_policy("float64")


@case(numbers(4), constant_outputs=(1,))
def rates_zero_and_one():
    inputs = keras.Input((4,))
    off, all_off = layers.Dropout(0.0)(inputs), layers.Dropout(1.0)(inputs)
    joined = layers.Add()([off, all_off, layers.Dropout(0.5)(inputs)])
    return keras.Model(inputs, [joined, all_off + 1.0])


@case(numbers(4, 3), sampled=2)
def noise_shapes():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.Dropout(0.4, noise_shape=(None, 4, 1)),
            layers.Dropout(0.3, noise_shape=(None, 1, None)),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


@case(numbers(4, 3), rowwise=False)
def noise_shape_that_is_one_for_the_batch():
    return keras.Sequential(
        [keras.Input((4, 3)), layers.Dropout(0.4, noise_shape=(1, 4, 3)), layers.Flatten()]
    )


@case(numbers(4, 3), distribution=False)
def noise_shape_with_the_batch_size_of_training():
    """Keras itself runs it on batches of this size only."""
    dropout = layers.Dropout(0.4, noise_shape=(NUM_EXAMPLES, 1, 3))
    return keras.Sequential([keras.Input((4, 3)), dropout, layers.Flatten()])


@case(numbers(3, 4, 4))
def channels_first():
    return keras.Sequential(
        [
            keras.Input((3, 4, 4)),
            layers.SpatialDropout2D(0.4, data_format="channels_first"),
            layers.GlobalAveragePooling2D(data_format="channels_first"),
        ]
    )


@case(numbers(2, 2, 2, 4), sampled=2)
def spatial_in_three_and_one_dimensions():
    return keras.Sequential(
        [
            keras.Input((2, 2, 2, 4)),
            layers.SpatialDropout3D(0.4),
            layers.Reshape((8, 4)),
            layers.SpatialDropout1D(0.3),
            layers.GlobalAveragePooling1D(),
        ]
    )


@case(numbers(4), sampled=2, replayable=False)
def gaussian_and_alpha_dropout():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.GaussianDropout(0.3),
            layers.Dense(4),
            layers.AlphaDropout(0.2),
        ]
    )


@case(numbers(4), sampled=1, kinds=("noise",), replayable=False)
def gaussian_noise_opted_in():
    return keras.Sequential(
        [keras.Input((4,)), layers.GaussianNoise(0.5), layers.Dropout(0.5), layers.Dense(3)]
    )


@case(numbers(4, 6))
def examples_folded_into_more_rows():
    inputs = keras.Input((4, 6))
    rows = ops.reshape(inputs, (-1, 3))
    dropped = ops.reshape(layers.Dropout(0.4)(rows), (-1, 4, 6))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(dropped)))


@case(numbers(4, 3), replayable=False)
def examples_on_the_second_axis():
    inputs = keras.Input((4, 3))
    steps_first = layers.Dropout(0.4)(ops.transpose(inputs, (1, 0, 2)))
    return keras.Model(inputs, layers.Dense(2)(ops.transpose(steps_first, (1, 0, 2))))


@case(numbers(5))
def dropout_that_is_the_output():
    return keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.Dropout(0.4)])


@case(numbers(5), sampled=2)
def two_dropouts_of_one_tensor():
    inputs = keras.Input((5,))
    hidden = layers.Dense(4)(inputs)
    dropped = layers.Dropout(0.3)(hidden)
    return keras.Model(inputs, [dropped - layers.Dropout(0.5)(hidden), dropped * hidden])
