"""The exceptions that mcdrop raises on purpose.

McdropError
├── ModelError(ValueError)    the model cannot be sampled as asked
│   └── NoDropoutError        nothing in it would be random
└── DataError(ValueError)     arrays or files that do not fit what was asked

The command line turns any of them into one line and exit status 1; every other
exception is a defect of mcdrop and keeps its traceback.
"""


class McdropError(Exception):
    """Base class of the errors that mcdrop raises on purpose."""


class ModelError(McdropError, ValueError):
    """The model cannot be loaded, or cannot be sampled as asked."""


class NoDropoutError(ModelError):
    """Nothing in the model would be random, so that every pass would be the same."""


class DataError(McdropError, ValueError):
    """An array, a file or an argument does not fit what was asked."""


class ModelWarning(UserWarning):
    """The model can be sampled, but part of it behaves in a way the user should know."""


class DataWarning(UserWarning):
    """The data can be used, but part of what they say has no effect."""
