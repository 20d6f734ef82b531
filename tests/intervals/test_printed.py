"""What compare prints of forecasts that answer alike: never a width of 0."""

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
