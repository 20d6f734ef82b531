"""Tests of saving and loading calibrators: mcdrop.recalibrate and its _io."""

import dataclasses
import json
import math
import os

import numpy as np
import pytest

from mcdrop import recalibrate
from mcdrop.errors import DataError
from mcdrop.recalibrate._predictions import ClassCalibrator


def fitted_calibrators():
    """Returns one fitted calibrator of each kind and variant."""
    generator = np.random.default_rng(0)
    samples = generator.dirichlet(np.ones(3), size=(4, 60))
    p = samples.mean(axis=0)
    y = np.array([generator.choice(3, p=row) for row in p])
    mean, targets = generator.normal(size=(2, 30))
    std = generator.uniform(0.5, 2, size=30)
    return [
        recalibrate.TemperatureScaling().fit(p, y),
        recalibrate.TemperatureScaling(apply_to="passes").fit(samples, y),
        recalibrate.VectorScaling(penalty=0.01).fit(p, y),
        recalibrate.IsotonicCalibration().fit(p, y),
        recalibrate.BetaCalibration().fit(p, y),
        recalibrate.VarianceScaling().fit(mean, std**2, targets),
        recalibrate.IsotonicQuantileCalibration().fit(generator.uniform(size=30)),
        recalibrate.SplitConformalClassifier(method="adaptive", level=0.8).fit(p, y),
        recalibrate.SplitConformalClassifier(level=0.99, class_conditional=True).fit(p, y),
        recalibrate.SplitConformalRegressor(offset=0.1).fit(mean, std, targets),
    ]


def name_of(calibrator):
    """Returns a test id."""
    return type(calibrator).__name__


@pytest.fixture
def saved(tmp_path):
    """A saved temperature and its document."""
    path = tmp_path / "calibrator.json"
    recalibrate.TemperatureScaling(temperature=2.5).save(path)
    return path, json.loads(path.read_text())


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        recalibrate.load(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', '{"format": "other"}', "[" * 5000])
def test_a_file_of_another_format_is_an_error(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="is not a saved calibrator"):
        recalibrate.load(path)


def test_bytes_that_are_no_text_and_pipes_are_errors(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\x80abc")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("bytes.json", "pipe.json"):
        with pytest.raises(DataError, match=name):
            recalibrate.load(tmp_path / name)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 2, "has format version 2, this mcdrop reads 1"),
        ("kind", "PlattScaling", "holds a PlattScaling"),
        ("kind", None, "is damaged"),
        ("fields", [], "is damaged"),
        ("fields", {"temperature": 2.0}, "expected.*apply_to"),
        ("fields", {"apply_to": "logits", "temperature": 2.0}, "is damaged.*'logits'"),
        ("fields", {"apply_to": "passes", "temperature": -1.0}, "is damaged.*-1.0"),
        ("fields", {"apply_to": "passes", "temperature": "hot"}, "is damaged.*'hot'"),
    ],
)
def test_a_changed_document_is_an_error(saved, key, value, message):
    path, document = saved
    path.write_text(json.dumps(document | {key: value}))
    with pytest.raises(DataError, match=message):
        recalibrate.load(path)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("VectorScaling", {"penalty": 0.0, "weights": [1.0, 1.0], "biases": [0.0]}),
        ("VectorScaling", {"penalty": 0.0, "weights": [1.0, 1.0], "biases": None}),
        ("VectorScaling", {"penalty": 0.0, "weights": [1.0, "a"], "biases": [0.0, 0.0]}),
        ("IsotonicCalibration", {"curves": [[[0.0, 1.0], [0.9, 0.1]]]}),
        ("IsotonicCalibration", {"curves": [[[0.0, 1.0], [0.5]]]}),
        ("IsotonicCalibration", {"curves": 3}),
        ("BetaCalibration", {"parameters": [[1.0, 1.0]]}),
        ("BetaCalibration", {"parameters": [[-1.0, 1.0, 0.0]]}),
        ("VarianceScaling", {"factors": [0.0]}),
        ("IsotonicQuantileCalibration", {"predicted": [0.0, 1.0], "observed": None}),
        ("IsotonicQuantileCalibration", {"predicted": [0.0, 1.0], "observed": [1.0, 0.0]}),
        ("SplitConformalRegressor", {"level": 0.9, "offset": 0.0, "thresholds": [-1.0]}),
        ("SplitConformalRegressor", {"level": 0.9, "offset": 0.0, "thresholds": []}),
    ],
)
def test_impossible_fitted_numbers_are_an_error(saved, kind, fields):
    path, document = saved
    path.write_text(json.dumps(document | {"kind": kind, "fields": fields}))
    with pytest.raises(DataError, match="is damaged"):
        recalibrate.load(path)


def test_loading_through_another_class_is_an_error(saved):
    with pytest.raises(DataError, match="holds a TemperatureScaling, expected a VectorScaling"):
        recalibrate.VectorScaling.load(saved[0])


@pytest.mark.parametrize("calibrator", fitted_calibrators(), ids=name_of)
def test_a_loaded_calibrator_equals_the_saved_one_to_the_bit(tmp_path, calibrator):
    path = tmp_path / "calibrator.json"
    calibrator.save(path)
    assert recalibrate.load(path) == calibrator
    assert type(calibrator).load(path) == calibrator


def test_the_file_is_strict_json_also_with_an_infinite_threshold(tmp_path):
    path = tmp_path / "calibrator.json"
    unlimited = recalibrate.SplitConformalRegressor(thresholds=(math.inf, 1.0))
    unlimited.save(path)

    def refuse(constant):
        raise ValueError(constant)

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["fields"]["thresholds"] == ["inf", 1.0]
    assert recalibrate.load(path) == unlimited


@pytest.mark.parametrize("calibrator", fitted_calibrators(), ids=name_of)
def test_calibrators_are_frozen(calibrator):
    field = dataclasses.fields(calibrator)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(calibrator, field, None)


@pytest.mark.parametrize("kind", recalibrate.KINDS.values())
def test_a_calibrator_that_is_not_fitted_says_so(kind):
    arguments = {
        "SplitConformalRegressor": ([0.0], [1.0]),
        "VarianceScaling": ([1.0],),
        "IsotonicQuantileCalibration": ([0.5],),
    }
    with pytest.raises(DataError, match=f"This {kind.__name__} is not fitted"):
        kind().transform(*arguments.get(kind.__name__, ([[0.5, 0.5]],)))


def test_every_calibrator_can_be_loaded_and_is_public():
    bases = {recalibrate.Calibrator, ClassCalibrator}
    classes = {kind for base in bases for kind in base.__subclasses__()} - bases
    assert set(recalibrate.KINDS.values()) == classes
    assert set(recalibrate.KINDS) <= set(recalibrate.__all__)
    assert sorted(recalibrate.__all__) == recalibrate.__all__
