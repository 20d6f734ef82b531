"""Data of every form gives the same result, and what is no data is refused."""

from __future__ import annotations

import itertools
from decimal import Decimal

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop.engine.inputs import open_inputs
from mcdrop.errors import DataError, ModelError

from .harness import without_xla
from .models import CASES

COUNT = 7
X = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
Y = np.arange(COUNT)


class Batches(keras.utils.PyDataset):
    """Batches of unequal size, with targets."""

    def __init__(self, arrays, targets=True):
        super().__init__()
        self.arrays, self.targets = arrays, targets

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(3 * index, 3 * index + 3)
        inputs = keras.tree.map_structure(lambda array: array[part], self.arrays)
        return (inputs, Y[part]) if self.targets else inputs


def generator(arrays):
    """Yields batches of sizes 1, 4 and 2, the inputs alone."""
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        yield keras.tree.map_structure(lambda array, part=part: array[part], arrays)


def dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0])


ONE_INPUT = {
    "tensor": lambda: tf.constant(X),
    "float64": lambda: X.astype(np.float64),
    "data frame": lambda: pd.DataFrame(X),
    "nullable data frame": lambda: pd.DataFrame(X).astype("Float64"),
    "list of lists": lambda: X.tolist(),
    "list of examples": lambda: list(X),
    "dataset": lambda: dataset(X).batch(3),
    "dataset with targets": lambda: dataset(X, Y).batch(2),
    "dataset with weights": lambda: dataset(X, Y, Y).batch(COUNT),
    "PyDataset": lambda: Batches(X),
    "PyDataset of inputs": lambda: Batches(X, targets=False),
    "generator": lambda: generator(X),
    "generator with targets": lambda: ((X[i : i + 2], Y[i : i + 2]) for i in range(0, COUNT, 2)),
    "iterator of batches": lambda: iter([X[:5], X[5:]]),
}


@pytest.fixture(scope="module")
def one_input():
    model = CASES["multilayer_perceptron"].build()
    return without_xla(mcdrop.MCDropout(model, task="regression"))


@pytest.fixture(scope="module")
def expected(one_input):
    return one_input.predict(X, num_samples=4, keep_samples=True)


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("form", ONE_INPUT)
def test_every_form_of_one_input_gives_the_same_prediction(one_input, expected, form, batch_size):
    prediction = one_input.predict(
        ONE_INPUT[form](), num_samples=4, keep_samples=True, batch_size=batch_size
    )
    np.testing.assert_allclose(prediction.samples, expected.samples, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(prediction.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(prediction.deterministic, expected.deterministic, rtol=1e-5)


def two_inputs(structure):
    keras.utils.set_random_seed(0)
    wide, narrow = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="meta")
    hidden = layers.Concatenate()([layers.Flatten()(wide), narrow])
    outputs = layers.Dense(2)(layers.Dropout(0.5)(hidden))
    inputs = {"image": wide, "meta": narrow} if structure == "dict" else [wide, narrow]
    return without_xla(mcdrop.MCDropout(keras.Model(inputs, outputs)))


IMAGE = np.random.default_rng(1).normal(size=(COUNT, 4, 4, 1)).astype(np.float32)
META = np.random.default_rng(2).normal(size=(COUNT, 3)).astype(np.float32)
PAIR = {"meta": META, "image": IMAGE}
TWO_INPUTS = {
    "dict": lambda: PAIR,
    "dataset of dicts": lambda: dataset(PAIR, Y).batch(3),
    "PyDataset of dicts": lambda: Batches(PAIR),
    "generator of dicts": lambda: generator(PAIR),
    "data without the channel": lambda: {"image": IMAGE[..., 0], "meta": META},
}


@pytest.mark.parametrize("form", [*TWO_INPUTS, "tuple", "list", "dataset of tuples"])
def test_every_form_of_two_inputs_gives_the_same_passes(form):
    expected = two_inputs("list").sample([IMAGE, META], num_samples=3)
    if form in TWO_INPUTS:
        for structure in ("dict", "list"):
            passes = two_inputs(structure).sample(TWO_INPUTS[form](), num_samples=3)
            np.testing.assert_allclose(passes, expected, rtol=1e-5, atol=1e-6)
        return
    x = {
        "tuple": lambda: (IMAGE, META),
        "list": lambda: [IMAGE, META],
        "dataset of tuples": lambda: dataset((IMAGE, META), Y).batch(3),
    }[form]()
    np.testing.assert_allclose(
        two_inputs("list").sample(x, num_samples=3), expected, rtol=1e-5, atol=1e-6
    )


def test_whole_numbers_are_data_too(one_input):
    whole = np.random.default_rng(0).integers(0, 255, size=(5, 6))
    expected = one_input.sample(whole.astype(np.float32), num_samples=3)
    for dtype in (np.uint8, np.int32, np.int64):
        np.testing.assert_allclose(
            one_input.sample(whole.astype(dtype), num_samples=3), expected, rtol=1e-6
        )


class Wide(keras.Model):
    """A subclassed model of float64."""

    def __init__(self):
        super().__init__(dtype="float64")
        self.drop, self.head = (
            layers.Dropout(0.5, dtype="float64"),
            layers.Dense(2, dtype="float64"),
        )

    def call(self, inputs):
        return self.head(self.drop(inputs))


def float64_models():
    keras.utils.set_random_seed(0)

    def stack(input_type, policy):
        hidden = inputs = keras.Input((6,), dtype=input_type)
        for layer in (layers.Dense(5, dtype=policy), layers.Dropout(0.5, dtype=policy)):
            hidden = layer(hidden)
        return keras.Model(inputs, layers.Dense(2, dtype=policy)(hidden))

    wide = Wide()
    wide(X)
    return {
        "functional": stack("float64", "float64"),
        "float32 input": stack("float32", "float64"),
        "float64 input": stack("float64", "float32"),
        "sequential": keras.Sequential([keras.Input((6,), dtype="float64"), *wide.layers]),
        "subclassed": wide,
    }


FLOAT64_MODELS = float64_models()


@pytest.mark.parametrize("name", FLOAT64_MODELS)
@pytest.mark.parametrize("form", ["array", "dataset", "float32", "integers"])
def test_a_model_of_float64_predicts_as_it_does_itself(name, form):
    model = FLOAT64_MODELS[name]
    x = np.random.default_rng(1).normal(size=(5, 6)) / 3
    x = {"float32": x.astype(np.float32), "integers": (9 * x).astype(np.int64)}.get(form, x)
    expected = np.asarray(model(x, training=False))
    given = dataset(x).batch(2) if form == "dataset" else x
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    prediction = mc.predict(given, num_samples=4, keep_samples=True)
    exact = expected.dtype == np.float64
    np.testing.assert_allclose(
        prediction.deterministic, expected, rtol=1e-12 if exact else 1e-6, atol=1e-13
    )
    assert prediction.samples.dtype == expected.dtype


def test_passes_of_float64_are_those_of_float32_to_rounding():
    model = FLOAT64_MODELS["functional"]
    x = np.random.default_rng(1).normal(size=(5, 6))
    narrow = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5), layers.Dropout(0.5), layers.Dense(2)]
    )
    narrow.set_weights([weight.astype(np.float32) for weight in model.get_weights()])
    passes = [without_xla(mcdrop.MCDropout(m)).sample(x, num_samples=8) for m in (model, narrow)]
    np.testing.assert_allclose(*passes, rtol=1e-5, atol=1e-6)


WORDS = np.array([["yes"], ["no"], ["perhaps"]])
TEXTS = {
    "strings": lambda: WORDS,
    "objects": lambda: WORDS.astype(object),
    "bytes": lambda: WORDS.astype("S"),
    "numpy strings": lambda: WORDS.astype(np.dtypes.StringDType()),
    "tensor": lambda: tf.constant(WORDS),
    "series": lambda: pd.Series(WORDS[:, 0]),
    "categorical series": lambda: pd.Series(WORDS[:, 0], dtype="category"),
    "data frame": lambda: pd.DataFrame(WORDS),
    "dataset": lambda: dataset(WORDS).batch(2),
    "dataset with labels": lambda: dataset(WORDS, WORDS).batch(3),
    "generator": lambda: iter([WORDS[:1], WORDS[1:].astype(object)]),
    "list": lambda: WORDS[:, 0].tolist(),
    "list of lists": lambda: WORDS.tolist(),
    "list of numpy strings": lambda: list(WORDS[:, 0]),
}


@pytest.fixture(scope="module")
def text_model():
    keras.utils.set_random_seed(0)
    lookup = layers.StringLookup(vocabulary=["yes", "no"])
    inputs = keras.Input((1,), dtype="string")
    embedded = layers.Flatten()(layers.Embedding(4, 5)(lookup(inputs)))
    return without_xla(mcdrop.MCDropout(keras.Model(inputs, layers.Dropout(0.5)(embedded))))


@pytest.mark.parametrize("form", TEXTS)
def test_text_of_every_form_gives_the_same_passes(text_model, form):
    expected = text_model.sample(WORDS, num_samples=8)
    assert expected.std() > 0
    np.testing.assert_array_equal(text_model.sample(TEXTS[form](), num_samples=8), expected)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 1)), "holds numbers, but the model's input .* takes text"),
        (np.array([["yes"], [None]], dtype=object), "1 missing values, the first in example 1"),
        (pd.Series(["yes", None, pd.NA]), "2 missing values, the first in example 1"),
        (["yes", "no", 3.0], "takes text|array of objects"),
    ],
)
def test_what_is_no_text_is_refused_by_a_model_of_text(text_model, x, message):
    with pytest.raises(DataError, match=message):
        text_model.sample(x, num_samples=2)


def test_text_is_refused_by_a_model_of_numbers(one_input):
    with pytest.raises(DataError, match=r"holds text, but the model's input .* takes numbers"):
        one_input.predict(np.full((2, 6), "a"), num_samples=2)


def test_examples_are_numbered_through_all_batches():
    inputs = open_inputs(generator(X))
    batches = list(inputs.batches(lambda _: 3))
    assert [batch.numbers.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(batch) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch.arrays[0] for batch in batches]), X)
    assert inputs.num_examples is None
    assert open_inputs(X).num_examples == COUNT


def test_only_as_much_of_a_generator_is_read_as_is_needed():
    read = []

    def endless():
        while True:
            read.append(1)
            yield X

    batches = open_inputs(endless()).batches(lambda _: 10)
    next(batches)
    assert len(read) == 2


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full((3, 6), np.nan), "NaN or infinite"),
        (np.full((3, 6), np.inf, np.float32), "NaN or infinite"),
        (np.zeros((0, 6), np.float32), "empty"),
        (np.array([[1, 2], [3]], dtype=object), "array of objects"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dtype datetime64"),
        (np.zeros((3, 6), complex), "dtype complex"),
        (np.float32(3), "single value"),
        ([], "no array"),
        ({}, "no array"),
        (iter([]), "yields no batch"),
        (tf.ragged.constant([[1.0, 2.0], [3.0]]), "pad ragged data"),
        ([[1.0, 2.0], [3.0]], "lists of different lengths"),
        (pd.DataFrame(X).astype("Float64").replace(float(X[2, 1]), pd.NA), "first in example 2"),
        (dataset(X), r"batch them, as with dataset\.batch"),
        (dataset(X[:, 0]), r"single value.*dataset\.batch"),
        (np.zeros((3, 5), np.float32), r"shape \(5,\).*expects \(6,\)"),
        (np.zeros((3, 6, 1, 2), np.float32), r"expects \(6,\)"),
        ([X, X], "2 arrays, the model takes 1"),
    ],
)
def test_what_is_no_data_for_the_model_is_refused(one_input, x, message):
    with pytest.raises(DataError, match=message):
        one_input.predict(x, num_samples=2)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_nan_in_a_later_batch_names_the_example(one_input, batch_size):
    batches = iter([X, np.full((2, 6), np.nan, np.float32)])
    with pytest.raises(DataError, match=rf"NaN or infinite.*index \({COUNT}, 0\)"):
        one_input.predict(batches, num_samples=2, batch_size=batch_size)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"image": IMAGE, "meta": META[:-1]}, r"\[6, 7\] examples"),
        ({"image": IMAGE}, r"lacks the inputs \['meta'\]"),
        ({"image": IMAGE, "meta": META[:, :2]}, r"expects \(3,\)"),
        ({"image": IMAGE, "meta": np.where(META > 2, np.nan, META * np.nan)}, "NaN"),
    ],
)
def test_inputs_that_do_not_belong_together_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        two_inputs("dict").sample(x, num_samples=2)


SEQUENCES = [
    np.random.default_rng(length).normal(size=(length, 3)).astype(np.float32)
    for length in (7, 7, 5, 5, 5, 2)
]


@pytest.fixture(scope="module")
def recurrent():
    keras.utils.set_random_seed(0)
    hidden = layers.LSTM(4, dropout=0.3)(inputs := keras.Input((None, 3)))
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.5)(hidden)))


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("form", ["examples", "tensors", "batches"])
def test_sequences_of_several_lengths_are_each_predicted_as_alone(recurrent, form, batch_size):
    x = {
        "examples": SEQUENCES,
        "tensors": [tf.constant(sequence) for sequence in SEQUENCES],
        "batches": iter([np.stack(SEQUENCES[:2]), np.stack(SEQUENCES[2:5]), SEQUENCES[5][None]]),
    }[form]
    mc = without_xla(mcdrop.MCDropout(recurrent, task="regression"))
    prediction = mc.predict(x, num_samples=3, keep_samples=True, batch_size=batch_size)
    alone = [np.asarray(recurrent(sequence[None]))[0] for sequence in SEQUENCES]
    np.testing.assert_allclose(prediction.deterministic, alone, rtol=1e-5, atol=1e-6)
    # The masks are those of the example's number, however the others are grouped.
    first = mc.sample(np.stack(SEQUENCES[:2]), num_samples=3)
    np.testing.assert_allclose(prediction.samples[:, :2], first, rtol=1e-5, atol=1e-6)
    assert len(np.unique(prediction.samples.reshape(3, -1), axis=0)) == 3


@pytest.mark.parametrize("call", ["sample", "predict"])
def test_outputs_of_several_lengths_cannot_be_one_array(call):
    model = keras.Sequential([keras.Input((None, 3)), layers.Dropout(0.5)])
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    with pytest.raises(DataError, match=r"outputs of different shapes.*\(7, 3\).*\(5, 3\)"):
        getattr(mc, call)(SEQUENCES, num_samples=2)
    shapes = [p.mean.shape for p in mc.predict_batches(SEQUENCES, num_samples=2)]
    assert shapes == [(2, 7, 3), (3, 5, 3), (1, 2, 3)]


class Unmeasured(keras.utils.PyDataset):
    """Batches whose number is told by `num_batches`, if at all."""

    def __getitem__(self, index):
        return X


class Endless(Unmeasured):
    num_batches = None


class Counted(Unmeasured):
    num_batches = 2


@pytest.mark.parametrize(
    "x",
    [
        lambda: dataset(X).batch(2).repeat(),
        lambda: Unmeasured(),
        lambda: Endless(),
        lambda: itertools.repeat(X),
        lambda: itertools.cycle([X]),
    ],
)
def test_data_without_an_end_are_refused_at_once(one_input, x):
    with pytest.raises(DataError, match="never ends"):
        one_input.predict(x(), num_samples=2)


def test_decimal_numbers_are_numbers(one_input):
    values = pd.DataFrame(X.astype(str)).map(Decimal)
    expected = one_input.sample(X, num_samples=2)
    np.testing.assert_allclose(one_input.sample(values, num_samples=2), expected, rtol=1e-6)


def test_a_batch_may_be_repeated_so_often(one_input):
    assert len(one_input.predict(itertools.repeat(X, 2), num_samples=2)) == 2 * COUNT


def test_a_pydataset_may_count_its_batches(one_input):
    assert len(one_input.predict(Counted(), num_samples=2)) == 2 * COUNT


def test_inputs_of_another_length_are_traced_anew():
    """A length of None is open between calls."""
    inputs = keras.Input((None, 3))
    hidden = layers.Dropout(0.5)(layers.LSTM(2)(inputs))
    model = keras.Model(inputs, hidden)
    mc = without_xla(mcdrop.MCDropout(model))
    for length in (4, 6, 4):
        x = np.random.default_rng(length).normal(size=(3, length, 3)).astype(np.float32)
        expected = np.asarray(model(x, training=False))
        passes = mc.sample(x, num_samples=50)
        doubled = np.where(passes == 0, 0, 2 * expected)
        np.testing.assert_allclose(passes, doubled, rtol=1e-5)
        assert 0.3 < (passes == 0).mean() < 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 1}, "`num_samples`"),
        ({"num_samples": 2.0}, "`num_samples`"),
        ({"num_samples": True}, "`num_samples`"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 2**64}, "`seed`"),
        ({"seed": "0"}, "`seed`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"tolerance": -0.1}, "`tolerance`"),
        ({"tolerance": 0.1, "keep_samples": True}, "`keep_samples`"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(one_input, options, message):
    with pytest.raises(DataError, match=message):
        one_input.predict(X, **({"num_samples": 2} | options))


def test_one_pass_can_be_sampled_but_not_be_summed_up(one_input):
    assert one_input.sample(X, num_samples=1).shape == (1, COUNT, 2)
    with pytest.raises(DataError, match="at least 1"):
        one_input.sample(X, num_samples=0)


@pytest.mark.parametrize("sparse", [tf.sparse.from_dense, scipy.sparse.csr_matrix])
def test_sparse_data_are_refused_with_the_way_out(one_input, sparse):
    with pytest.raises(DataError, match="make sparse data dense"):
        one_input.predict(sparse(X), num_samples=2)


def read_number(inputs):
    return inputs * float(inputs.numpy().mean())


def read_array(inputs):
    return inputs * np.mean(inputs)


def ask_value(inputs):
    return inputs if tf.reduce_mean(inputs) > 0 else -inputs


def loop_over_rows(inputs):
    return tf.stack(list(inputs))


@pytest.mark.parametrize("call", [read_number, read_array, ask_value, loop_over_rows])
def test_a_model_that_runs_only_eagerly_is_refused_with_the_way_out(call):
    class Eager(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs):
            return self.drop(call(inputs))

    model = Eager()
    model(X)
    with pytest.raises(ModelError, match=r"runs only eagerly.*keras\.ops") as caught:
        mcdrop.MCDropout(model).sample(X, num_samples=2)
    assert "\n" not in str(caught.value)


def masks_model():
    """A model that puts out its masks, so that equal masks are equal numbers to the bit."""
    return keras.Sequential([keras.Input((6,)), layers.Dropout(0.5)])


@pytest.mark.parametrize("batch_size", [None, 1, 2])
@pytest.mark.parametrize("balanced", [False, True])
def test_a_part_has_the_masks_of_its_numbers(batch_size, balanced):
    mc = mcdrop.MCDropout(masks_model(), task="regression", balanced=balanced)
    ones = np.ones((12, 6), np.float32)
    whole = mc.sample(ones, num_samples=20, seed=1)
    chosen = [7, 3, 9, 3]
    part = mc.sample(ones[:4], num_samples=20, seed=1, batch_size=batch_size, examples=chosen)
    np.testing.assert_array_equal(part, whole[:, chosen])
    prediction = mc.predict(ones[:4], num_samples=20, seed=1, examples=chosen)
    assert prediction.to_frame()["example"].tolist() == chosen
    np.testing.assert_array_equal(prediction.group_means, prediction.take([0, 1, 2, 1]).group_means)
    assert prediction.take([2, 0]).to_frame()["example"].tolist() == [9, 7]


@pytest.mark.parametrize("batches", [generator, lambda x: dataset(x).batch(2)])
def test_numbers_follow_the_batches_of_a_stream(batches):
    mc = mcdrop.MCDropout(masks_model(), task="regression")
    numbers = np.array([4, 0, 2**32 - 1, 5, 6, 1, 3])
    ones = np.ones((COUNT, 6), np.float32)
    array = mc.sample(ones, num_samples=3, examples=numbers)
    np.testing.assert_array_equal(mc.sample(batches(ones), num_samples=3, examples=numbers), array)
    np.testing.assert_array_equal(array[:, [1, 5]], mc.sample(ones[:2], num_samples=3))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 1, 2**32], "number of an example is 4294967296, expected one from 0 below 2**32"),
        (range(2**32 - 1, 2**32 + 2), "is 4294967297"),
        ([0, -1, 2], "number of an example is -1"),
        ([0.0, 1.0, 2.0], "dtype float64, expected one whole number for each"),
        ([True, False, True], "dtype bool"),
        (["a", "b", "c"], "holds text, dtype <U1, expected numbers"),
        ([[0], [1], [2]], r"shape \(3, 1\)"),
        (5, r"shape \(\)"),
        ([0, 1], "holds 2 numbers, but `x` 3 examples"),
        (range(4), "holds 4 numbers, but `x` 3 examples"),
    ],
)
def test_wrong_numbers_are_refused(numbers, message):
    mc = mcdrop.MCDropout(masks_model(), task="regression")
    with pytest.raises(DataError, match=message.replace("**", r"\*\*")):
        mc.predict(np.ones((3, 6)), num_samples=2, examples=numbers)


@pytest.mark.parametrize(("count", "found"), [(6, "at least 7"), (8, "7")])
def test_numbers_of_a_stream_are_counted(count, found):
    mc = mcdrop.MCDropout(masks_model(), task="regression")
    with pytest.raises(DataError, match=f"holds {count} numbers, but `x` {found} examples"):
        mc.predict(generator(np.ones((COUNT, 6))), num_samples=2, examples=range(count))


def test_a_value_that_is_not_finite_is_named_by_its_number():
    x = np.ones((3, 6), np.float32)
    x[1, 2] = np.nan
    with pytest.raises(DataError, match=r"first at index \(41, 2\)"):
        mcdrop.MCDropout(masks_model(), task="regression").predict(x, examples=[40, 41, 7])


def test_numbers_survive_saving(tmp_path):
    mc = mcdrop.MCDropout(masks_model(), task="regression")
    prediction = mc.predict(np.ones((3, 6)), num_samples=4, examples=[8, 5, 6])
    prediction.save(tmp_path / "p.npz")
    assert mcdrop.Prediction.load(tmp_path / "p.npz").examples.tolist() == [8, 5, 6]
