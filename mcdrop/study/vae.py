"""Whether dropout makes a variational autoencoder worse: in the encoder, the decoder, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import BATCH_SIZE, load_images
from mcdrop.study.networks import dropout
from mcdrop.study.pictures import stretched, tiles
from mcdrop.study.plan import Found, Plan, Request, Row, Score, Tick
from mcdrop.study.running import grid_jobs, record_of
from mcdrop.study.training import Examples, Schedule, Sets, Trainer, as_monte_carlo, forward

Tensor = Any
Images = NDArray[Any]

LATENT = 16
RATES = (0.2, 0.4)
PLACES = {"encoder": (1, 0), "decoder": (0, 1), "both": (1, 1)}
_KINDS = ("Dropout", "SpatialDropout2D")
_NONE = "Dropout, none"
_SHOWN = 12
_SMALLEST = 1e-6

SCORES: Mapping[str, Score] = {
    "test_loss": Score("Test loss, reconstruction and KL", "nats", digits=2),
    "test_reconstruction": Score("Reconstruction", "nats", digits=2),
    "test_divergence": Score("KL divergence", "nats", digits=2),
    "validation_loss": Score("Validation loss", "nats", digits=2),
    "train_loss": Score("Training loss, dropout off", "nats", digits=2),
    "sharpness": Score("Sharpness of reconstructions, images 1", digits=3),
    "sample_sharpness": Score("Sharpness of samples, images 1", digits=3),
    "uncertainty": Score("Standard deviation of reconstructions over passes", digits=4),
}


def plan(request: Request) -> Plan:
    """Returns the study; every setting is set beside the same autoencoder without dropout."""
    sets = _grey(load_images(request))
    settings: dict[str, dict[str, Any]] = {_NONE: {}}
    for kind in _KINDS:
        for place, (encoder, decoder) in PLACES.items():
            for rate in RATES:
                settings[f"{kind}, {rate} in {place}"] = {
                    "kind": kind,
                    "encoder_rate": rate * encoder,
                    "decoder_rate": rate * decoder,
                }
    schedule = Schedule(request.epochs, BATCH_SIZE, request.num_samples)
    seeds = range(request.seeds)
    shape = sets.train.x.shape[1:]

    def build(**arguments: Any) -> keras.Model:
        return autoencoder(shape, **arguments)

    captions = "Images, reconstructions, samples, and the uncertainty of the reconstructions"
    return Plan(
        name="vae",
        question=STUDIES["vae"],
        settings=settings,
        references=dict.fromkeys(settings, _NONE),
        headline="Dropout, 0.2 in both",
        jobs=grid_jobs(build, settings, sets, seeds, schedule, work=_train, compile_once=True),
        record={**record_of(sets, seeds, schedule), "latent": LATENT},
        scores=SCORES,
        spoken=("test_loss", "test_reconstruction", "test_divergence", "sharpness"),
        drawn=("test_loss", "test_reconstruction", "test_divergence", "train_loss"),
        pictures={_slug(name): f"{name}: {captions}." for name in settings},
    )


def _slug(setting: str) -> str:
    return setting.lower().replace(", ", "-").replace(" ", "-")


def _grey(sets: Sets) -> Sets:
    """Returns the images in grey, as inputs and as targets.

    Raises:
        DataError: Height or width is no multiple of 4, which the two strides need.
    """
    height, width = sets.train.x.shape[1:3]
    if height % 4 or width % 4:
        raise DataError(
            f"The images have {height} by {width} pixels; the autoencoder takes multiples of 4."
        )

    def grey(examples: Examples) -> Examples:
        x = examples.x.mean(axis=-1, keepdims=True).astype(np.float32)
        return Examples(x, x)

    validation = None if sets.validation is None else grey(sets.validation)
    return replace(sets, train=grey(sets.train), test=grey(sets.test), validation=validation)


class Latent(keras.layers.Layer):
    """Draws the latent code in training, and is its mean in inference; adds the KL divergence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        """Returns codes of shape (N, L) from their means and log-variances, (N, 2 L)."""
        mean, log_variance = ops.split(inputs, 2, axis=-1)
        excess = ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance
        self.add_loss(0.5 * ops.mean(ops.sum(excess, axis=-1)))
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


def autoencoder(
    shape: tuple[int, ...],
    *,
    kind: str = "Dropout",
    encoder_rate: float = 0.0,
    decoder_rate: float = 0.0,
) -> keras.Model:
    """Returns a compiled convolutional autoencoder, its layers `encoder`, `latent`, `decoder`.

    Args:
        shape: Height, width and 1.
        kind: Name of the dropout layer of Keras behind each hidden convolution.
        encoder_rate: Rate in the encoder; at 0 there is no layer.
        decoder_rate: Rate in the decoder.
    """
    layers, make = keras.layers, getattr(keras.layers, kind)
    small = shape[0] // 4, shape[1] // 4, 32
    convolution = {"strides": 2, "padding": "same", "activation": "relu"}
    encoder = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(16, 3, **convolution),
            *dropout(encoder_rate, make),
            layers.Conv2D(32, 3, **convolution),
            *dropout(encoder_rate, make),
            layers.Flatten(),
            layers.Dense(2 * LATENT),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(small[0] * small[1] * small[2], activation="relu"),
            layers.Reshape(small),
            *dropout(decoder_rate, make),
            layers.Conv2DTranspose(16, 3, **convolution),
            *dropout(decoder_rate, make),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
        ],
        name="decoder",
    )
    inputs = keras.Input(shape)
    model = keras.Model(inputs, decoder(Latent(name="latent")(encoder(inputs))))
    model.compile("adam", _reconstruction)
    return model


def _reconstruction(targets: Tensor, outputs: Tensor) -> Tensor:
    """Returns the binary cross-entropy of each image, summed over its pixels."""
    entropy = keras.losses.binary_crossentropy(targets, outputs)
    return ops.sum(entropy, axis=(1, 2))


def _train(trainer: Trainer, setting: str, seed: int, tick: Tick) -> Found:
    """Returns the losses of each epoch, and for the first seed a sheet of pictures."""
    model, sets = trainer.model(seed), trainer.sets
    rows: list[Row] = []

    def measure(epoch: int, logs: Any) -> None:
        row: Row = {"setting": setting, "seed": seed, "epoch": epoch + 1}
        row["train_loss_with_dropout"] = float(logs["loss"])
        for name in ("train", "validation", "test"):
            row |= {
                f"{name}_{key}": value for key, value in losses(model, sets, name, seed).items()
            }
        rows.append(row)
        tick()

    trainer.train(model, seed, [keras.callbacks.LambdaCallback(on_epoch_end=measure)])
    x = sets.test.x
    codes = np.random.default_rng(seed).normal(size=(len(x), LATENT)).astype(np.float32)
    rebuilt, drawn = forward(model, x), forward(model.get_layer("decoder"), codes)
    original = sharpness(x)
    rows[-1] |= {
        "sharpness": sharpness(rebuilt) / original,
        "sample_sharpness": sharpness(drawn) / original,
    }
    sheet = [x[:_SHOWN], rebuilt[:_SHOWN], drawn[:_SHOWN]]
    if (mc := as_monte_carlo(model, "regression")) is not None:
        deviation = mc.predict(x, num_samples=trainer.schedule.num_samples, seed=seed).std
        rows[-1]["uncertainty"] = float(deviation.mean())
        sheet.append(stretched(deviation[:_SHOWN]))
    shown = tiles([images[..., 0] for images in sheet])
    return Found(rows, {_slug(setting): shown} if seed == 0 else {})


def losses(model: keras.Model, sets: Sets, name: str, seed: int) -> dict[str, float]:
    """Returns reconstruction, divergence and their sum with dropout off, in nats an image.

    The reconstruction is that of one drawn code an image, the same draws for every setting.
    """
    x = getattr(sets, name).x
    mean, log_variance = np.split(forward(model.get_layer("encoder"), x), 2, axis=1)
    noise = np.random.default_rng(seed).normal(size=mean.shape)
    codes = (mean + np.exp(0.5 * log_variance) * noise).astype(np.float32)
    outputs = np.clip(forward(model.get_layer("decoder"), codes), _SMALLEST, 1.0 - _SMALLEST)
    entropy = -(x * np.log(outputs) + (1.0 - x) * np.log1p(-outputs))
    excess = mean**2 + np.exp(log_variance) - 1.0 - log_variance
    reconstruction = float(entropy.sum(axis=(1, 2, 3)).mean())
    divergence = float(0.5 * excess.sum(axis=1).mean())
    return {
        "reconstruction": reconstruction,
        "divergence": divergence,
        "loss": reconstruction + divergence,
    }


def sharpness(images: Images) -> float:
    """Returns the mean absolute Laplacian: the less, the more blurred. 0 for constant images."""
    centre = 4.0 * images[:, 1:-1, 1:-1]
    around = images[:, :-2, 1:-1] + images[:, 2:, 1:-1] + images[:, 1:-1, :-2] + images[:, 1:-1, 2:]
    return float(np.abs(centre - around).mean())
