"""Multiply-accumulates, counted by hand, and the share of them that runs once."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop.engine.calls import Calls, Memory
from mcdrop.engine.intercept import Interception
from mcdrop.engine.redirect import Draws
from mcdrop.engine.replica import Replica


class Block(layers.Layer):
    """A composite with a table of positions, as transformers have."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tokens = layers.Embedding(1000, 4)
        self.project = layers.Dense(3)

    def build(self, shape):
        self.positions = self.add_weight(shape=(shape[1], 3))
        self.project.build((*shape, 4))

    def call(self, inputs):
        return self.project(self.tokens(inputs)) + self.positions


def inner_model():
    inputs = keras.Input((6, 6, 2))
    hidden = layers.Conv2D(3, 3)(inputs)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(hidden)))


INNER = 9 * 2 * 3 * 16 + 3 * 4

# Layer, shape of its input, multiply-accumulates for one example.
COUNTS = {
    "dense": (lambda: layers.Dense(5), (4,), 4 * 5),
    "frozen_dense": (lambda: layers.Dense(5, trainable=False), (4,), 4 * 5),
    "dense_over_time": (lambda: layers.Dense(5), (7, 4), 7 * 4 * 5),
    "dense_over_unknown_time": (lambda: layers.Dense(5), (None, 4), 4 * 5),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (7, 2, 5)), (7, 4), 7 * 4 * 2 * 5),
    "einsum_ellipsis": (lambda: layers.EinsumDense("...x,xy->...y", 5), (7, 4), 7 * 4 * 5),
    "embedding": (lambda: layers.Embedding(1000, 8), (7,), 0),
    "conv1d": (lambda: layers.Conv1D(5, 3, padding="same"), (7, 4), 7 * 3 * 4 * 5),
    "conv2d": (lambda: layers.Conv2D(5, 3, strides=2), (9, 9, 4), 16 * 9 * 4 * 5),
    "conv2d_in_groups": (lambda: layers.Conv2D(6, 3, groups=2), (6, 6, 4), 16 * 9 * 2 * 6),
    "depthwise": (lambda: layers.DepthwiseConv2D(3), (6, 6, 4), 16 * 9 * 4),
    "separable": (lambda: layers.SeparableConv2D(5, 3), (6, 6, 4), 16 * (9 * 4 + 4 * 5)),
    "transposed": (lambda: layers.Conv2DTranspose(5, 2, strides=2), (6, 6, 4), 36 * 4 * 4 * 5),
    "channels_first": (
        lambda: layers.Conv2D(5, 3, data_format="channels_first"),
        (4, 6, 7),
        4 * 5 * 9 * 4 * 5,
    ),
    "lstm": (lambda: layers.LSTM(3, recurrent_dropout=0.2), (7, 4), 7 * 4 * 3 * (4 + 3)),
    "gru_sequences": (lambda: layers.GRU(3, return_sequences=True), (7, 4), 7 * 3 * 3 * (4 + 3)),
    "stacked_cells": (
        lambda: layers.RNN([layers.SimpleRNNCell(3), layers.SimpleRNNCell(2)]),
        (7, 4),
        7 * (3 * (4 + 3) + 2 * (3 + 2)),
    ),
    "conv_lstm": (
        lambda: layers.ConvLSTM2D(3, 3, padding="same"),
        (5, 6, 6, 2),
        5 * 36 * 9 * 4 * 3 * (2 + 3),
    ),
    "bidirectional": (
        lambda: layers.Bidirectional(layers.LSTM(3)),
        (7, 4),
        2 * 7 * 4 * 3 * (4 + 3),
    ),
    "time_distributed_dense": (lambda: layers.TimeDistributed(layers.Dense(5)), (7, 4), 140),
    "time_distributed_model": (
        lambda: layers.TimeDistributed(inner_model()),
        (5, 6, 6, 2),
        5 * INNER,
    ),
    "nested_model": (inner_model, (6, 6, 2), INNER),
    "wrapped": (
        lambda: layers.SpectralNormalization(layers.Dense(5)),
        (7, 4),
        7 * 4 * 5,
    ),
    "elementwise": (lambda: layers.PReLU(), (6, 6, 4), 0),
    "normalization": (lambda: layers.LayerNormalization(axis=(1, 2)), (6, 4), 0),
    "batch_normalization": (lambda: layers.BatchNormalization(), (6, 4), 0),
    "composite": (Block, (7,), 7 * 4 * 3),
}


def multiplications(model):
    """Returns what is counted in one traced run of a model."""
    counted = []

    def run(*arrays):
        graph = tf.compat.v1.get_default_graph()
        calls, replica = Calls(graph), Replica(model)
        with Interception((), Draws(None), calls, Memory(graph, frozenset())).tracing(replica):
            outputs = replica.model(arrays if len(arrays) > 1 else arrays[0], training=False)
        counted.append(sum(call.multiplications for call in calls.done))
        return outputs

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    tf.function(run, autograph=False).get_concrete_function(*specs)
    return counted[0]


@pytest.mark.parametrize("name", COUNTS)
def test_multiplications_are_those_counted_by_hand(name):
    make, shape, expected = COUNTS[name]
    inputs = keras.Input(shape)
    assert multiplications(keras.Model(inputs, make()(inputs))) == expected


@pytest.mark.parametrize("by_name", [False, True])
def test_attention_counts_projections_and_products(by_name):
    """Two heads of width 3 (values 5): 7 queries of width 4 look at 6 keys of width 8."""
    query, key, value = keras.Input((7, 4)), keras.Input((6, 8)), keras.Input((6, 9))
    attend = layers.MultiHeadAttention(2, 3, value_dim=5)
    arguments = {"query": query, "key": key, "value": value}
    outputs = attend(**arguments) if by_name else attend(query, value, key)
    model = keras.Model([query, key, value], outputs)
    projections = 7 * 4 * 2 * 3 + 6 * 8 * 2 * 3 + 6 * 9 * 2 * 5 + 7 * 2 * 5 * 4
    products = 2 * 7 * 6 * (3 + 5)
    assert multiplications(model) == projections + products


def test_grouped_attention_projects_fewer_keys():
    inputs = keras.Input((7, 4))
    outputs = layers.GroupQueryAttention(3, 4, 2)(inputs, inputs)
    projections = 7 * 4 * 3 * (4 + 2 + 2 + 4)
    model = keras.Model(inputs, outputs)
    assert multiplications(model) == projections + 4 * 7 * 7 * (3 + 3)


def test_attention_without_weights_counts_its_products():
    query, value = keras.Input((7, 4)), keras.Input((6, 4))
    outputs = layers.Attention(dropout=0.1)([query, value])
    assert multiplications(keras.Model([query, value], outputs)) == 7 * 6 * (4 + 4)


def test_a_table_of_words_before_a_recurrent_dropout_is_no_work_that_runs_once():
    inputs = keras.Input((20,), dtype="int32")
    hidden = layers.Embedding(20000, 64)(inputs)
    hidden = layers.LSTM(8, recurrent_dropout=0.3)(hidden)
    mc = mcdrop.MCDropout(keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden)))
    assert mc.share_run_once == 0.0


def test_the_share_is_that_of_the_work_before_the_first_dropout():
    inputs = keras.Input((7, 4))
    hidden = layers.LSTM(3)(inputs)
    hidden = layers.Dropout(0.5)(hidden)
    mc = mcdrop.MCDropout(keras.Model(inputs, layers.Dense(2)(hidden)))
    assert mc.share_run_once == pytest.approx(588 / (588 + 6))
