"""Monte Carlo dropout uncertainty for trained Keras models.

Example:
    mc = mcdrop.MCDropout(keras.models.load_model("model.keras"))
    prediction = mc.predict(x, num_samples=50, seed=0)
    evaluation = mcdrop.evaluate(prediction, y)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcdrop.accumulation import from_samples as from_samples
    from mcdrop.engine.audit import StochasticLayer as StochasticLayer
    from mcdrop.engine.audit import register as register
    from mcdrop.errors import DataError as DataError
    from mcdrop.errors import DataWarning as DataWarning
    from mcdrop.errors import McdropError as McdropError
    from mcdrop.errors import ModelError as ModelError
    from mcdrop.errors import ModelWarning as ModelWarning
    from mcdrop.estimator import MCDropoutClassifier as MCDropoutClassifier
    from mcdrop.estimator import MCDropoutRegressor as MCDropoutRegressor
    from mcdrop.evaluation import Comparison as Comparison
    from mcdrop.evaluation import Evaluation as Evaluation
    from mcdrop.evaluation import compare as compare
    from mcdrop.evaluation import evaluate as evaluate
    from mcdrop.prediction import Prediction as Prediction
    from mcdrop.predictor import MCDropout as MCDropout
    from mcdrop.targets import PredictionWithTargets as PredictionWithTargets

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "evaluation",
    "DataError": "errors",
    "DataWarning": "errors",
    "Evaluation": "evaluation",
    "MCDropout": "predictor",
    "MCDropoutClassifier": "estimator",
    "MCDropoutRegressor": "estimator",
    "McdropError": "errors",
    "ModelError": "errors",
    "ModelWarning": "errors",
    "Prediction": "prediction",
    "PredictionWithTargets": "targets",
    "StochasticLayer": "engine.audit",
    "compare": "evaluation",
    "evaluate": "evaluation",
    "from_samples": "accumulation",
    "register": "engine.audit",
}
_MODULES = (
    "acquisition",
    "distributed",
    "layers",
    "metrics",
    "plot",
    "recalibrate",
    "report",
    "study",
)

__all__ = [*sorted(_HOMES), *_MODULES]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import mcdrop` stays light."""
    if name in _HOMES:
        return getattr(import_module(f"mcdrop.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"mcdrop.{name}")
    raise AttributeError(f"module 'mcdrop' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names, those not yet imported included."""
    return [*__all__, "__version__"]
