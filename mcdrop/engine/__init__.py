"""The engine: a Keras model in, passes with chosen layers random out.

In the order in which they build on each other: `masks` draws counter-based noise and
`audit` finds the stochastic layers; `redirect` and `intercept` switch them on while a model
is traced; `graph` flattens and cuts it, with `folding` and `shadow` for shared masks and
half precision; `tracing` compiles, `sampling` sizes and runs, `running` takes data to
predictions.
"""
