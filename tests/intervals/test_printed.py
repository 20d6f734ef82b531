"""What compare prints: never a width of 0, and never a tighter bound for one error more."""

import numpy as np
import pytest

import mcdrop


@pytest.mark.parametrize("errors", [0, 1, 2, 5])
def test_equal_answers_do_not_make_a_difference_certain(errors):
    generator = np.random.default_rng(errors)
    top = generator.uniform(0.7, 0.99, 100)
    labels = (np.arange(100) < errors).astype(int)
    forecasts = {
        name: np.stack([p, 1 - p], axis=1)
        for name, p in (("plain", top), ("other", np.clip(top + 0.005 * labels, 0, 1)))
    }
    names = ["accuracy", "macro_f1", "macro_recall", "macro_precision", "brier_resolution"]
    found = mcdrop.compare(
        forecasts, labels, task="classification", metrics=names, num_resamples=100
    )
    for name in names:
        for estimate in (*found[name].estimates.values(), found[name].differences["other"]):
            assert estimate.reason or estimate.low < estimate.high


WORSENED = (
    *("accuracy", "negative_log_likelihood", "brier_score", "area_under_risk_coverage"),
    *("area_under_generalized_risk_coverage", "risk_at_coverage", "coverage_at_risk"),
    *("macro_precision", "macro_recall", "macro_f1"),
)
"""Scores that no error betters."""

DIFFERENCES_WORSENED = (
    *("accuracy", "negative_log_likelihood", "brier_score", "risk_at_coverage"),
    *("macro_precision", "macro_recall", "macro_f1"),
)
"""Scores of whose differences no other error can make up for one."""


def drawn(seed):
    """Returns two forecasts of a few examples in three classes, and labels."""
    generator = np.random.default_rng(seed)
    count = int(generator.choice([40, 80]))
    logits = generator.choice([1.5, 3.0, 6.0]) * generator.normal(size=(count, 3))
    tables = softmax(logits), softmax(logits + generator.normal(size=logits.shape))
    if seed % 3 == 0:  # tied confidences
        tables = tuple(
            (p.round(1) + 0.01) / (p.round(1) + 0.01).sum(1, keepdims=True) for p in tables
        )
    labels = tables[0].argmax(axis=1)
    errors = int(generator.choice([0, 1, 2, 3, 5, 10]))
    wrong = generator.choice(count, errors, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 3, errors)) % 3
    return tables[0], tables[1], labels, generator


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def printed(forecasts, labels, metrics):
    found = mcdrop.compare(
        forecasts, labels, task="classification", metrics=list(metrics), num_resamples=100
    )
    return {name: found[name] for name in metrics if name not in found.omitted}


def ends(metric, estimate):
    """Returns the ends so that higher is better, the worse one first."""
    sign = 1.0 if metric.better == "higher" else -1.0
    return sorted([sign * estimate.low, sign * estimate.high])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["another label", "another answer"])
def test_one_error_more_never_gives_a_tighter_bound(kind, seed):
    first, _, labels, generator = drawn(seed)
    before = printed({"first": first}, labels, WORSENED)
    err_once_more(kind, first, labels, generator)
    after = printed({"first": first}, labels, WORSENED)
    for name, metric in before.items():
        old, new = (ends(metric, each[name].estimates["first"]) for each in (before, after))
        assert not new[0] > old[0] + 1e-9, name
        assert not new[1] > old[1] + 1e-9, name


def err_once_more(kind, first, labels, generator):
    """Makes one right answer of the first forecast a wrong one."""
    place = generator.choice(np.flatnonzero(first.argmax(axis=1) == labels))
    other = (labels[place] + generator.integers(1, 3)) % 3
    if kind == "another label":
        labels[place] = other
    else:
        first[place, [labels[place], other]] = first[place, [other, labels[place]]]


@pytest.mark.parametrize("seed", range(8))
def test_one_error_more_never_gives_a_tighter_bound_of_a_difference(seed):
    first, second, labels, generator = drawn(seed)
    before = printed({"first": first, "second": second}, labels, DIFFERENCES_WORSENED)
    err_once_more("another answer", first, labels, generator)
    after = printed({"first": first, "second": second}, labels, DIFFERENCES_WORSENED)
    for name, metric in before.items():
        # The second less the first: what worsens the first raises it.
        old, new = (ends(metric, each[name].differences["second"]) for each in (before, after))
        assert not new[1] < old[1] - 1e-9, name


@pytest.mark.parametrize("seed", [1, 2])
def test_company_moves_no_value_and_no_limit_that_needs_no_resamples(seed):
    first, second, labels, _ = drawn(seed)
    names = (*WORSENED, "expected_calibration_error")
    alone = printed({"first": first}, labels, names)
    beside = printed({"first": first, "second": second}, labels, names)
    for name, metric in alone.items():
        old, new = metric.estimates["first"], beside[name].estimates["first"]
        assert old.value == new.value
        moved = max(abs(old.low - new.low), abs(old.high - new.high))
        is_exact = name == "accuracy" or name.startswith("macro")
        assert not moved > (0.0 if is_exact else 0.3 * (old.high - old.low)), name


def test_a_width_of_rounding_alone_is_no_width():
    tables = np.tile([0.97, 0.03], (50, 1))  # every resample of the resolution is 0 but for 1e-31
    metric = printed({"first": tables}, np.zeros(50, int), ["brier_resolution"])["brier_resolution"]
    assert metric.estimates["first"].reason
