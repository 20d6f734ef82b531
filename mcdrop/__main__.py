"""Runs the command line as `python -m mcdrop`."""

import sys

from mcdrop.cli import main

sys.exit(main())
