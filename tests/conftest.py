"""Evaluations of every task, small and made without Keras."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import mcdrop

NUM_SAMPLES = 20
NUM_RESAMPLES = 100


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def digits_passes(images, num_samples, seed=0):
    """A linear classifier of the digits, fitted in closed form, with dropout on its inputs."""
    digits = load_digits()
    inputs = digits.images[:600].reshape(600, -1) / 16.0
    targets = np.eye(10)[digits.target[:600]]
    weights = np.linalg.solve(inputs.T @ inputs + 5.0 * np.eye(64), inputs.T @ targets)
    rows = images.reshape(len(images), -1) / 16.0
    generator = np.random.default_rng(seed)
    kept = generator.random((num_samples, *rows.shape)) >= 0.3
    return softmax(7.0 * (rows * kept / 0.7) @ weights), softmax(7.0 * rows @ weights)


@pytest.fixture(scope="session")
def images():
    return load_digits().images[600:900]


@pytest.fixture(scope="session")
def classification(images):
    samples, deterministic = digits_passes(images, NUM_SAMPLES)
    prediction = mcdrop.from_samples(samples, deterministic, task="classification")
    labels = load_digits().target[600:900]
    return mcdrop.evaluate(prediction, labels, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def out_of_distribution(images):
    """The same model's prediction of images whose pixels are shuffled."""
    order = np.random.default_rng(0).permutation(64)
    shuffled = images.reshape(len(images), -1)[:120, order]
    samples, deterministic = digits_passes(shuffled, NUM_SAMPLES)
    return mcdrop.from_samples(samples, deterministic, task="classification")


@pytest.fixture(scope="session")
def binary():
    generator = np.random.default_rng(1)
    logits = generator.normal(0.0, 2.0, 200)
    labels = (generator.random(200) < 1 / (1 + np.exp(-logits))).astype(int)
    samples = 1 / (1 + np.exp(-logits - generator.normal(0, 0.7, (NUM_SAMPLES, 200))))
    prediction = mcdrop.from_samples(samples, 1 / (1 + np.exp(-logits)), task="binary")
    return mcdrop.evaluate(prediction, labels, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def multilabel():
    generator = np.random.default_rng(2)
    logits = generator.normal(0.0, 2.0, (120, 3))
    labels = (generator.random((120, 3)) < 1 / (1 + np.exp(-logits))).astype(int)
    samples = 1 / (1 + np.exp(-logits - generator.normal(0, 0.7, (NUM_SAMPLES, 120, 3))))
    prediction = mcdrop.from_samples(samples, 1 / (1 + np.exp(-logits)), task="multilabel")
    return mcdrop.evaluate(prediction, labels, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def segmentation():
    """Squares on a ground; the first two rows of each truth are void."""
    generator = np.random.default_rng(3)
    truth = np.zeros((6, 12, 12), int)
    truth[:, 4:8, 3:9] = 1
    truth[3:, 8:, :] = 2
    logits = 3.0 * np.eye(3)[truth] + generator.normal(0, 0.8, (6, 12, 12, 3))
    samples = softmax(logits + generator.normal(0, 1.0, (NUM_SAMPLES, *logits.shape)))
    truth[:, :2] = -1
    prediction = mcdrop.from_samples(samples, softmax(logits), task="classification")
    return mcdrop.evaluate(prediction, truth, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def correlated():
    """Images of nine pixels that are all right or all wrong, 70% of them right."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 200)
    answered = np.where(generator.random(200) < 0.7, truth, 1 - truth)
    pixels = np.eye(2)[np.repeat(answered[:, np.newaxis], 9, axis=1)] * 0.8 + 0.1
    prediction = mcdrop.from_samples(np.stack([pixels] * 2), pixels, task="classification")
    labels = np.repeat(truth[:, np.newaxis], 9, axis=1)
    return mcdrop.evaluate(prediction, labels, num_resamples=NUM_RESAMPLES)


def regression_passes(num_examples=150, seed=4):
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 2, num_examples)
    spread = 0.1 + 0.4 * (x > 0)
    targets = np.sin(x) + generator.normal(0, 1, num_examples) * spread
    samples = np.sin(x) + generator.normal(0, 1, (NUM_SAMPLES, num_examples)) * spread
    return samples, np.sin(x) + 0.05, targets, spread


@pytest.fixture(scope="session")
def regression():
    samples, deterministic, targets, _ = regression_passes()
    prediction = mcdrop.from_samples(samples, deterministic, task="regression")
    return mcdrop.evaluate(prediction, targets, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def outputs():
    """A regression with two outputs."""
    generator = np.random.default_rng(5)
    targets = generator.normal(0, [1.0, 10.0], (80, 2))
    samples = targets + generator.normal(0, [0.3, 3.0], (NUM_SAMPLES, 80, 2))
    prediction = mcdrop.from_samples(samples, targets + 0.1, task="regression")
    return mcdrop.evaluate(prediction, targets, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def gaussian():
    samples, deterministic, targets, spread = regression_passes()
    prediction = mcdrop.from_samples(
        samples * 0.2 + 0.8 * deterministic,
        deterministic,
        task="gaussian",
        variances=np.broadcast_to(spread**2, samples.shape),
        deterministic_variance=spread**2,
    )
    return mcdrop.evaluate(prediction, targets, num_resamples=NUM_RESAMPLES)


@pytest.fixture(scope="session")
def reconstruction(images):
    """A dense regression: images predicted from themselves."""
    truth = (images[:30] / 16.0)[..., np.newaxis]
    noise = np.random.default_rng(6).normal(0, 0.1, (NUM_SAMPLES, *truth.shape))
    prediction = mcdrop.from_samples(truth + noise, truth * 0.9, task="regression")
    return mcdrop.evaluate(prediction, truth, num_resamples=NUM_RESAMPLES)


TASKS = (
    *("classification", "binary", "multilabel", "segmentation"),
    *("regression", "outputs", "gaussian", "reconstruction"),
)


@pytest.fixture(scope="session", params=TASKS)
def any_evaluation(request):
    return request.getfixturevalue(request.param)
