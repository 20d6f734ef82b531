from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.loading import Data, fit_to_model
from mcdrop.loading.expected import fill_images, input_specs
from mcdrop.loading.matching import pixel_hint
from mcdrop.loading.rows import ArrayRows


def model_with(*shapes, names=None, dtype="float32"):
    names = names or [f"input_{number}" for number in range(len(shapes))]
    inputs = [
        SimpleNamespace(name=name, shape=(None, *shape), dtype=dtype)
        for name, shape in zip(names, shapes, strict=True)
    ]
    return SimpleNamespace(inputs=inputs)


def data_of(**arrays):
    return Data("data.npz", {name: ArrayRows(np.asarray(a)) for name, a in arrays.items()})


@pytest.mark.parametrize(
    ("shape", "expected", "advice"),
    [
        ((5, 3, 8, 8), (8, 8, 3), r"np\.moveaxis"),
        ((5, 8, 8, 3), (8, 8, 1), r"from 3 to 1 channel"),
        ((5, 9, 9, 3), (8, 8, 3), r"--image-size"),
        ((5, 64), (8, 8, 1), r"x\.reshape\(\(-1, 8, 8, 1\)\)"),
        ((5, 7), (6,), r"the model was trained on"),
        ((5, 7), (None, 6), r"the model was trained on"),
    ],
)
def test_a_shape_that_does_not_fit_says_how_to_repair_it(shape, expected, advice):
    with pytest.raises(DataError, match=rf"has shape .* but the model takes \(N, .*{advice}"):
        fit_to_model(data_of(x=np.zeros(shape)), model_with(expected))


def test_inputs_that_are_not_the_models_are_listed():
    model = model_with((2,), (3,), names=["image", "meta"])
    with pytest.raises(DataError, match=r"2 input\(s\) \(image, meta\).*--x-key image,meta"):
        fit_to_model(data_of(x=np.zeros((5, 2))), model)


def test_text_and_numbers_are_not_taken_for_each_other():
    words, numbers = data_of(x=np.array(["a", "b"])), data_of(x=np.zeros(2))
    with pytest.raises(DataError, match="holds text, expected numbers"):
        fit_to_model(words, model_with(()))
    with pytest.raises(DataError, match="holds numbers, expected text"):
        fit_to_model(numbers, model_with((), dtype="string"))


@pytest.mark.parametrize("dtype", ["U", "S", object])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_text_goes_to_a_model_of_text(dtype, shape):
    words = np.array(["good", "bad", ""]).astype(dtype)
    fitted = fit_to_model(data_of(x=words), model_with(shape, dtype="string")).x()
    assert fitted.shape == (3, *shape)
    assert fitted.reshape(-1).tolist() == words.tolist()


def test_a_missing_text_names_the_example():
    words = np.array(["a", None, "b", None], dtype=object)
    with pytest.raises(DataError, match="missing texts, the first in example 1"):
        fit_to_model(data_of(x=words), model_with((1,), dtype="string")).x()


def table_of(x, names=None):
    columns = names or tuple(f"pixel{number}" for number in range(x.shape[1]))
    return replace(data_of(x=x), columns=tuple(columns))


def test_a_table_of_another_width_lists_its_columns_and_the_options():
    with pytest.raises(DataError) as caught:
        fit_to_model(table_of(np.zeros((5, 30))), model_with((4,)))
    assert "has 30 columns (pixel0, pixel1," in str(caught.value)
    assert "pixel9 and 20 more), but the model takes 4." in str(caught.value)
    assert "--x-key" in str(caught.value)
    assert "--y-key pixel29" in str(caught.value)


@pytest.mark.parametrize(
    ("x", "shape", "dtype"),
    [
        (np.arange(48).reshape(2, 24) % 250, (4, 6, 1), np.uint8),
        (np.arange(48).reshape(2, 24) % 250, (4, 6), np.uint8),
        (np.arange(48).reshape(2, 24) / 48, (4, 6, 1), np.float64),
        (np.arange(48).reshape(2, 24) * 10, (4, 6, 1), np.int64),
    ],
)
def test_pixels_in_columns_are_images_row_by_row(x, shape, dtype):
    data = fit_to_model(table_of(x), model_with(shape))
    assert data.x().dtype == dtype
    np.testing.assert_array_equal(data.x(), x.reshape(2, *shape))
    assert "24 columns of data.npz are read as images of 4x6, row by row" in data.readings[0]


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (np.arange(96).reshape(2, 48), (4, 4, 3)),  # three channels: first, or last?
        (np.arange(48).reshape(2, 24) / 48, (4, 6)),  # steps and features of a series?
        (np.arange(48).reshape(2, 24) - 5, (4, 6)),
        (np.arange(48).reshape(2, 24), (None, 6)),
        (np.arange(48).reshape(2, 24), (5, 5, 1)),
    ],
)
def test_columns_with_two_readings_are_no_images(x, shape):
    with pytest.raises(DataError, match=r"has (shape|24 columns) .* but the model takes"):
        fit_to_model(table_of(x), model_with(shape))


def test_an_array_is_never_reshaped_without_being_asked():
    with pytest.raises(DataError, match=r"x\.reshape"):
        fit_to_model(data_of(x=np.zeros((2, 24), np.uint8)), model_with((4, 6, 1)))


def test_pixels_in_columns_can_be_scaled():
    x = np.array([[0, 255], [51, 102]])
    fitted = fit_to_model(table_of(np.repeat(x, 2, axis=1)), model_with((2, 2, 1)), scale="unit")
    np.testing.assert_allclose(fitted.x()[0, :, 0, 0], [0, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_the_first_example(bad):
    x = np.zeros((3000, 4), np.float32)
    x[2345, 1] = x[2800, 2] = bad
    with pytest.raises(DataError, match="NaN or infinite values, the first in example 2345"):
        fit_to_model(data_of(x=x), model_with((4,))).x()
    with pytest.raises(DataError, match=r"the first in example 2345, column 'pixel1'\."):
        fit_to_model(table_of(x), model_with((4,))).x()


def test_whole_numbers_that_are_no_pixels_are_not_scaled():
    with pytest.raises(DataError, match="whole numbers other than 8-bit pixels"):
        fit_to_model(data_of(x=np.zeros((5, 4), np.int64)), model_with((4,)), scale="unit")


def test_an_unknown_scale_is_refused():
    with pytest.raises(DataError, match="`scale` is 'log'"):
        fit_to_model(data_of(x=np.zeros((5, 4))), model_with((4,)), scale="log")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 8), (8, 8, 1)),
        ((8, 8, 1), (8, 8)),
        ((8, 8), (None, None, 1)),
        ((), (1,)),
        ((1,), ()),
        ((8, 8, 3), (8, 8, 3)),
    ],
)
def test_only_a_channel_axis_of_one_is_repaired(shape, expected):
    x = np.random.default_rng(0).normal(size=(5, *shape))
    fitted = fit_to_model(data_of(x=x), model_with(expected)).x()
    assert fitted.ndim == 1 + len(expected)
    np.testing.assert_array_equal(fitted.reshape(-1), x.reshape(-1))


def test_pixels_are_left_alone_by_default():
    x = np.array([[0, 255]], np.uint8)
    fitted = fit_to_model(data_of(x=x), model_with((2,))).x()
    assert fitted.dtype == np.uint8
    np.testing.assert_array_equal(fitted, x)


@pytest.mark.parametrize(("scale", "low", "high"), [("unit", 0.0, 1.0), ("symmetric", -1.0, 1.0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_are_scaled_as_asked(scale, low, high, dtype):
    fitted = fit_to_model(data_of(x=np.array([[0, 255]], dtype)), model_with((2,)), scale=scale).x()
    np.testing.assert_allclose(fitted, [[low, high]], atol=1e-6)


def test_inputs_come_in_the_order_of_the_model():
    model = model_with((2,), (3,), names=["image", "meta"])
    data = data_of(meta=np.zeros((5, 3)), image=np.ones((5, 2)))
    assert [x.shape for x in fit_to_model(data, model).x()] == [(5, 2), (5, 3)]


def test_a_model_that_states_no_inputs_takes_the_data_as_it_is():
    x = np.zeros((5, 2))
    assert fit_to_model(data_of(x=x), SimpleNamespace()).x().shape == (5, 2)


@pytest.mark.parametrize(
    ("shape", "channels"), [((8, 8), 1), ((8, 8, 1), 1), ((8, 8, 3), 3), ((8, 8, 4), 4), ((9,), 3)]
)
def test_images_are_decoded_to_the_channels_of_the_model(shape, channels):
    assert fill_images(None, input_specs(model_with(shape))).channels == channels


def image_model(*layers):
    keras = pytest.importorskip("keras")
    return keras.Sequential([keras.Input((4, 4, 1)), *layers, keras.layers.Flatten()])


def test_raw_pixels_into_a_model_without_rescaling_are_told():
    data = data_of(x=np.zeros((5, 4, 4), np.uint8))
    assert "add --scale unit" in pixel_hint(data, image_model(), "none")


def test_nothing_is_said_when_the_pixels_are_scaled_or_the_model_rescales():
    keras = pytest.importorskip("keras")
    data = data_of(x=np.zeros((5, 4, 4), np.uint8))
    assert pixel_hint(data, image_model(), "unit") is None
    assert pixel_hint(data, image_model(keras.layers.Rescaling(1 / 255)), "none") is None
    assert pixel_hint(data, image_model(keras.layers.BatchNormalization()), "none") is None
    nested = keras.Sequential([keras.Input((4, 4, 1)), image_model(keras.layers.Rescaling(2))])
    assert pixel_hint(data, nested, "none") is None
    inputs = keras.Input((4, 4, 1))
    assert pixel_hint(data, keras.Model(inputs, inputs / 255.0), "none") is None


def test_nothing_is_said_about_other_data():
    assert pixel_hint(data_of(x=np.zeros((5, 4, 4))), image_model(), "none") is None
    assert pixel_hint(data_of(x=np.zeros((5, 4), np.uint8)), image_model(), "none") is None


def test_inputs_are_nested_as_the_model_nests_them():
    keras = pytest.importorskip("keras")
    image, meta = keras.Input((2,), name="image"), keras.Input((3,), name="meta")
    output = keras.layers.Concatenate()([image, meta])
    data = data_of(meta=np.zeros((5, 3)), image=np.ones((5, 2)))
    listed = fit_to_model(data, keras.Model([image, meta], output))
    assert [x.shape for x in listed.x()] == [(5, 2), (5, 3)]
    by_name = fit_to_model(data, keras.Model({"image": image, "meta": meta}, output)).x()
    assert {name: x.shape for name, x in by_name.items()} == {"image": (5, 2), "meta": (5, 3)}


def test_a_model_of_one_input_in_a_dict_takes_any_name():
    keras = pytest.importorskip("keras")
    inputs = {"pixels": keras.Input((2,), name="pixels")}
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs["pixels"]))
    assert fit_to_model(data_of(x=np.ones((5, 2))), model).x().shape == (5, 2)
