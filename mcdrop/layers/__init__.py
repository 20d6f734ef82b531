"""Keras layers for training that `MCDropout` samples afterwards: dropout with a learned rate."""

import mcdrop.engine  # noqa: F401 (refuses another backend before Keras is imported)
from mcdrop.layers.concrete import ConcreteDropout as ConcreteDropout
from mcdrop.layers.concrete import SpatialConcreteDropout2D as SpatialConcreteDropout2D

__all__ = ["ConcreteDropout", "SpatialConcreteDropout2D"]
