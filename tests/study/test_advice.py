"""The study of common rules: the tutorials' networks, and what each is set beside."""

import keras
import numpy as np
import pytest

from mcdrop import MCDropout
from mcdrop.study import advice
from mcdrop.study.plan import Request
from mcdrop.study.running import execute
from mcdrop.study.training import pair_initial_weights

FEW = ("128-64, none", "128-64, 0.2 and 0.3", "128-64, dense in place", "spatial cnn, none")


@pytest.fixture
def plan(monkeypatch):
    """Returns the study of a few settings: compiling the networks of all takes half a minute."""
    for name in ("_GREY", "_GREY_REFERENCES"):
        monkeypatch.setattr(
            advice, name, {setting: getattr(advice, name)[setting] for setting in FEW}
        )
    request = Request("digits", seeds=1, epochs=1, num_samples=2, train_size=64, test_size=32)
    return advice.plan(request)


def build(setting, settings=advice._GREY, shape=(28, 28, 1)):
    network, arguments = settings[setting]
    return advice._BUILDERS[network](shape, 10, **arguments)


@pytest.mark.parametrize("settings", [advice._GREY, advice._COLOUR])
def test_without_dropout_is_the_same_network_without_its_dropout_layers(settings):
    dropouts = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
    for group in {name.split(", ")[0] for name in settings}:
        own = [name for name in settings if name.startswith(f"{group}, 0.") and "none" not in name]
        models = [build(name, settings, (32, 32, 3)) for name in (f"{group}, none", *own)]
        for model in models:
            pair_initial_weights(model, 5)
        plain, *dropped = (
            [layer for layer in model.layers if not isinstance(layer, dropouts)] for model in models
        )
        assert dropped
        for other in dropped:
            assert [type(layer) for layer in plain] == [type(layer) for layer in other]
        for model in models[1:]:
            pairs = zip(models[0].trainable_variables, model.trainable_variables, strict=True)
            assert all((np.asarray(a) == np.asarray(b)).all() for a, b in pairs)


def test_the_confusion_puts_dense_layers_in_place_of_dropout():
    dropped, confused = (build(f"128-64, {name}") for name in ("0.2 and 0.3", "dense in place"))
    kinds = [type(layer).__name__ for layer in dropped.layers]
    assert [name.replace("Dropout", "Dense") for name in kinds] == [
        type(layer).__name__ for layer in confused.layers
    ]
    assert confused.count_params() > dropped.count_params()


def test_a_learning_rate_is_the_optimizers():
    assert float(build("128-64, faster, none").optimizer.learning_rate) == pytest.approx(3e-3)


def test_augmentation_is_off_in_passes():
    model = build("colour cnn, 0.25, 0.25 and 0.5", advice._COLOUR, (32, 32, 3))
    sampled = {type(layer).__name__ for layer in model.layers} - {"Dropout"}
    mc = MCDropout(model, task="classification")
    assert len(mc.stochastic_layers) >= 3
    assert {layer.kind for layer in mc.stochastic_layers if layer.selected} == {"dropout"}
    assert "RandomFlip" in sampled


def test_every_setting_runs_and_has_its_sentence(plan):
    result = execute(plan)
    assert list(result.runs["setting"]) == list(FEW)
    sentences = plan.answers(result.runs, result.summary())
    assert len(sentences) == 3  # two beside none, and one beside the confusion
    confusion = [line for line in sentences if "against “128-64, dense in place”" in line]
    assert len(confusion) == 1
    assert "“128-64, 0.2 and 0.3”" in confusion[0]


def test_second_references_name_settings():
    for name, base in advice._SECOND_REFERENCES.items():
        assert name in advice._GREY
        assert base in advice._GREY
        assert advice._GREY_REFERENCES[name] != base


def test_coloured_images_train_the_network_for_them():
    assert set(advice._COLOUR_REFERENCES.values()) <= set(advice._COLOUR)
    assert set(advice._GREY_REFERENCES.values()) <= set(advice._GREY)
