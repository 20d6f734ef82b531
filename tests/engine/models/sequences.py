"""Recurrent, attention and other sequence models."""

from __future__ import annotations

import keras
from keras import layers

from .cases import case, numbers, tokens


@case(tokens, sampled=2, replayable=False)
def masked_embedding_and_lstm():
    inputs = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(inputs)
    hidden = layers.LSTM(3, dropout=0.3)(layers.Dropout(0.3)(embedded))
    return keras.Model(inputs, layers.Dense(2)(hidden))


@case(tokens, sampled=1)
def dropout_between_a_masked_embedding_and_an_lstm():
    inputs = keras.Input((5,), dtype="int32")
    embedded = layers.Dropout(0.4)(layers.Embedding(9, 4, mask_zero=True)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.LSTM(3)(embedded)))


@case(numbers(4, 3), replayable=False)
def lstm():
    return keras.Sequential(
        [keras.Input((4, 3)), layers.LSTM(3, dropout=0.3, recurrent_dropout=0.2)]
    )


@case(numbers(4, 3), sampled=2, replayable=False)
def gru_behind_an_unrolled_gru():
    inputs = keras.Input((4, 3))
    first = layers.GRU(3, dropout=0.3, return_sequences=True, unroll=True)(inputs)
    last, state = layers.GRU(2, recurrent_dropout=0.4, return_state=True)(first)
    return keras.Model(inputs, [last, layers.Dense(2)(state)])


@case(numbers(4, 3), replayable=False)
def simple_rnn():
    return keras.Sequential(
        [keras.Input((4, 3)), layers.SimpleRNN(3, dropout=0.25, recurrent_dropout=0.5)]
    )


@case(numbers(3, 4, 4, 2), replayable=False)
def convolutional_lstm():
    inputs = keras.Input((3, 4, 4, 2))
    hidden = layers.ConvLSTM2D(2, 2, dropout=0.3, recurrent_dropout=0.2)(inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


@case(numbers(4, 3), sampled=2, replayable=False)
def bidirectional():
    recurrent = layers.GRU(2, dropout=0.3, return_sequences=True)
    return keras.Sequential([keras.Input((4, 3)), layers.Bidirectional(recurrent), layers.Dense(2)])


@case(numbers(4, 3), replayable=False)
def stacked_recurrent_cells():
    cells = [
        layers.LSTMCell(3, dropout=0.3),
        layers.GRUCell(3, recurrent_dropout=0.4),
        layers.SimpleRNNCell(2),
    ]
    return keras.Sequential([keras.Input((4, 3)), layers.RNN(cells), layers.Dense(2)])


class DroppingCell(layers.SimpleRNNCell):
    """A cell with a dropout layer of its own inside the loop over time steps."""

    def __init__(self, units, **options):
        super().__init__(units, **options)
        self.inner = layers.Dropout(0.4)

    def call(self, inputs, states, training=False):
        return super().call(self.inner(inputs, training=training), states, training=training)


@case(numbers(4, 3))
def dropout_layer_in_every_unrolled_step():
    return keras.Sequential([keras.Input((4, 3)), layers.RNN(DroppingCell(3), unroll=True)])


@case(numbers(4, 3), replayable=False, distribution=False)
def dropout_layer_inside_the_time_loop():
    return keras.Sequential([keras.Input((4, 3)), layers.RNN(DroppingCell(3))])


@case(numbers(4, 6))
def multi_head_attention():
    inputs = keras.Input((4, 6))
    attended = layers.MultiHeadAttention(2, 3, dropout=0.3)(inputs, inputs, use_causal_mask=True)
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(attended + inputs))


@case(numbers(4, 6))
def grouped_query_attention():
    inputs = keras.Input((4, 6))
    attended = layers.GroupQueryAttention(3, 4, 2, dropout=0.3)(inputs, inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(attended))


@case(lambda: [numbers(4, 3)(), numbers(5, 3)()], replayable=False)
def attention():
    query, value = keras.Input((4, 3)), keras.Input((5, 3))
    attended = layers.Attention(dropout=0.4)([query, value])
    return keras.Model([query, value], layers.GlobalAveragePooling1D()(attended))


@case(tokens, replayable=False)
def additive_attention_with_a_mask():
    inputs = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(inputs)
    attended = layers.AdditiveAttention(dropout=0.4)([embedded, embedded])
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(attended))


@case(numbers(4, 3), sampled=2)
def time_distributed():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dropout(0.5)])
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.TimeDistributed(layers.Dropout(0.3)),
            layers.TimeDistributed(inner),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


class TransformerBlock(layers.Layer):
    """An encoder block as KerasHub writes it."""

    def __init__(self, width, heads, rate, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(heads, width // heads, dropout=rate)
        self.attention_dropout = layers.Dropout(rate)
        self.attention_norm = layers.LayerNormalization()
        self.grow = layers.Dense(2 * width, activation="gelu")
        self.shrink = layers.Dense(width)
        self.feedforward_dropout = layers.Dropout(rate)
        self.feedforward_norm = layers.LayerNormalization()

    def build(self, shape):
        self.attention.build(shape, shape)
        self.attention_norm.build(shape)
        self.grow.build(shape)
        self.shrink.build((*shape[:-1], self.grow.units))
        self.feedforward_norm.build(shape)
        self.built = True

    def compute_mask(self, inputs, mask=None):
        return mask

    def call(self, inputs, mask=None, training=None):
        wide = None if mask is None else mask[:, None, :]
        attended = self.attention(inputs, inputs, attention_mask=wide, training=training)
        hidden = self.attention_norm(inputs + self.attention_dropout(attended, training=training))
        output = self.feedforward_dropout(self.shrink(self.grow(hidden)), training=training)
        return self.feedforward_norm(hidden + output)


@case(tokens, sampled=4)
def transformer():
    inputs = keras.Input((5,), dtype="int32")
    hidden = layers.Dropout(0.1)(layers.Embedding(9, 4, mask_zero=True)(inputs))
    hidden = TransformerBlock(4, 2, 0.2)(hidden)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)))
