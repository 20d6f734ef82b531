"""Every kind of report page, from small data made or embedded, to look at and to test.

`make pages` writes them all; `python -m benchmarks.pages FOLDER NAME...` writes some.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from warnings import catch_warnings, simplefilter

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor

import mcdrop
from mcdrop import recalibrate, report
from mcdrop.cli.requirements import Requirement, judge
from mcdrop.report import Recalibration, ReportContext

write, compare = (partial(each, force=True) for each in (report.write, report.compare))

NUM_SAMPLES, NUM_RESAMPLES, RATE = 50, 200, 0.3
LONG_NAME = "a very long name of a class that somebody typed as a whole sentence, with details"
TWELVE_NAMES = (
    *("airplane", "马", "حصان", LONG_NAME, "Straße", "क्षत्रिय", "שלום", "a", "<b>bold</b>"),
    *("😀 cat", "ship/boat", "Donaudampfschifffahrtsgesellschaftskapitän"),
)
CONTEXT = ReportContext(
    model_name="runs/2026-11-28/digits_mlp.keras",
    data_name="digits.npz",
    command="mcdrop report runs/2026-11-28/digits_mlp.keras digits.npz --samples 50 --seed 0 "
    "--ood shuffled.npz --recalibrate temperature --calibration-data held_out.npz --output report",
    seed=0,
    versions={"mcdrop": mcdrop.__version__, "numpy": np.__version__},
    layers=(
        SimpleNamespace(path="dropout", kind="dropout", rate=RATE, selected=True, reason=""),
        SimpleNamespace(
            path="encoder/block_1/drop_path",
            kind="drop_path",
            rate=0.1,
            selected=False,
            reason="stochastic depth is sampled on request only",
        ),
    ),
    share_run_once=0.83,
    seconds=1.4,
    readings=("images of whole numbers up to 16, divided by 16",),
)

REQUIRED = (
    Requirement("accuracy", ">=", 0.9),
    Requirement("expected_calibration_error", "<=", 0.05),
)

Kind = Callable[[Path], Path]
KINDS: dict[str, Kind] = {}


def kind(make: Kind) -> Kind:
    """Registers a function that writes one page to a folder, by its name."""
    KINDS[make.__name__.replace("_", "-")] = make
    return make


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


def passes_of(net, x, num_samples=NUM_SAMPLES, rate=RATE, seed=0):
    """Outputs of a fitted perceptron of scikit-learn with dropout behind its hidden layer."""
    (first, last), (bias, end) = net.coefs_, net.intercepts_
    hidden = np.maximum(x @ first + bias, 0.0)
    generator = np.random.default_rng(seed)
    kept = generator.random((num_samples, *hidden.shape), np.float32) >= rate
    return (kept * (hidden / (1.0 - rate))) @ last + end, hidden @ last + end


def fitted(net, x, y):
    with catch_warnings():  # of too few iterations, which are enough here
        simplefilter("ignore")
        return net.fit(x, y)


@cache
def digits_net(units=64, seed=0):
    x, y = load_digits(return_X_y=True)
    net = MLPClassifier((units,), max_iter=30, random_state=seed, learning_rate_init=0.003)
    return fitted(net, x[:600] / 16.0, y[:600])


def digits_prediction(x, net=None, sharpness=1.0, **options):
    passes, plain = passes_of(net or digits_net(), x.reshape(len(x), -1) / 16.0, **options)
    return mcdrop.from_samples(
        softmax(sharpness * passes), softmax(sharpness * plain), task="classification"
    )


@cache
def digits(start=900, stop=1500):
    found = load_digits()
    return found.images[start:stop], found.target[start:stop]


def evaluate(prediction, y, **options):
    return mcdrop.evaluate(prediction, y, num_resamples=NUM_RESAMPLES, **options)


@cache
def digits_evaluation(sharpness=1.0, units=64, seed=0):
    x, y = digits()
    return evaluate(digits_prediction(x, digits_net(units, seed), sharpness), y)


def shuffled(x):
    order = np.random.default_rng(0).permutation(64)
    return x.reshape(len(x), -1)[:, order].reshape(x.shape)


@kind
def classes(folder):
    """All that a page of classes can hold: images, other data, a recalibration, warnings."""
    x, _ = digits()
    other = digits_prediction(shuffled(x[:200]), sharpness=2.0)
    evaluation = digits_evaluation(sharpness=2.0)
    held_out, labels = digits(600, 900)
    calibrator = recalibrate.TemperatureScaling().fit(
        digits_prediction(held_out, sharpness=2.0).mean, labels
    )
    repaired = calibrator.apply(evaluation.prediction)
    warned = evaluation.with_warnings({"range": "pixels reach 16: the model was made for 0 to 1."})
    return write(
        warned,
        folder,
        x=x,
        out_of_distribution=other,
        recalibration=Recalibration(repaired, "temperature scaling", 300, "held_out.npz"),
        context=replace(CONTEXT, requirements=judge(REQUIRED, evaluation)),
    )


@kind
def classes_10000(folder):
    """10,000 images: the page has to stay below 2 MB."""
    x, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    chosen = generator.integers(600, len(x), 10_000)
    images = np.clip(x[chosen] + generator.normal(0, 2.0, (10_000, 64)), 0, 16).reshape(-1, 8, 8)
    prediction = digits_prediction(images, num_samples=20)
    other = digits_prediction(shuffled(images[:2000]), num_samples=20)
    return write(evaluate(prediction, y[chosen]), folder, x=images, out_of_distribution=other)


def few(size, wrong):
    """The evaluation of some digits of which so many are answered wrongly."""
    x, y = digits()
    prediction = digits_prediction(x)
    missed = prediction.predicted_class != y
    chosen = np.concatenate([np.flatnonzero(missed)[:wrong], np.flatnonzero(~missed)])[:size]
    chosen = np.sort(chosen)
    return evaluate(prediction.take(chosen), y[chosen]), x[chosen]


def write_few(folder, size, wrong):
    evaluation, x = few(size, wrong)
    return write(evaluation, folder, x=x)


for name, size, wrong in (
    ("no-mistake", 300, 0), ("one-mistake", 300, 1), ("8-mistakes", 400, 8), ("12", 12, 2),
):  # fmt: skip
    KINDS[f"classes-{name}"] = partial(write_few, size=size, wrong=wrong)


def of_classes(num_classes, num_examples, sharpness=5.0, seed=0, num_samples=20):
    """An evaluation of answers among many classes, some of them never right."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, num_classes, num_examples)
    logits = generator.normal(0, 1.0, (num_examples, num_classes)).astype(np.float32)
    logits[np.arange(num_examples), y] += sharpness
    hard = y % 17 == 3
    logits[hard, (y[hard] + 1) % num_classes] += 1.2 * sharpness
    noise = generator.normal(0, 1.0, (num_samples, 1, num_classes)).astype(np.float32)
    prediction = mcdrop.from_samples(
        softmax(logits + noise), softmax(logits), task="classification"
    )
    return evaluate(prediction, y)


@kind
def classes_120(folder):
    return write(of_classes(120, 3000), folder, class_names=[f"breed {n:03}" for n in range(120)])


@kind
def classes_1000(folder):
    names = [f"n{n:08} of the thousand" for n in range(1000)]
    return write(of_classes(1000, 5000, 7.0, num_samples=10), folder, class_names=names)


@kind
def classes_names(folder):
    """Names that are long, of other scripts, or look like markup."""
    return write(of_classes(12, 600, 3.0), folder, class_names=TWELVE_NAMES)


@cache
def binary_evaluation():
    generator = np.random.default_rng(1)
    logits = generator.normal(-1.0, 2.0, 500)
    y = (generator.random(500) < sigmoid(logits)).astype(int)
    passes = sigmoid(1.6 * logits + generator.normal(0, 0.7, (NUM_SAMPLES, 500)))
    return evaluate(mcdrop.from_samples(passes, sigmoid(2.0 * logits), task="binary"), y)


@kind
def binary(folder):
    return write(binary_evaluation(), folder, class_names=["benign", "malignant"])


@kind
def multilabel(folder):
    generator = np.random.default_rng(2)
    logits = generator.normal([-2.0, -1.0, 0.0, 1.0, -1.0], 2.0, (300, 5))
    y = (generator.random((300, 5)) < sigmoid(logits)).astype(int)
    passes = sigmoid(logits + generator.normal(0, 0.7, (NUM_SAMPLES, 300, 5)))
    prediction = mcdrop.from_samples(passes, sigmoid(logits), task="multilabel")
    names = ["beach", "sunset", "trees", "field", "urban"]
    return write(evaluate(prediction, y), folder, class_names=names)


def shapes(num_images, side=32, seed=3):
    """Pictures of a square and a disc, and which pixel is which."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    truth = np.zeros((num_images, side, side), int)
    for image in truth:
        top, left, y, x = generator.integers(2, side - 12, 4)
        image[top : top + 10, left : left + 8] = 1
        image[(rows - y - 5) ** 2 + (columns - x - 5) ** 2 < 25] = 2
    noise = generator.normal(0, 0.12, truth.shape)
    return np.clip(np.array([0.15, 0.5, 0.85])[truth] + noise, 0, 1), truth


@kind
def segmentation(folder):
    images, truth = shapes(40)
    generator = np.random.default_rng(4)
    blurred = (images + np.roll(images, 1, 1) + np.roll(images, 1, 2)) / 3.0
    logits = -np.abs(blurred[..., np.newaxis] - [0.15, 0.5, 0.85]) * 9.0
    passes = softmax(logits + generator.normal(0, 0.8, (20, *logits.shape)))
    truth[:, :2] = -1
    prediction = mcdrop.from_samples(passes, softmax(logits), task="classification")
    names = ["ground", "square", "disc"]
    return write(evaluate(prediction, truth), folder, x=images, class_names=names)


@cache
def diabetes_passes(units=32, seed=0):
    x, y = load_diabetes(return_X_y=True)
    net = MLPRegressor(
        hidden_layer_sizes=(units,), max_iter=300, random_state=seed, learning_rate_init=0.02
    )
    fitted(net, 20.0 * x[:200], y[:200] / 50.0)
    passes, plain = passes_of(net, 20.0 * x[200:])
    return 50.0 * passes[..., 0], 50.0 * plain[..., 0], y[200:]


def regression_of(passes, plain, y):
    return evaluate(mcdrop.from_samples(passes, plain, task="regression"), y)


@kind
def regression(folder):
    return write(regression_of(*diabetes_passes()), folder)


@kind
def regression_12(folder):
    return write(regression_of(*(each[..., :12] for each in diabetes_passes())), folder)


@kind
def gaussian(folder):
    """A Gaussian head, with other data and a recalibration."""
    generator = np.random.default_rng(5)

    def predict(x):
        spread = 0.15 + 0.3 * (x > 0)
        passes = np.sin(x) + generator.normal(0, 0.05 + 0.1 * np.abs(x), (NUM_SAMPLES, x.size))
        return mcdrop.from_samples(
            passes,
            np.sin(x) + 0.02,
            task="gaussian",
            variances=np.broadcast_to(np.square(0.6 * spread), passes.shape),
            deterministic_variance=np.square(0.6 * spread),
        )

    x, held_out = generator.uniform(-2, 2, 400), generator.uniform(-2, 2, 300)
    y, labels = (
        np.sin(each) + generator.normal(0, 1, each.size) * (0.15 + 0.3 * (each > 0))
        for each in (x, held_out)
    )
    prediction, known = predict(x), predict(held_out)
    calibrator = recalibrate.VarianceScaling().fit(known.mean, known.variance, labels)
    found = Recalibration(calibrator.apply(prediction), "variance scaling", 300, "held_out.npz")
    other = predict(generator.uniform(3, 6, 150))
    return write(evaluate(prediction, y), folder, recalibration=found, out_of_distribution=other)


@kind
def outputs(folder):
    """A regression with several outputs, in units of their own."""
    generator = np.random.default_rng(6)
    spread = np.array([1.0, 12.0, 1500.0])
    y = generator.normal(0, spread, (200, 3))
    plain = y + generator.normal(0, 0.4 * spread, y.shape)
    passes = plain + generator.normal(0, [0.35, 2.0, 600.0], (NUM_SAMPLES, 200, 3))
    return write(regression_of(passes, plain, y), folder)


@kind
def reconstruction(folder):
    """A dense regression: pictures predicted from themselves."""
    images = digits()[0][:40] / 16.0
    noise = np.random.default_rng(7).normal(0, 0.1, (20, *images.shape, 1))
    truth = images[..., np.newaxis]
    return write(regression_of(truth + noise, 0.9 * truth, truth), folder, x=images)


@kind
def compare_2(folder):
    models = {
        "runs/digits_wide.keras": digits_evaluation(units=64),
        "runs/digits_narrow.keras": digits_evaluation(units=8),
    }
    return compare(models, folder, context=CONTEXT)


@kind
def compare_3(folder):
    """Two models with dropout, and one without."""
    x, _ = digits()
    _, plain = passes_of(digits_net(16, 1), x.reshape(len(x), -1) / 16.0, num_samples=2)
    models = {
        "wide": digits_evaluation(units=64),
        "ensemble of nobody": softmax(plain),
        f"narrow, {LONG_NAME}": digits_evaluation(units=8),
    }
    return compare(models, folder)


@kind
def compare_8(folder):
    sizes = (64, 48, 32, 24, 16, 12, 8, 4)
    return compare({f"units_{n}.keras": digits_evaluation(units=n) for n in sizes}, folder)


@kind
def compare_regressions(folder):
    models = {f"{n} units": regression_of(*diabetes_passes(n)) for n in (4, 32)}
    return compare(models, folder)


@kind
def compare_shift(folder):
    """One model on two data sets, whose targets differ."""
    x, y = digits()
    noisy = x[:500] + np.random.default_rng(8).normal(0, 4.0, x[:500].shape)
    models = {
        "clean": digits_evaluation(),
        "noisy": evaluate(digits_prediction(noisy), y[:500]),
    }
    return compare(models, folder)


def main(folder, names):
    for name in names or KINDS:
        page = KINDS[name](folder / name)
        print(f"{page.relative_to(folder.resolve())}  {page.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pages"), sys.argv[2:])
