"""Nothing is written beside the results: no log line, no text."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import mcdrop


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("masks", ["independent", "shared"])
def test_sampling_writes_nothing(masks, balanced, caplog, capfd):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            mc = mcdrop.MCDropout(model, masks=masks, balanced=balanced)
            mc.predict(np.ones((20, 6), "float32"), num_samples=4)
    finally:
        logger.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr().out == ""
