import pytest

tf_keras = pytest.importorskip("tf_keras")

import tensorflow as tf  # noqa: E402

from mcdrop.errors import ModelError  # noqa: E402
from mcdrop.loading import load_model  # noqa: E402
from tests.loading.keras2.old import assert_same_function, save  # noqa: E402

K = tf_keras.backend

ARITHMETIC = [
    lambda x, y: x + y,
    lambda x, y: 2.0 * x - 1.0,
    lambda x, y: 1.0 - x / y,
    lambda x, y: 1.0 / (x + 9.0),
    lambda x, y: x**2,
    lambda x, y: -abs(x),
    lambda x, y: x // 2.0,
    lambda x, y: x % 2.0,
    lambda x, y: tf.cast(x > y, "float32"),
    lambda x, y: tf.where(x > 0, x, y),
    lambda x, y: tf.maximum(x, y) + tf.minimum(x, 0.0),
    lambda x, y: tf.math.squared_difference(x, y),
    lambda x, y: tf.math.divide_no_nan(x, tf.nn.relu(y)),
    lambda x, y: tf.math.log(tf.exp(x) + 1.0),
    lambda x, y: tf.clip_by_value(x, 0.0, 1.0),
    lambda x, y: tf.add_n([x, y]),
    lambda x, y: tf.cumsum(x, axis=1),
    lambda x, y: tf.ones_like(x) * x,
    lambda x, y: K.sqrt(x) + K.square(y),
    lambda x, y: K.relu(x, max_value=6),
    lambda x, y: tf_keras.activations.hard_sigmoid(x),
    lambda x, y: tf_keras.activations.gelu(x),
    lambda x, y: tf.sigmoid(x) * tf.nn.swish(y),
    lambda x, y: tf.nn.softmax(x) + tf.nn.log_softmax(y),
    lambda x, y: tf.nn.leaky_relu(x) + tf.nn.elu(y) + tf.nn.softplus(x),
]
SHAPES = [
    lambda x, y: x[:, 1:3],
    lambda x, y: x[:, None, 0],
    lambda x, y: x[..., 1],
    lambda x, y: x[:, ::-1],
    lambda x, y: tf.concat([x, y], 1),
    lambda x, y: tf.stack([x, y], axis=1),
    lambda x, y: tf.unstack(x, axis=1)[2],
    lambda x, y: tf.split(x, 2, axis=1)[1],
    lambda x, y: tf.split(x, [1, 3], axis=1)[1],
    lambda x, y: tf.reshape(x, (tf.shape(x)[0], 2, 2)),
    lambda x, y: tf.reshape(x, tf.stack([tf.shape(x)[0], 2, 2])),
    lambda x, y: tf.transpose(tf.reshape(x, (-1, 2, 2)), (0, 2, 1)),
    lambda x, y: tf.squeeze(tf.expand_dims(x, 1), axis=1),
    lambda x, y: tf.tile(x, [1, 2]),
    lambda x, y: tf.pad(x, [[0, 0], [1, 1]]),
    lambda x, y: tf.reverse(x, [1]),
    lambda x, y: tf.gather(x, [0, 2], axis=1),
    lambda x, y: tf.one_hot(tf.cast(x > 0, "int32"), 2),
    lambda x, y: tf.image.resize(tf.reshape(x, (-1, 2, 2, 1)), (4, 5)),
]
REDUCTIONS = [
    lambda x, y: tf.reduce_mean(x, axis=1, keepdims=True),
    lambda x, y: tf.reduce_sum(x, axis=[1]),
    lambda x, y: tf.reduce_max(x, axis=-1) - tf.reduce_min(x, axis=-1),
    lambda x, y: tf.reduce_logsumexp(x, axis=1),
    lambda x, y: K.std(x, axis=1) + K.var(y, axis=1),
    lambda x, y: tf.cast(tf.argmax(x, axis=1), "float32"),
    lambda x, y: tf.nn.top_k(x, 2)[0],
    lambda x, y: tf.nn.l2_normalize(x, axis=1),
    lambda x, y: tf.norm(x, axis=1),
    lambda x, y: tf.matmul(x[:, None], y[:, None], transpose_b=True),
    lambda x, y: K.batch_dot(x, y, axes=1),
]


def model_of(functions):
    x, y = tf_keras.Input((4,)), tf_keras.Input((4,))
    return tf_keras.Model([x, y], [function(x, y) for function in functions])


@pytest.mark.parametrize(
    "functions", [ARITHMETIC, SHAPES, REDUCTIONS], ids=["arithmetic", "shapes", "reductions"]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_functions_used_as_layers_compute_what_they_computed(functions, tmp_path):
    assert_same_function(model_of(functions), tmp_path / "old.h5")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x, y: tf.nn.dropout(x, 0.3), "tf.nn.dropout"),
        (lambda x, y: tf.einsum("bi,bj->bij", x, y), "tf.einsum"),
        (lambda x, y: tf.linalg.inv(x[:, :, None] * y[:, None]), "tf.linalg.inv"),
    ],
)
def test_a_function_that_is_not_translated_is_named(function, name, tmp_path):
    path = save(model_of([function]), tmp_path / "old.h5")
    with pytest.raises(ModelError, match=f"calls the TensorFlow function {name}, which"):
        load_model(path)
