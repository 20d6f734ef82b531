"""The engine: a Keras model in, passes with chosen layers random out.

In the order in which they build on each other: `private_keras` holds what Keras does not make
public, `masks` draws counter-based noise and `audit` finds the stochastic layers; `replica`,
`redirect` and `intercept` switch them on while `tracing` traces a copy of the model, with
`folding` and `shadow` for shared masks and half precision; `cutting` finds what runs once and
what runs once a pass, and `extraction` puts it into functions of its own; `program` compiles,
`sampling` sizes and runs, `running` takes data to predictions.
"""

from mcdrop.engine.backend import check_backend

# Before any module of the engine imports Keras, which would fail in words of its own.
check_backend()
