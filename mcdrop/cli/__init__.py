"""The command `mcdrop`; heavy packages are imported only by the command that needs them."""

from mcdrop.cli.main import main as main

__all__ = ["main"]
