"""Calibrations on disk: a calibrator, what it was made for, and what it promises."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop import recalibrate
from mcdrop.errors import DataError
from mcdrop.prediction import CLASS_TASKS, Prediction

CLASS_CALIBRATORS: dict[str, tuple[type[Any], str]] = {
    "temperature": (recalibrate.TemperatureScaling, "temperature scaling"),
    "vector": (recalibrate.VectorScaling, "vector scaling"),
    "beta": (recalibrate.BetaCalibration, "beta calibration"),
    "isotonic": (recalibrate.IsotonicCalibration, "isotonic calibration"),
}
CONFORMAL = ("conformal", "conformal-by-class")
CLASSES, VALUES = ("classification", "binary"), ("regression", "gaussian")

_SMALLEST_STD = 1e-3
"""Part of the mean deviation that is added to every one, since one of 0 has no interval."""

_MADE_FOR = "made_for"


def tasks_of(method: str) -> tuple[str, ...]:
    """Returns the tasks that a method repairs."""
    if method == "conformal":
        return (*CLASSES, *VALUES)
    return CLASSES if method in (*CLASS_CALIBRATORS, *CONFORMAL) else VALUES


def check_task(option: str, method: str, prediction: Prediction) -> None:
    """Raises DataError when a method does not apply to a prediction."""
    tasks = tasks_of(method)
    if prediction.task not in tasks or prediction.mean.ndim > 2:
        raise DataError(
            f"{option} {method} is for {' and '.join(tasks)} with one output vector an example; "
            f"this model's task is {prediction.task}, its output shape {prediction.mean.shape[1:]}."
        )


def fit(method: str, prediction: Prediction, y: NDArray[Any], level: float) -> Any:
    """Returns the calibrator of a method, fitted on a prediction of labelled examples.

    Raises:
        DataError: The labels do not fit, or have no best fit.
    """
    if method in CLASS_CALIBRATORS:
        return CLASS_CALIBRATORS[method][0]().fit(prediction.class_probabilities, y.reshape(-1))
    if method == "variance":
        values = y.reshape(prediction.mean.shape)
        return recalibrate.VarianceScaling().fit(prediction.mean, prediction.variance, values)
    if prediction.task in CLASS_TASKS:
        by_class = method == "conformal-by-class"
        sets = recalibrate.SplitConformalClassifier(level=level, class_conditional=by_class)
        return sets.fit(prediction.class_probabilities, y.reshape(-1))
    offset = _SMALLEST_STD * float(prediction.std.mean())
    intervals = recalibrate.SplitConformalRegressor(level=level, offset=offset)
    return intervals.fit(prediction.mean, prediction.std, y.reshape(prediction.mean.shape))


def name_of(method: str, calibrator: Any) -> str:
    """Returns the method in words, with its number where it has a single one."""
    if method == "temperature":
        return f"temperature scaling with a temperature of {calibrator.temperature:.3g}"
    if method in CLASS_CALIBRATORS:
        return CLASS_CALIBRATORS[method][1]
    return "variance scaling" if method == "variance" else "split conformal prediction"


@dataclass(frozen=True)
class MadeFor:
    """What a calibration was fitted on.

    Attributes:
        method: As `mcdrop calibrate --method` calls it.
        task: Task of the model.
        num_outputs: Classes of class tasks, else outputs.
        num_samples: Passes of the predictions.
        masks: Their masks.
        balanced: Whether the masks were balanced.
        splitting: Draws of each stage, as 7,1,16; "" for ordinary passes.
        num_examples: Examples of the calibration set.
        num_smallest: Examples of its rarest class; of all for other tasks.
        data_name: Name of the calibration set.
        fingerprint: Hash of its inputs.
        model: Hash of the weights of the model.
    """

    method: str
    task: str
    num_outputs: int
    num_samples: int
    masks: str
    balanced: bool
    splitting: str
    num_examples: int
    num_smallest: int
    data_name: str
    fingerprint: str
    model: str

    @classmethod
    def of(
        cls,
        method: str,
        prediction: Prediction,
        y: NDArray[Any],
        *,
        data_name: str,
        fingerprint: str,
        model: str,
    ) -> MadeFor:
        """Returns what a calibration fitted on this prediction is made for."""
        smallest = len(prediction)
        if prediction.task in CLASSES:
            labels = y.reshape(-1).astype(np.int64)
            smallest = int(np.bincount(labels, minlength=count_outputs(prediction)).min())
        return cls(
            method=method,
            task=prediction.task,
            num_outputs=count_outputs(prediction),
            num_samples=prediction.num_samples,
            masks=prediction.masks,
            balanced=prediction.balanced,
            splitting=_in_words(prediction),
            num_examples=len(prediction),
            num_smallest=smallest,
            data_name=data_name,
            fingerprint=fingerprint,
            model=model,
        )

    def check(self, path: Path, trial: Prediction, model: str) -> None:
        """Raises DataError when the calibration in `path` does not apply to such predictions."""
        found = (trial.task, count_outputs(trial))
        if found != (self.task, self.num_outputs) or trial.mean.ndim > 2:
            kind = "classes" if self.task in CLASSES else "outputs"
            raise DataError(
                f"{path} was made for {self.task} with {self.num_outputs} {kind}; this model's "
                f"task is {found[0]}, with {found[1]}. Make one with mcdrop calibrate."
            )
        if model != self.model:
            raise DataError(
                f"{path} was fitted on predictions of another model, or of this one with other "
                "weights, so it promises nothing here. Make one with mcdrop calibrate."
            )

    def differences(self, trial: Prediction, num_samples: int) -> str:
        """Returns in what the sampling differs from that of the fit, "" for nothing.

        Args:
            trial: A prediction of a few examples.
            num_samples: Passes of the predictions, where they share no masks.
        """
        found = []
        splitting = _in_words(trial)
        if splitting != self.splitting:
            found.append(f"{_split(self.splitting)}, not {_split(splitting)}")
        elif not splitting and num_samples != self.num_samples:
            found.append(f"{self.num_samples} passes, not {num_samples}")
        if (trial.masks, trial.balanced) != (self.masks, self.balanced):
            before = f"{'balanced ' * self.balanced}{self.masks}"
            found.append(f"{before} masks, not {'balanced ' * trial.balanced}{trial.masks}")
        return " and ".join(found)


def _in_words(prediction: Prediction) -> str:
    return ",".join(map(str, prediction.splitting or ()))


def _split(splitting: str) -> str:
    return f"--splitting {splitting}" if splitting else "ordinary passes"


def count_outputs(prediction: Prediction) -> int:
    """Returns the number of classes, or of the outputs of a regression."""
    if prediction.task in CLASSES:
        return int(prediction.class_probabilities.shape[-1])
    return int(prediction.mean.shape[1]) if prediction.mean.ndim > 1 else 1


@dataclass(frozen=True)
class Calibration:
    """A fitted calibrator with what it was made for."""

    calibrator: Any
    made_for: MadeFor

    def apply(self, prediction: Prediction) -> tuple[Prediction, dict[str, NDArray[Any]]]:
        """Returns the repaired prediction, and the columns that a conformal method adds."""
        if self.made_for.method not in CONFORMAL:
            return self.calibrator.apply(prediction), {}
        if self.made_for.task in CLASSES:
            sets = self.calibrator.transform(prediction.class_probabilities)
            columns = {f"in_set_{label}": sets[:, label] for label in range(sets.shape[1])}
            return prediction, {"set_size": sets.sum(axis=1)} | columns
        low, high = self.calibrator.transform(prediction.mean, prediction.std)
        if low.ndim == 1 or low.shape[1] == 1:
            ends = {"conformal_low": low.reshape(-1), "conformal_high": high.reshape(-1)}
            return prediction, ends
        columns = {}
        for output in range(low.shape[1]):
            columns[f"conformal_low_{output}"] = low[:, output]
            columns[f"conformal_high_{output}"] = high[:, output]
        return prediction, columns

    @property
    def adds_columns(self) -> bool:
        """Whether `apply` adds columns, for which a saved prediction has no place."""
        return self.made_for.method in CONFORMAL

    def guarantee(self) -> str:
        """Returns what may be expected of the calibration, in words."""
        made, count = self.made_for, f"{self.made_for.num_examples} examples"
        same = "for new examples of the same source as the calibration data"
        if made.method not in CONFORMAL:
            what = "probabilities" if made.task in CLASSES else "variances"
            name = name_of(made.method, self.calibrator)
            return f"{what} repaired by {name} on {count}; no guarantee, and only {same}"
        by_class = made.method == "conformal-by-class"
        fewest = made.num_smallest if by_class else made.num_examples
        of_one = "of each class " * by_class
        if fewest == 0:
            return f"a class without calibration examples is in every set; {count}"
        level = self.calibrator.level
        needed = math.ceil(level / (1.0 - level) - 1e-9)
        if fewest < needed:
            whole = "every set holds all classes" if made.task in CLASSES else "no interval ends"
            return (
                f"{whole}{' of a class with so few' * by_class}: {fewest} examples "
                f"{'of the rarest class ' * by_class}are too few for the level {level:.4g}, which "
                f"needs {needed}"
            )
        coverage = recalibrate.conformal_coverage(fewest, level=level)
        thing = "sets hold the label" if made.task in CLASSES else "intervals hold each target"
        return (
            f"{thing} {of_one}with probability at least {level:.4g} {same}, on average over "
            f"calibration sets; with this one of {count}"
            f"{f' ({fewest} of the rarest class)' * by_class} it lies between {coverage.low:.3f} "
            f"and {coverage.high:.3f} in 95% of cases"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns what --json says of it."""
        level = self.calibrator.level if self.made_for.method in CONFORMAL else None
        return asdict(self.made_for) | {"level": level, "guarantee": self.guarantee()}

    def save(self, path: Path) -> None:
        """Writes the file that `mcdrop.recalibrate.load` reads, with what it was made for."""
        self.calibrator.save(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        document[_MADE_FOR] = asdict(self.made_for)
        path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")


def load(path: Path) -> Calibration:
    """Reads a file that `Calibration.save` wrote.

    Raises:
        DataError: The file is missing, damaged, or no calibration of `mcdrop calibrate`.
    """
    calibrator = recalibrate.load(path)
    found = json.loads(path.read_text(encoding="utf-8")).get(_MADE_FOR)
    expected = MadeFor.__dataclass_fields__
    if isinstance(found, dict):
        found = {"splitting": ""} | found  # calibrations of before there was any
    if not isinstance(found, dict) or set(found) != set(expected):
        raise DataError(
            f"{path} does not say what it was made for. Make a calibration with mcdrop calibrate."
        )
    kinds = {"str": str, "int": int, "bool": bool}
    odd = [
        name for name, field in expected.items() if type(found[name]) is not kinds[str(field.type)]
    ]
    method = str(found["method"])
    known = method in (*CLASS_CALIBRATORS, *CONFORMAL, "variance")
    if odd or not known or found["task"] not in tasks_of(method):
        raise DataError(f"{path} is damaged: {(odd or ['method'])[0]!r} is none. Make it again.")
    calibration = Calibration(calibrator, MadeFor(**found))
    if not isinstance(calibrator, _class_of(method, found["task"])):
        raise DataError(f"{path} is damaged: it holds no {method} calibration. Make it again.")
    return calibration


def _class_of(method: str, task: str) -> type[Any]:
    if method in CLASS_CALIBRATORS:
        return CLASS_CALIBRATORS[method][0]
    if method == "variance":
        return recalibrate.VarianceScaling
    if task in CLASSES:
        return recalibrate.SplitConformalClassifier
    return recalibrate.SplitConformalRegressor


def fingerprint_of_model(model: Any) -> str:
    """Returns a hash of the weights of a Keras model."""
    found = Fingerprint()
    for place, weight in enumerate(model.weights):
        found.add({str(place): np.asarray(weight)})
    return found.digest()


class Fingerprint:
    """A hash of the inputs of a data set, the same however they are cut into blocks."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}

    @classmethod
    def of(cls, blocks: Iterable[Any]) -> str:
        """Returns the hash of a whole data set."""
        found = cls()
        for block in blocks:
            found.add(block)
        return found.digest()

    def add(self, block: Any) -> Any:
        """Takes in the next examples, and returns them."""
        if isinstance(block, Mapping):
            parts = {str(name): value for name, value in block.items()}
        else:
            listed = block if isinstance(block, list | tuple) else [block]
            parts = {str(place): value for place, value in enumerate(listed)}
        for name, value in parts.items():
            array = np.ascontiguousarray(value)
            if name not in self._hashes:
                self._hashes[name] = hashlib.blake2b(
                    f"{array.dtype} {array.shape[1:]}".encode(), digest_size=16
                )
            for data in _texts(array) if array.dtype.hasobject else (array,):
                self._hashes[name].update(data)
        return block

    def digest(self) -> str:
        """Returns the hash of all that was taken in."""
        whole = hashlib.blake2b(digest_size=16)
        for name in sorted(self._hashes):
            whole.update(f"{name} {self._hashes[name].hexdigest()} ".encode())
        return whole.hexdigest()


def _texts(array: NDArray[Any]) -> Iterator[bytes]:
    """Yields each text after its length, without which "ab", "c" would be "a", "bc"."""
    for value in array.flat:
        data = value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")
        yield b"%d:%s" % (len(data), data)
