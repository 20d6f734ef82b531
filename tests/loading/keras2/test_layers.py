import inspect

import pytest

tf_keras = pytest.importorskip("tf_keras")

from mcdrop.errors import ModelError, ModelWarning  # noqa: E402
from mcdrop.loading import load_model, translate_model  # noqa: E402
from mcdrop.loading.keras2.rules import ALIASES, MISSING  # noqa: E402
from tests.loading.keras2.old import (  # noqa: E402
    IMAGE,
    SEQUENCE,
    VOLUME,
    assert_same_function,
    save,
    side_by_side,
)

L = tf_keras.layers

ACTIVATIONS = [
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]

VECTORS = [
    *(lambda name=name: L.Dense(4, activation=name) for name in ACTIVATIONS),
    lambda: L.Dense(4, use_bias=False, activation=L.LeakyReLU(0.1)),
    lambda: L.Activation("hard_sigmoid"),
    lambda: L.ActivityRegularization(0.1),
    lambda: L.AlphaDropout(0.2),
    lambda: L.Dropout(0.3, noise_shape=(None, 1), seed=3),
    lambda: L.ELU(0.5),
    lambda: L.GaussianDropout(0.2),
    lambda: L.GaussianNoise(0.2),
    lambda: L.Identity(),
    lambda: L.LeakyReLU(),
    lambda: L.PReLU(),
    lambda: L.ReLU(2.0, 0.1, 0.5),
    lambda: L.ReLU(6.0),
    lambda: L.RepeatVector(2),
    lambda: L.Softmax(),
    lambda: L.ThresholdedReLU(0.4),
    lambda: L.Discretization([-1.0, 0.0, 1.0]),
    lambda: L.Normalization(mean=[1.0, 2.0, 3.0, 4.0, 5.0], variance=[1.0, 4.0, 9.0, 1.0, 1.0]),
    lambda: L.Normalization(mean=1.0, variance=4.0, invert=True),
]
RECURRENT = [
    lambda: L.LSTM(4, dropout=0.2, recurrent_dropout=0.1),
    lambda: L.LSTM(4, recurrent_activation="hard_sigmoid", unroll=True),
    lambda: L.LSTM(4, return_sequences=True, go_backwards=True, use_bias=False, implementation=1),
    lambda: L.GRU(4),
    lambda: L.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid"),
    lambda: L.SimpleRNN(4),
    lambda: L.Bidirectional(L.LSTM(4, dropout=0.1)),
    lambda: L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum"),
    lambda: L.Bidirectional(L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True)),
    lambda: L.Bidirectional(L.RNN(L.LSTMCell(4))),
    lambda: L.RNN(L.GRUCell(4, recurrent_dropout=0.1)),
    lambda: L.RNN(L.SimpleRNNCell(4)),
    lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)])),
    lambda: L.RNN([L.LSTMCell(4), L.LSTMCell(3)], return_sequences=True),
]
SEQUENCES = [
    lambda: L.AveragePooling1D(2),
    lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2),
    lambda: L.Conv1DTranspose(4, 3, strides=2),
    lambda: L.Cropping1D(1),
    lambda: L.Dense(4),
    lambda: L.DepthwiseConv1D(3, depth_multiplier=2),
    lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d"),
    lambda: L.Flatten(),
    lambda: L.GlobalAveragePooling1D(),
    lambda: L.GlobalMaxPooling1D(),
    lambda: L.LayerNormalization(center=False),
    lambda: L.Masking(),
    lambda: L.MaxPooling1D(2),
    lambda: L.Permute((2, 1)),
    lambda: L.Reshape((3, 6)),
    lambda: L.SeparableConv1D(4, 3),
    lambda: L.SpatialDropout1D(0.2),
    lambda: L.TimeDistributed(L.Dense(4)),
    lambda: L.TimeDistributed(
        tf_keras.Sequential([tf_keras.Input((3,)), L.Dense(4), L.BatchNormalization(), L.Dense(2)])
    ),
    lambda: L.UpSampling1D(2),
    lambda: L.ZeroPadding1D(1),
    lambda: L.UnitNormalization(),
]
IMAGES = [
    lambda: L.AveragePooling2D(3, padding="same", strides=2),
    lambda: L.BatchNormalization(),
    lambda: L.BatchNormalization(axis=1, scale=False, epsilon=0.01),
    lambda: L.CenterCrop(5, 4),
    lambda: L.Conv2D(4, 3, strides=2, padding="same"),
    lambda: L.Conv2D(6, 3, groups=3),
    lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
    lambda: L.Conv2DTranspose(4, 3, strides=2),
    lambda: L.Cropping2D(((1, 2), (0, 3))),
    lambda: L.DepthwiseConv2D(3, strides=2, padding="same"),
    lambda: L.GlobalAveragePooling2D(keepdims=True),
    lambda: L.GlobalMaxPooling2D(),
    lambda: L.GroupNormalization(3),
    lambda: L.LayerNormalization(axis=[1, 2]),
    lambda: L.MaxPooling2D(2),
    lambda: L.PReLU(shared_axes=[1, 2]),
    lambda: L.RandomBrightness(0.1),
    lambda: L.RandomContrast(0.1),
    lambda: L.RandomCrop(5, 5),
    lambda: L.RandomCrop(10, 5),
    lambda: L.RandomFlip(),
    lambda: L.RandomRotation(0.1),
    lambda: L.RandomTranslation(0.1, 0.1),
    lambda: L.RandomZoom(0.1),
    lambda: L.Rescaling(1 / 255.0, offset=-1),
    lambda: L.Rescaling([1.0, 2.0, 3.0], offset=[0.0, 1.0, 2.0]),
    lambda: L.Resizing(5, 7),
    lambda: L.Resizing(5, 7, crop_to_aspect_ratio=True),
    lambda: L.SeparableConv2D(4, 3, depth_multiplier=2),
    lambda: L.Softmax(axis=[1, 2]),
    lambda: L.SpatialDropout2D(0.2),
    lambda: L.UpSampling2D(2, interpolation="bilinear"),
    lambda: L.ZeroPadding2D(1),
    lambda: L.experimental.SyncBatchNormalization(),
]
VOLUMES = [
    lambda: L.AveragePooling3D(2),
    lambda: L.Conv3D(3, 2),
    lambda: L.Conv3DTranspose(3, 3, strides=2, padding="same"),
    lambda: L.ConvLSTM2D(2, 3, return_sequences=True),
    lambda: L.Cropping3D(1),
    lambda: L.GlobalAveragePooling3D(),
    lambda: L.GlobalMaxPooling3D(),
    lambda: L.MaxPooling3D(2),
    lambda: L.SpatialDropout3D(0.2),
    lambda: L.UpSampling3D(2),
    lambda: L.ZeroPadding3D(1),
]
OTHERS = {
    "ConvLSTM1D": (lambda: L.ConvLSTM1D(2, 3), (4, 6, 2), None),
    "ConvLSTM3D": (lambda: L.ConvLSTM3D(2, 2), (2, 4, 4, 4, 2), None),
    "CategoryEncoding": (lambda: L.CategoryEncoding(5, output_mode="multi_hot"), (1,), "int64"),
    "Embedding": (lambda: L.Embedding(5, 3, input_length=4), (4,), "int64"),
    "Hashing": (lambda: L.Hashing(7), (1,), "string"),
    "IntegerLookup": (lambda: L.IntegerLookup(vocabulary=[1, 2, 3]), (1,), "int64"),
    "StringLookup": (
        lambda: L.StringLookup(vocabulary=["a", "b"], output_mode="one_hot"),
        (1,),
        "string",
    ),
    "TextVectorization": (
        lambda: L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3),
        (1,),
        "string",
    ),
}
ELSEWHERE = {
    "Add Average Concatenate Dot Maximum Minimum Multiply Subtract": "test_graphs.py",
    "AdditiveAttention Attention MultiHeadAttention HashedCrossing": "test_graphs.py",
    "InputLayer Lambda": "test_graphs.py, test_saved.py",
}
BASES = {"InputSpec", "Layer", "Wrapper"}
UNSAVED = {"SpectralNormalization"}
"""tf_keras itself cannot put this one into a functional model."""


@pytest.mark.parametrize(
    ("makers", "shape"),
    [
        pytest.param(VECTORS, (5,), id="vectors"),
        pytest.param(RECURRENT, SEQUENCE, id="recurrent"),
        pytest.param(SEQUENCES, SEQUENCE, id="sequences"),
        pytest.param(IMAGES, IMAGE, id="images"),
        pytest.param(VOLUMES, VOLUME, id="volumes"),
    ],
)
def test_every_layer_computes_what_it_computed_in_keras_2(makers, shape, tmp_path):
    assert_same_function(side_by_side([make() for make in makers], shape), tmp_path / "old.h5")


@pytest.mark.parametrize("name", OTHERS)
def test_layers_of_other_inputs_compute_what_they_computed(name, tmp_path):
    make, shape, dtype = OTHERS[name]
    assert_same_function(side_by_side([make()], shape, dtype), tmp_path / "old.h5")


def test_no_layer_of_keras_2_is_forgotten():
    tables = [*VECTORS, *RECURRENT, *SEQUENCES, *IMAGES, *VOLUMES]
    source = "".join(inspect.getsource(make) for make in tables) + inspect.getsource(inspect)
    named = {name for name in dir(L) if f"L.{name}(" in source or f".{name}(" in source}
    elsewhere = {name for names in ELSEWHERE for name in names.split()}
    known = named | elsewhere | OTHERS.keys() | MISSING.keys() | ALIASES.keys() | BASES | UNSAVED
    classes = {name for name, kind in vars(L).items() if inspect.isclass(kind)}
    assert classes - known == set()


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.filterwarnings("ignore:Exception encountered when calling Functional")
def test_masks_go_as_far_as_they_went(tmp_path):
    layers = [
        L.TimeDistributed(L.Dense(3)),
        L.Conv1D(3, 3, padding="same"),
        L.BatchNormalization(),
        L.Bidirectional(L.GRU(3, return_sequences=True)),
        L.SpatialDropout1D(0.2),
        L.LeakyReLU(),
        L.Permute((2, 1)),
        L.Rescaling(2.0),
        L.Identity(),
        L.UnitNormalization(),
        L.MaxPooling1D(2, 1, "same"),
    ]
    source = tf_keras.Input(SEQUENCE)
    masked = L.Masking()(source)
    results = [L.GlobalAveragePooling1D()(layer(masked)) for layer in layers]
    model = tf_keras.Model(source, [*results, L.LSTM(3)(L.Rescaling(2.0)(masked))])
    assert_same_function(model, tmp_path / "old.h5")


def test_a_mask_that_a_sequential_model_lost_is_no_guess(tmp_path):
    layers = [L.Masking(input_shape=SEQUENCE), L.Rescaling(2.0), L.LSTM(3)]
    path = save(tf_keras.Sequential(layers), tmp_path / "old.h5")
    with pytest.raises(ModelError, match=r"'rescaling\w*' lost its mask in Keras 2, and keeps it"):
        load_model(path)


def test_attention_at_masked_steps_is_cautioned(tmp_path):
    source = tf_keras.Input(SEQUENCE)
    masked = L.Masking()(source)
    model = tf_keras.Model(source, L.MultiHeadAttention(2, 3)(masked, masked))
    with pytest.warns(ModelWarning, match="other values than in Keras 2 at the masked steps"):
        load_model(save(model, tmp_path / "old.h5"))


def test_what_keeps_its_old_meaning_is_said(tmp_path):
    layers = [L.Dense(3, activation="hard_sigmoid"), L.ThresholdedReLU(0.1)]
    path = save(side_by_side(layers, (4,)), tmp_path / "old.h5")
    remarks = translate_model(path)[1]
    assert "hard_sigmoid is clip(0.2 x + 0.5, 0, 1), as Keras 2 defined it" in remarks
    assert any("ThresholdedReLU became ReLU" in remark for remark in remarks)


def test_what_matters_in_training_only_may_be_missing(tmp_path):
    def penalty(weights):
        return 0.0 * tf_keras.backend.sum(weights)

    layer = L.Dense(3, kernel_regularizer=penalty)
    path = save(side_by_side([layer], (4,)), tmp_path / "old.h5")
    assert any("penalty was left out" in remark for remark in translate_model(path)[1])


@pytest.mark.parametrize(
    ("make", "shape", "reason"),
    [
        (lambda: L.LocallyConnected1D(2, 3), SEQUENCE, r"LocallyConnected1D\): Keras 3 has no"),
        (lambda: L.RandomHeight(0.1), IMAGE, r"RandomHeight\): Keras 3 has no layer"),
    ],
)
def test_what_keras_3_lacks_is_refused_with_the_reason_and_a_way_out(make, shape, reason, tmp_path):
    path = save(side_by_side([make()], shape), tmp_path / "old.h5")
    with pytest.raises(ModelError, match=rf"{reason}.*model\.load_weights\("):
        load_model(path)


def test_a_custom_layer_of_keras_2_is_named(tmp_path):
    class Unregistered(L.Layer):
        def call(self, x):
            return x + 1.0

    path = save(side_by_side([Unregistered()], (4,)), tmp_path / "old.h5")
    with pytest.raises(ModelError, match=r"no layer 'Unregistered', and no .*--import my_layers"):
        load_model(path)
