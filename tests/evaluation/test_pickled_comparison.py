"""A pickled or copied comparison says what the original says."""

import copy
import pickle

import numpy as np
import pytest

import mcdrop


def _pickled(comparison):
    return pickle.loads(pickle.dumps(comparison))  # noqa: S301 (of our own making)


@pytest.mark.parametrize("again", [copy.deepcopy, _pickled])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_difference_survives(again, task):
    generator = np.random.default_rng(0)
    if task == "classification":
        y = generator.integers(3, size=40)
        values = {name: generator.dirichlet(np.ones(3), 40) for name in "abc"}
    else:
        y = generator.normal(size=40)
        values = {name: y + generator.normal(size=40) for name in "abc"}
    compared = mcdrop.compare(values, y, task=task, num_resamples=100)
    copied = again(compared)
    assert copied.to_dict() == compared.to_dict()
    for metric in compared.metrics:
        for first in "abc":
            for second in "abc":
                expected = repr(compared.difference(metric.name, first, second))
                assert repr(copied.difference(metric.name, first, second)) == expected
    assert again(copied).to_dict() == compared.to_dict()
