"""The one writer of outputs: whole or not at all, and never over what mcdrop did not write."""

from mcdrop.files.outputs import Kind as Kind
from mcdrop.files.outputs import Output as Output
from mcdrop.files.outputs import claim as claim
from mcdrop.files.outputs import replaced as replaced
from mcdrop.files.signals import Stopped as Stopped

__all__ = ["Kind", "Output", "Stopped", "claim", "replaced"]
