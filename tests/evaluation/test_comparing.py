"""Any number of forecasts side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from benchmarks.self_comparison import METRICS, called_better
from mcdrop import intervals
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError

FEW = {"num_resamples": 100}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def classes():
    """Returns two predictions and a plain array of probabilities, with labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=300)
    logits = generator.normal(size=(300, 4)) + 2.0 * np.eye(4)[labels]

    def sampled(spread):
        passes = softmax(logits + spread * generator.normal(size=(12, 300, 4)))
        return from_samples(passes, softmax(logits), task="classification")

    plain = softmax(0.5 * logits + 0.3 * generator.normal(size=(300, 4)))
    return {"a": sampled(0.5), "b": sampled(1.0), "plain": plain}, labels


def test_what_cannot_be_compared_is_refused(classes):
    forecasts, labels = classes
    with pytest.raises(DataError, match="dict of forecasts by name"):
        mcdrop.compare([forecasts["a"]], labels)
    with pytest.raises(DataError, match="key 0, expected names"):
        mcdrop.compare({0: forecasts["a"]}, labels)
    with pytest.raises(DataError, match="`reference` is 'c', expected one of 'a'"):
        mcdrop.compare({"a": forecasts["a"]}, labels, reference="c")
    with pytest.raises(DataError, match="Give `task`"):
        mcdrop.compare({"plain": forecasts["plain"]}, labels)
    with pytest.raises(DataError, match="different tasks"):
        mcdrop.compare({"a": forecasts["a"]}, labels, task="regression")
    with pytest.raises(DataError, match=r"different shapes.*plain: \(300, 3\)"):
        mcdrop.compare({"a": forecasts["a"], "plain": np.full((300, 3), 1 / 3)}, labels)
    with pytest.raises(DataError, match="num_resamples"):
        mcdrop.compare(forecasts, labels, num_resamples=7)


def test_impossible_values_are_refused_with_their_row(classes):
    forecasts, labels = classes
    broken = forecasts["a"].mean.copy()
    broken[17, 2] = np.nan
    with pytest.raises(DataError, match=r"\(17, 2\)"):
        mcdrop.compare({"a": replace(forecasts["a"], mean=broken)}, labels)
    with pytest.raises(DataError, match=r"\(17, 2\)"):
        mcdrop.compare({"a": forecasts["a"], "b": broken}, labels)
    unsummed = forecasts["a"].mean.copy()
    unsummed[5] = 0.5
    with pytest.raises(DataError, match=r"sum to 1.*\(5,\)"):
        mcdrop.evaluate(replace(forecasts["a"], mean=unsummed), labels)
    negative = forecasts["a"].variance.copy()
    negative[3, 1] = -1.0
    with pytest.raises(DataError, match=r"variance.*-1 at index \(3, 1\)"):
        mcdrop.evaluate(replace(forecasts["a"], variance=negative), labels)
    with pytest.raises(DataError, match="masked"):
        mcdrop.compare(forecasts, np.ma.masked_equal(labels, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "evil"}, "task 'evil'"),
        ({"mean": np.ones((3, 4)) / 4}, "shape"),
        ({"num_samples": 3}, "num_samples"),
        ({"masks": "none"}, "masks"),
    ],
)
def test_a_file_that_holds_what_no_sampling_gives_is_refused(classes, tmp_path, changes, message):
    path = tmp_path / "prediction.npz"
    replace(classes[0]["a"], **changes).save(path)
    with pytest.raises(DataError, match=message):
        mcdrop.Prediction.load(path)


def test_the_frame_has_a_row_for_each_metric_and_forecast(classes):
    forecasts, labels = classes
    frame = mcdrop.compare(forecasts, labels, reference="b", **FEW).to_frame()
    assert list(frame.columns) == [
        *("metric", "forecast", "value", "low", "high"),
        *("difference", "difference_low", "difference_high"),
    ]
    rows = frame[frame.metric == "accuracy"].set_index("forecast")
    assert list(rows.index) == ["a", "b", "plain"]
    assert np.isnan(rows.loc["b", "difference"])
    assert rows.loc["a", "difference"] == pytest.approx(rows.loc["a", "value"] - rows.value["b"])
    assert "plain" not in set(frame[frame.metric == "mutual_information"].forecast)


def test_evaluate_is_the_comparison_of_both_sides(classes):
    forecasts, labels = classes
    prediction = forecasts["a"]
    both = {"Monte Carlo": prediction, "deterministic": prediction.deterministic}
    compared = mcdrop.compare(both, labels, reference="deterministic", metrics="all", **FEW)
    evaluated = mcdrop.evaluate(prediction, labels, metrics="all", **FEW)
    for metric in evaluated.comparisons:
        assert compared[metric.name].estimates["Monte Carlo"] == metric.monte_carlo
        assert compared[metric.name].differences.get("Monte Carlo") == metric.difference


def test_any_two_forecasts_have_a_difference_and_its_mirror(classes):
    forecasts, labels = classes
    compared = mcdrop.compare(forecasts, labels, **FEW)
    for name in ("accuracy", "brier_score", "area_under_risk_coverage"):
        there = compared.difference(name, "b", "plain")
        back = compared.difference(name, "plain", "b")
        assert there.value == -back.value
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), rel=0.2)
    shown = compared["accuracy"].differences["b"]
    assert compared.difference("accuracy", "b", "a") == shown
    with pytest.raises(DataError, match="no forecast of a, b, plain"):
        compared.difference("accuracy", "b", "c")
    with pytest.raises(DataError, match="has no mutual_information"):
        compared.difference("mutual_information", "a", "plain")


def test_shares_without_passes_have_the_exact_interval(classes):
    _, labels = classes
    probabilities = np.where(np.eye(4)[labels] > 0, 0.97, 0.01)
    found = mcdrop.compare({"x": probabilities}, labels, task="classification", **FEW)
    estimate = found["accuracy"].estimates["x"]
    exact = intervals.share(300, 300)
    assert (estimate.low, estimate.high) == (exact.low, exact.high)
    assert estimate.monte_carlo_error is None


@pytest.mark.parametrize("num_errors", [0, 1, 2, 3, 5])
def test_one_error_more_never_gives_a_tighter_bound(num_errors):
    labels = np.zeros(200, int)
    probabilities = np.tile([0.97, 0.03], (200, 1))
    probabilities += np.linspace(-0.01, 0.01, 200)[:, None] * [1, -1]
    lows = []
    for count in (num_errors, num_errors + 1):
        labels[:] = 0
        labels[:count] = 1
        found = mcdrop.compare({"x": probabilities}, labels, task="classification")
        lows.append(found["accuracy"].estimates["x"].low)
        assert found["brier_score"].estimates["x"].high > found["brier_score"].estimates["x"].value
    assert lows[1] < lows[0]


def test_no_interval_without_errors_collapses_or_leaves_the_range():
    generator = np.random.default_rng(0)
    certain = generator.uniform(0.9, 0.99, size=200)
    probabilities = np.stack([certain, 1 - certain], axis=1)
    found = mcdrop.compare(
        {"x": probabilities}, np.zeros(200, int), task="classification", metrics="all", **FEW
    )
    for metric in found.metrics:
        estimate = metric.estimates["x"]
        assert estimate.reason or 0.0 <= estimate.low < estimate.high, metric.name
    assert "nothing to tell apart" in found.omitted["error_detection_auroc"]


def test_an_area_of_one_error_has_a_reason_and_no_interval():
    generator = np.random.default_rng(0)
    certain = generator.uniform(0.9, 0.99, size=200)
    probabilities = np.stack([certain, 1 - certain], axis=1)
    labels = np.zeros(200, int)
    labels[7] = 1
    found = mcdrop.compare({"x": probabilities}, labels, task="classification", **FEW)
    estimate = found["error_detection_auroc"].estimates["x"]
    assert np.isnan(estimate.low)
    assert "fewer than 2" in estimate.reason
    assert f"No interval of x Error detection AUROC: {estimate.reason}." in found.to_text()


def test_point_values_alone_come_without_intervals(classes):
    forecasts, labels = classes
    points = mcdrop.compare(forecasts, labels, num_resamples=0)
    whole = mcdrop.compare(forecasts, labels, **FEW)
    for metric in points.metrics:
        for name, estimate in metric.estimates.items():
            assert estimate.value == whole[metric.name].estimates[name].value
            assert np.isnan(estimate.low)
            assert estimate.reason


def test_the_mutual_information_is_the_part_of_the_entropy_that_it_should_be(classes):
    forecasts, labels = classes
    found = mcdrop.compare(forecasts, labels, **FEW)
    parts = [found[n].estimates["b"].value for n in ("expected_entropy", "mutual_information")]
    assert sum(parts) == pytest.approx(found["predictive_entropy"].estimates["b"].value)
    assert "not corrected" in found["mutual_information"].note


@pytest.mark.parametrize("task", ["binary", "multilabel", "regression", "gaussian"])
def test_arrays_of_every_task_are_forecasts(task):
    generator = np.random.default_rng(1)
    if task == "regression":
        values, y = generator.normal(size=60), generator.normal(size=60)
    elif task == "gaussian":
        values, y = (generator.normal(size=60), np.ones(60)), generator.normal(size=60)
    else:
        shape = (60,) if task == "binary" else (60, 3)
        values, y = generator.random(shape), generator.integers(2, size=shape)
    found = mcdrop.compare({"x": values}, y, task=task, metrics="all", **FEW)
    assert all(np.isfinite(metric.estimates["x"].value) for metric in found.metrics)
    assert ("log_likelihood" in {m.name for m in found.metrics}) == (task == "gaussian")


def test_the_forms_are_plain_and_escaped(classes):
    forecasts, labels = classes
    found = mcdrop.compare({"<b>": forecasts["a"], "plain": forecasts["plain"]}, labels, **FEW)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["forecasts"] == ["<b>", "plain"]
    for shown in (found, forecasts["a"], mcdrop.evaluate(forecasts["a"], labels, **FEW)):
        html = shown._repr_html_()
        assert "<table" in html
        assert "<b>" not in html
        assert "<script" not in html
        assert "<style" not in html


def test_a_repair_of_the_same_passes_shares_their_noise(classes):
    forecasts, labels = classes
    calibrator = mcdrop.recalibrate.TemperatureScaling(temperature=1.01)
    repaired = calibrator.apply(forecasts["b"])
    found = mcdrop.compare({"as it was": forecasts["b"], "repaired": repaired}, labels, **FEW)
    side = found["negative_log_likelihood"].estimates["repaired"].monte_carlo_error
    apart = found["negative_log_likelihood"].differences["repaired"].monte_carlo_error
    assert apart < 0.2 * side


@pytest.mark.parametrize("masks", ["independent", "shared"])
def test_a_model_is_seldom_called_better_than_itself(masks):
    pairs = 12
    counts = called_better(pairs, 10, masks, metrics=METRICS[:3], num_resamples=100)
    # With a chance of 5% more than 4 of 12 come once in 400 times; without the noise of the
    # passes 3 of 5 comparisons with shared masks are called clear.
    assert max(counts.values()) <= 4


def test_a_difference_that_no_example_has_shown_yet_has_no_interval() -> None:
    generator = np.random.default_rng(0)
    passes = generator.dirichlet(np.ones(3), (4, 12))
    forecast = from_samples(passes, passes.mean(0), task="classification")
    labels, names = np.zeros(12, int), ["coverage_at_risk", "brier_resolution", "accuracy"]
    other = mcdrop.compare(
        {"a": forecast, "b": passes[0]}, labels, metrics=names, task="classification"
    ).to_frame()
    same = mcdrop.compare(
        {"a": passes[0], "b": passes[0]}, labels, metrics=names, task="classification"
    ).to_frame()
    row = other.set_index(["metric", "forecast"]).loc[("coverage_at_risk", "b")]
    assert row["difference"] == 0.0  # neither reaches the risk on these twelve
    assert np.isnan(row["difference_low"])
    assert not (other["difference_low"] == other["difference_high"]).any()
    assert (same["difference_low"] == same["difference_high"]).any()  # equal whatever comes
