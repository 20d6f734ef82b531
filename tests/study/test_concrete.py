"""Concrete Dropout on the authors' synthetic data."""

import keras
import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.layers import ConcreteDropout
from mcdrop.study import concrete
from mcdrop.study.catalog import plan_study
from mcdrop.study.plan import Request
from study.reduced import run_reduced


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(concrete, "UNITS", 16)


def test_the_data_are_a_line_with_noise_of_one():
    x, y = concrete.synthetic(20_000, 0, which=0)
    slope, start = np.polyfit(x[:, 0], y, 1)
    assert slope == pytest.approx(2.0, abs=4 / np.sqrt(20_000))
    assert start == pytest.approx(8.0, abs=4 / np.sqrt(20_000))
    assert np.std(y - slope * x[:, 0] - start) == pytest.approx(1.0, abs=4 / np.sqrt(40_000))


def test_the_regularizers_are_those_of_the_paper(narrow):
    model = concrete.network(50, learned=True)
    layers = [layer for layer in model.layers if isinstance(layer, ConcreteDropout)]
    assert len(layers) == 5
    assert {layer.weight_regularizer for layer in layers} == {1e-8 / 50}
    assert {layer.dropout_regularizer for layer in layers} == {2 / 50}


def test_the_loss_is_that_of_a_gaussian_but_for_factors():
    outputs = keras.ops.convert_to_tensor([[1.0, np.log(4.0)], [0.0, 0.0]])
    loss = concrete._heteroscedastic_loss(keras.ops.convert_to_tensor([3.0, 2.0]), outputs)
    np.testing.assert_allclose(loss, [1.0 + np.log(4.0), 4.0], rtol=1e-6)


def test_the_study_in_small(tmp_path, narrow):
    _, runs, page, _ = run_reduced("concrete", tmp_path, train_size=10, epochs=1)
    assert runs["examples"].tolist() == [10, 10]
    learned = runs[runs["setting"] == "synthetic, learned rates"]
    assert learned[[f"rate_{place}" for place in range(1, 6)]].notna().all(axis=None)
    assert (runs["epistemic"] > 0.0).all()
    assert "1.092" in page  # the authors' number beside ours


def test_fewer_examples_than_the_smallest_size_are_refused():
    with pytest.raises(DataError, match="at least 10"):
        plan_study("concrete", Request("digits", 1, 1, 2, train_size=5))
