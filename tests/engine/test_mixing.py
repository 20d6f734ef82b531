"""Models whose prediction of an example depends on the other examples of its batch."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import mcdrop

MIXING = {
    "a mean over the batch": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "products of examples": lambda x: ops.matmul(ops.matmul(x, ops.transpose(x)), x),
    "a sort of the batch": lambda x: ops.sort(x, axis=0),
    "the size of the batch": lambda x: x * ops.cast(ops.shape(x)[0], "float32"),
}


def _model(function, *, before):
    mix = layers.Lambda(function)
    dropout = [layers.Dropout(0.5), layers.Dense(6)]
    hidden = [mix, *dropout] if before else [*dropout, mix]
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(6), *hidden, layers.Dense(3, activation="softmax")]
    )


@pytest.mark.parametrize("before", [True, False], ids=["prefix", "passes"])
@pytest.mark.parametrize("function", MIXING.values(), ids=MIXING)
def test_a_model_that_mixes_examples_is_refused(function, before):
    """Folded passes would reach into each other, so no number is given."""
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    mc = mcdrop.MCDropout(_model(function, before=before))
    with pytest.raises(mcdrop.ModelError, match="changes with the other examples of its batch"):
        mc.predict(x, num_samples=4)


def test_it_is_looked_at_again_after_a_single_example():
    """One example has no others beside it; what it cannot show is seen on the next batch."""
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    mc = mcdrop.MCDropout(_model(MIXING["a mean over the batch"], before=True))
    mc.predict(x[:1], num_samples=4)
    with pytest.raises(mcdrop.ModelError, match="other examples of its batch"):
        mc.predict(x, num_samples=4)


def test_code_of_the_user_that_keeps_examples_apart_is_sampled():
    """A Lambda along the features is no reason to refuse a model."""
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    mc = mcdrop.MCDropout(_model(lambda x: x - ops.mean(x, axis=1, keepdims=True), before=False))
    whole = mc.sample(x, num_samples=4)
    assert np.allclose(whole, mc.sample(x, num_samples=4, batch_size=1), atol=1e-5)
