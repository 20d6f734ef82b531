"""Predictions on many machines: the numbers of one process, whatever the machines do."""

from mcdrop.distributed.predictor import Predictor as Predictor

__all__ = ["Predictor"]
