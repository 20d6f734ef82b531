"""NaN and infinity are named by row and pass, or the rows are marked and never averaged."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import mcdrop
from mcdrop.errors import DataError, ModelWarning

from .harness import without_xla

X = np.abs(np.random.default_rng(0).normal(size=(30, 2))).astype(np.float32)


def normalizing(end=None):
    """Returns a model that divides by a sum that dropout can make 0: softmax of 0/0."""
    inputs = keras.Input((2,))
    hidden = layers.Dropout(0.5)(layers.Dense(2, use_bias=False, kernel_initializer="ones")(inputs))
    share = hidden / ops.sum(hidden, axis=-1, keepdims=True)
    return keras.Model(inputs, layers.Softmax()(share) if end is None else end(share))


def exploding(rate=0.3):
    """Returns a regression that is infinite for inputs beyond 100, in every pass."""
    inputs = keras.Input((2,))
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.Dropout(rate)(inputs))
    return keras.Model(inputs, 1.0 / ops.relu(100.0 - outputs))


def test_an_error_names_rows_and_passes_in_the_users_data():
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    for call in (mc.predict, mc.sample):
        with pytest.raises(DataError, match=r"NaN or infinity: row \d+ in pass.*on_nonfinite"):
            call(X, num_samples=3)
    # Whichever batch a row comes in, its number is the same.
    x = np.ones((23, 2), np.float32)
    x[17] = 200.0
    late = without_xla(mcdrop.MCDropout(exploding(), task="regression"))
    for batch_size in (4, 23):
        with pytest.raises(DataError, match=r"row 17 with dropout off \(rows"):
            late.predict(x, num_samples=4, batch_size=batch_size)
    x[17] = np.nan
    with pytest.raises(DataError, match=r"index \(17, 0\)"):
        late.predict(x, num_samples=4, batch_size=4)


def test_the_passes_that_are_named_are_the_ones():
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    # The same masks: a pass is lost where both units are dropped.
    masks = keras.Model(mc.model.inputs, mc.model.layers[2].output)
    lost = (without_xla(mcdrop.MCDropout(masks)).sample(X, num_samples=6) == 0).all(axis=-1)
    with pytest.raises(DataError) as error:
        mc.predict(X, num_samples=6)
    named = re.findall(r"row (\d+) in pass(?:es)? ((?:\d+(?:, )?)+)", str(error.value))
    rows = np.flatnonzero(lost.any(axis=0))
    assert [int(row) for row, _ in named] == rows[:5].tolist()
    for row, passes in named:
        found = [int(t) for t in re.findall(r"\d+", passes)][:5]
        assert found == np.flatnonzero(lost[:, int(row)])[:5].tolist()
    assert f"and {len(rows) - 5} more rows" in str(error.value)


def test_marked_rows_are_never_averaged_and_the_others_are_untouched():
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    masks = keras.Model(mc.model.inputs, mc.model.layers[2].output)
    lost = (without_xla(mcdrop.MCDropout(masks)).sample(X, num_samples=2) == 0).all(axis=-1)
    expected = lost.any(axis=0)
    assert 0 < expected.sum() < len(X)
    prediction = mc.predict(X, num_samples=2, on_nonfinite="drop", keep_samples=True, batch_size=7)
    np.testing.assert_array_equal(prediction.dropped, expected)
    for name in ("mean", "variance", "std", "deterministic", "confidence", "predictive_entropy"):
        values = getattr(prediction, name).reshape(len(X), -1)
        np.testing.assert_array_equal(np.isnan(values).all(axis=1), expected)
        assert np.isfinite(values[~expected]).all()
    for name in ("mutual_information", "variation_ratio", "monte_carlo_error"):
        assert np.isnan(getattr(prediction, name)[expected]).all()
    np.testing.assert_array_equal(prediction.predicted_class == -1, expected)
    np.testing.assert_array_equal(prediction.deterministic_class == -1, expected)
    np.testing.assert_array_equal(prediction.num_samples_per_example == 0, expected)
    assert np.isnan(prediction.samples[:, expected]).all()
    alone = mc.sample(X, num_samples=2, on_nonfinite="drop")
    np.testing.assert_allclose(alone, prediction.samples, rtol=1e-6)
    np.testing.assert_allclose(
        prediction.mean[~expected], alone[:, ~expected].mean(axis=0), rtol=1e-6
    )


def test_marked_rows_survive_saving_tables_and_joining(tmp_path):
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    prediction = mc.predict(X, num_samples=2, on_nonfinite="drop")
    prediction.save(tmp_path / "p.npz")
    loaded = mcdrop.Prediction.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(loaded.dropped, prediction.dropped)
    frame = loaded.to_frame()
    assert frame["dropped"].tolist() == prediction.dropped.tolist()
    assert (frame["predicted_class"][prediction.dropped] == -1).all()
    assert (
        frame[prediction.dropped]
        .drop(columns=["example", "dropped", "num_samples"])
        .drop(columns=["predicted_class", "deterministic_class"])
        .isna()
        .all(axis=None)
    )
    batches = list(mc.predict_batches(X, num_samples=2, batch_size=4, on_nonfinite="drop"))
    joined = np.concatenate([batch.dropped for batch in batches])
    np.testing.assert_array_equal(joined, prediction.dropped)
    assert "dropped" in batches[0].to_frame()


def test_scores_leave_marked_rows_out_and_say_so():
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    prediction = mc.predict(X, num_samples=2, on_nonfinite="drop")
    y = np.arange(len(X)) % 2
    with pytest.warns(ModelWarning, match=f"{prediction.dropped.sum()} of 30 examples"):
        evaluation = mcdrop.evaluate(prediction, y)
    kept = ~prediction.dropped
    alone = mcdrop.evaluate(prediction.take(kept), y[kept])
    assert evaluation.num_examples == kept.sum()
    said = evaluation.to_dict()
    assert "15 of 30 examples were dropped" in said["warnings"].pop("dropped_examples")
    assert said == alone.to_dict()
    with pytest.raises(DataError, match="the dropped ones too"):
        mcdrop.evaluate(prediction, y[kept])
    everything = mcdrop.prediction.mark_dropped(prediction, np.ones(len(X), bool))
    with pytest.raises(DataError, match="All examples were dropped"):
        mcdrop.evaluate(everything, y)


def test_rows_of_a_regression_that_are_infinite_are_marked_whatever_the_cause():
    x = np.ones((9, 2), np.float32)
    x[2], x[5, 1] = 500.0, np.nan
    mc = without_xla(mcdrop.MCDropout(exploding(), task="regression"))
    prediction = mc.predict(x, num_samples=40, on_nonfinite="drop", tolerance=1e-9)
    assert np.flatnonzero(prediction.dropped).tolist() == [2, 5]
    low, high = prediction.interval(0.9)
    assert np.isnan(low[prediction.dropped]).all()
    assert np.isfinite(high[~prediction.dropped]).all()
    clean = mc.predict(x, num_samples=4, on_nonfinite="drop", keep_samples=True)
    assert np.isnan(clean.quantile([0.1, 0.5])[:, clean.dropped]).all()
    finite = mc.predict(np.ones((4, 2)), num_samples=4, on_nonfinite="drop")
    assert not finite.dropped.any()
    assert np.isfinite(finite.mean).all()


def test_a_gaussian_variance_that_overflows_is_found():
    inputs = keras.Input((1,))
    mean = layers.Dense(1)(layers.Dropout(0.5)(inputs))
    model = keras.Model(inputs, layers.Concatenate()([mean, layers.Dense(1)(inputs) * 1e6]))
    mc = without_xla(mcdrop.MCDropout(model, task="gaussian", gaussian_scale="log_variance"))
    x = np.array([[0.0], [5.0], [-5.0]], np.float32)
    prediction = mc.predict(x, num_samples=4, on_nonfinite="drop")
    assert prediction.dropped.sum() == 1
    with pytest.raises(DataError, match="NaN or infinity: row"):
        mc.predict(x, num_samples=4)


def test_what_to_do_is_one_of_two_words():
    mc = without_xla(mcdrop.MCDropout(normalizing(), task="classification"))
    for call in (mc.predict, mc.sample, lambda x, **k: list(mc.predict_batches(x, **k))):
        with pytest.raises(DataError, match="`on_nonfinite` is 'ignore'"):
            call(X, num_samples=2, on_nonfinite="ignore")
