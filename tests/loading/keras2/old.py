"""Models of Keras 2 for the tests: made, given random weights, saved, and compared."""

import warnings

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from mcdrop.loading import translate_model

SEQUENCE, IMAGE, VOLUME = (6, 3), (8, 8, 3), (5, 6, 6, 2)


def randomise(model, seed=0):
    """Gives every weight another value, so that none can be mistaken for another."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.dtype.is_floating:
            values = 0.3 * rng.normal(size=variable.shape)
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)
    for layer in model._flatten_layers():
        if isinstance(layer, tf_keras.layers.Normalization):
            layer.finalize_state()


def save(model, path):
    """Saves a model as Keras 2 does; what it says about its own formats is of no interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def inputs_for(model, seed=1):
    """Returns random inputs for a model, 3 examples; sequences hold steps of zeros."""
    rng = np.random.default_rng(seed)
    return [_values(tensor, rng) for tensor in tf.nest.flatten(model.input)]


def _values(tensor, rng):
    shape = (3, *(size or 7 for size in tensor.shape[1:]))
    if tensor.dtype == tf.string:
        return tf.constant(rng.choice(["a", "b", "z"], size=shape))
    if tensor.dtype.is_integer:
        return tf.constant(rng.integers(0, 5, size=shape))
    if tensor.dtype == tf.bool:
        return tf.constant(rng.random(shape) < 0.7)
    values = 2 * rng.normal(size=shape)
    if len(shape) == 3:
        values[0, 4:] = values[1, 2] = values[2, :3] = 0
    return tf.constant(values.astype(tensor.dtype.as_numpy_dtype))


def assert_same_function(model, path, rtol=2e-6):
    """Saves a model, translates it, and compares every output to float precision."""
    randomise(model)
    translated, remarks = translate_model(save(model, path))
    inputs = inputs_for(model)
    given = inputs if len(inputs) > 1 else inputs[0]
    right = tf.nest.flatten(model(given, training=False))
    got = keras.tree.flatten(translated(given, training=False))
    assert len(right) == len(got)
    for number, (expected, value) in enumerate(zip(right, got, strict=True)):
        np.testing.assert_allclose(
            np.asarray(value, float),
            np.asarray(expected, float),
            rtol=rtol,
            atol=2e-6,
            err_msg=f"output {number}: {model.output_names[number]}",
        )
    return translated, remarks


def side_by_side(layers, shape, dtype=None):
    """Returns a model that holds each of some layers for itself, on one input."""
    source = tf_keras.Input(shape, dtype=dtype)
    return tf_keras.Model(source, [tf.nest.flatten(layer(source))[0] for layer in layers])
