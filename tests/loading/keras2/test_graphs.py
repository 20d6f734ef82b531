import json

import h5py
import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras")

import keras  # noqa: E402
from tf_keras.src.applications import convnext, inception_resnet_v2  # noqa: E402

import mcdrop  # noqa: E402
from mcdrop.errors import ModelError  # noqa: E402
from mcdrop.loading import load_model  # noqa: E402
from tests.loading.keras2.old import SEQUENCE, assert_same_function, randomise, save  # noqa: E402

L = tf_keras.layers


def edit(path, change):
    """Rewrites the configuration in an HDF5 file."""
    with h5py.File(path, "r+") as archive:
        config = json.loads(archive.attrs["model_config"])
        change(config)
        archive.attrs["model_config"] = json.dumps(config)


def merges():
    a, b = tf_keras.Input((4,)), tf_keras.Input((4,))
    pair = [L.Dense(3)(a), L.Dense(3)(b)]
    kinds = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate)
    return tf_keras.Model(
        [a, b], [kind()(pair) for kind in kinds] + [L.Dot(axes=1, normalize=True)(pair)]
    )


def masked_merges():
    a, b = tf_keras.Input(SEQUENCE), tf_keras.Input(SEQUENCE)
    pairs = [[L.Masking()(a), L.Masking()(b)], [L.Masking()(a), b]]
    merged = [kind()(pair) for kind in (L.Add, L.Concatenate, L.Multiply) for pair in pairs]
    merged += [L.Maximum()(pairs[0]), L.Concatenate(axis=1)(pairs[0])]
    late = [L.GlobalAveragePooling1D()(L.Dropout(0.1)(part)) for part in merged[1:]]
    return tf_keras.Model([a, b], [L.LSTM(3)(merged[0]), *late])


def attention():
    q, v, m = tf_keras.Input(SEQUENCE), tf_keras.Input((5, 3)), tf_keras.Input((6, 5), dtype="bool")
    results = [
        L.Attention()([q, v]),
        L.Attention(use_scale=True)([q, L.Masking()(v)]),
        L.Attention(score_mode="concat")([q, v]),
        L.Attention()([q, q], use_causal_mask=True),
        L.AdditiveAttention()([L.Masking()(q), L.Masking()(v)]),
        L.MultiHeadAttention(2, 4, dropout=0.1)(q, v),
        L.MultiHeadAttention(2, 4, value_dim=5, output_shape=7, use_bias=False)(q, v),
        L.MultiHeadAttention(2, 4)(q, q, use_causal_mask=True),
        *L.MultiHeadAttention(2, 4)(q, v, key=v, attention_mask=m, return_attention_scores=True),
    ]
    return tf_keras.Model([q, v, m], results)


def states():
    a, b = tf_keras.Input(SEQUENCE), tf_keras.Input(SEQUENCE)
    _, h, c = L.LSTM(4, return_state=True)(a)
    _, *both = L.Bidirectional(L.GRU(3, return_state=True))(a)
    decoded = L.LSTM(4, return_sequences=True)(b, initial_state=[h, c])
    return tf_keras.Model([a, b], [decoded, L.Bidirectional(L.GRU(3))(b, initial_state=both)])


def siamese():
    base = tf_keras.Sequential(
        [tf_keras.Input((5,)), L.Dense(4), L.BatchNormalization(), L.Dropout(0.2), L.Dense(3)]
    )
    a, b = tf_keras.Input((5,)), tf_keras.Input((5,))
    return tf_keras.Model([a, b], L.Subtract()([base(a), base(b)]))


def nested():
    source = tf_keras.Input((5,))
    hidden = L.BatchNormalization()(L.Dense(4)(source))
    inner = tf_keras.Model(source, [L.Dense(3)(hidden), hidden])
    late = tf_keras.Sequential([L.Dense(4, activation="relu"), L.BatchNormalization()])
    other = tf_keras.Input((5,))
    p, q = inner(other)
    return tf_keras.Model(other, [L.Dense(2)(p), late(q)])


def frozen():
    base = tf_keras.Sequential(
        [tf_keras.Input((5,)), L.Dense(4), L.BatchNormalization(), L.Dense(3)]
    )
    base.trainable = False
    base.layers[2].trainable = True
    return tf_keras.Sequential([tf_keras.Input((5,)), base, L.Dropout(0.1), L.Dense(2)])


def shared():
    layer, source = L.Dense(5, activation="tanh"), tf_keras.Input((5,))
    return tf_keras.Model(source, [layer(layer(source)), layer(L.Dense(5)(layer(source)))])


def sequential_in_sequential():
    inner = tf_keras.Sequential([L.Conv2D(3, 3, input_shape=(8, 8, 3)), L.BatchNormalization()])
    return tf_keras.Sequential([inner, L.Flatten(), L.Dense(2)])


def built_late():
    model = tf_keras.Sequential([L.Dense(4), L.Dropout(0.2), L.Dense(2)])
    model.build((None, 5))
    return model


def precisions():
    source = tf_keras.Input((5,))
    half = tf_keras.mixed_precision.Policy("mixed_float16")
    return tf_keras.Model(source, L.Dense(3, dtype="float32")(L.Dense(4, dtype=half)(source)))


def slashes():
    source = tf_keras.Input((5,))
    return tf_keras.Model(source, L.Dense(3, name="block/dense")(source))


def crossing():
    a, b = tf_keras.Input((1,), dtype="string"), tf_keras.Input((1,), dtype="int64")
    return tf_keras.Model([a, b], L.HashedCrossing(7)([a, b]))


def scaled():
    """The layers that InceptionResNetV2 and ConvNeXt bring with them."""
    source = tf_keras.Input((4,))
    hidden = convnext.LayerScale(0.5, 4)(L.Dense(4)(source))
    return tf_keras.Model(source, inception_resnet_v2.CustomScaleLayer(0.3)([source, hidden]))


def adapted():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, size=(50, 5)).astype("float32"))
    return tf_keras.Sequential([tf_keras.Input((5,)), layer, L.Dense(2)])


@pytest.mark.parametrize(
    "make",
    [
        merges,
        masked_merges,
        attention,
        states,
        siamese,
        nested,
        frozen,
        shared,
        sequential_in_sequential,
        built_late,
        precisions,
        slashes,
        crossing,
        adapted,
        scaled,
    ],
)
def test_a_graph_computes_what_it_computed_in_keras_2(make, tmp_path):
    assert_same_function(make(), tmp_path / "old.h5")


@pytest.mark.parametrize("make", [states, nested, frozen, adapted])
def test_the_zip_archives_of_tf_keras_are_translated_too(make, tmp_path):
    assert_same_function(make(), tmp_path / "old.keras")


def test_an_application_computes_what_it_computed(tmp_path):
    make = tf_keras.applications.MobileNetV3Small
    model = make(weights=None, input_shape=(32, 32, 3), classes=3, classifier_activation=None)
    assert_same_function(model, tmp_path / "old.h5", rtol=1e-5)


def test_a_translated_model_is_saved_and_loaded_by_keras_3(tmp_path):
    source = tf_keras.Input(SEQUENCE)
    hidden = L.LSTM(4, recurrent_activation="hard_sigmoid")(source)
    model = tf_keras.Model(source, hidden[:, :2] * 2.0 - 1.0)
    translated, _ = assert_same_function(model, tmp_path / "old.h5")
    translated.save(tmp_path / "new.keras")
    x = np.random.default_rng(0).normal(size=(3, *SEQUENCE)).astype("float32")
    np.testing.assert_array_equal(load_model(tmp_path / "new.keras")(x), translated(x))


def test_passes_of_a_translated_file_have_the_distribution_of_keras_2(tmp_path):
    from scipy import stats

    layers = [L.LSTM(4, dropout=0.3, recurrent_dropout=0.4), L.Dropout(0.2), L.Dense(2)]
    model = tf_keras.Sequential([tf_keras.Input(SEQUENCE), *layers])
    model.compile("adam", "mse")
    randomise(model)
    path = save(model, tmp_path / "old.h5")
    x = 2 * np.random.default_rng(3).normal(size=(1, *SEQUENCE)).astype("float32")
    tf_keras.utils.set_random_seed(5)
    right = model(np.repeat(x, 4000, axis=0), training=True).numpy()
    mc = mcdrop.MCDropout(load_model(path))
    got = mc.sample(x, num_samples=4000, seed=1)[:, 0]
    for output in range(2):
        # 1e-4 twice: one false alarm in 5,000 choices of the seeds.
        assert stats.ks_2samp(right[:, output], got[:, output]).pvalue > 1e-4
        assert stats.levene(right[:, output], got[:, output]).pvalue > 1e-4


def test_rates_survive(tmp_path):
    layers = [L.Bidirectional(L.GRU(4, dropout=0.25, recurrent_dropout=0.5)), L.Dropout(0.125)]
    path = save(
        tf_keras.Sequential([tf_keras.Input(SEQUENCE), *layers, L.Dense(1)]), tmp_path / "m.h5"
    )
    mc = mcdrop.MCDropout(load_model(path), task="regression")
    assert {0.5, 0.125} == {layer.rate for layer in mc.stochastic_layers if layer.selected}
    forward = load_model(path).layers[0].forward_layer
    assert (forward.dropout, forward.recurrent_dropout) == (0.25, 0.5)


def test_old_versions_that_record_less_keep_their_defaults(tmp_path):
    source = tf_keras.Input(SEQUENCE)
    model = tf_keras.Model(source, L.GRU(4, reset_after=False)(source))
    randomise(model)
    path = save(model, tmp_path / "old.h5")
    edit(path, lambda config: config["config"]["layers"][1]["config"].pop("reset_after"))
    x = np.random.default_rng(0).normal(size=(3, *SEQUENCE)).astype("float32")
    np.testing.assert_allclose(load_model(path)(x), model(x), atol=1e-6)


def test_an_option_that_no_version_had_is_refused(tmp_path):
    path = save(shared(), tmp_path / "old.h5")
    edit(path, lambda config: config["config"]["layers"][1]["config"].update(magic=3))
    with pytest.raises(ModelError, match="Keras 3 has no option 'magic', and it is 3"):
        load_model(path)


def test_nesting_without_end_is_refused(tmp_path):
    path = save(sequential_in_sequential(), tmp_path / "old.h5")

    def deepen(config):
        for _ in range(80):
            config["config"]["layers"] = [
                {"class_name": "Sequential", "config": dict(config["config"])}
            ]

    edit(path, deepen)
    with pytest.raises(ModelError, match="more than 50 deep"):
        load_model(path)


def test_calls_that_depend_on_each_other_end(tmp_path):
    path = save(shared(), tmp_path / "old.h5")

    def loop(config):
        layer = config["config"]["layers"][1]
        layer["inbound_nodes"][0][0][:2] = [layer["name"], 1]

    edit(path, loop)
    with pytest.raises(ModelError, match="depend on each other"):
        load_model(path)


@pytest.mark.parametrize("change", ["layers", "input_layers", "output_layers"])
def test_a_configuration_with_holes_is_an_error_in_one_line(change, tmp_path):
    path = save(shared(), tmp_path / "old.h5")
    edit(path, lambda config: config["config"].pop(change))
    with pytest.raises(ModelError, match="cannot be translated"):
        load_model(path)


def test_a_subclassed_model_is_told(tmp_path):
    path = save(shared(), tmp_path / "old.h5")
    edit(path, lambda config: config.update(class_name="MyModel", config={"name": "m"}))
    with pytest.raises(ModelError, match=r"subclassed model \(MyModel\)"):
        load_model(path)


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_custom_layer_that_keras_3_knows_by_its_name_is_used(tmp_path):
    class Doubled(L.Layer):
        def call(self, x):
            return 2 * x

    model = tf_keras.Sequential([tf_keras.Input((4,)), Doubled(), L.Dense(2)])
    assert_same_function(model, tmp_path / "old.h5")
