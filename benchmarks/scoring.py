"""What scores cost: intervals of all of them, a large table of classes, and values alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as sklearn_metrics

import mcdrop
from benchmarks.measure import interleaved

POINTS = (
    *("accuracy", "negative_log_likelihood", "brier_score", "macro_precision", "macro_recall"),
    *("macro_f1", "error_detection_auroc", "error_detection_aupr"),
)


def classes(num_examples: int, num_classes: int, num_samples: int) -> tuple[Any, Any]:
    """Returns a prediction whose labels are drawn from sharper probabilities, and the labels."""
    generator = np.random.default_rng(0)
    logits = 3.0 * generator.standard_normal((num_examples, num_classes), dtype=np.float32)
    labels = np.array([(row + generator.gumbel(size=row.size)).argmax() for row in logits])
    passes = np.empty((num_samples, *logits.shape), np.float32)
    for sample in passes:  # one by one, as the peak of memory is looked at
        generator.standard_normal(out=sample, dtype=np.float32)
        sample += 1.3 * logits
        _softmax(sample)
    plain = 1.4 * logits
    _softmax(plain)
    return mcdrop.from_samples(passes, plain, task="classification"), labels


def _softmax(logits: Any) -> None:
    """Puts probabilities in the place of logits, shape (N, C)."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Returns the seconds of the processor and of the clock that a call takes."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def against_sklearn(rounds: int) -> dict[str, float]:
    """Returns median seconds of the same scores of 10,000 examples, without intervals."""
    prediction, y = classes(10_000, 10, 2)
    p = np.asarray(prediction.mean, dtype=np.float64)
    p /= p.sum(axis=1, keepdims=True)

    def ours() -> None:
        mcdrop.compare({"p": p}, y, task="classification", metrics=list(POINTS), num_resamples=0)

    def theirs() -> None:
        predicted = p.argmax(axis=1)
        error, entropy = predicted != y, -(p * np.log(p)).sum(axis=1)
        sklearn_metrics.accuracy_score(y, predicted)
        sklearn_metrics.log_loss(y, p)
        sklearn_metrics.brier_score_loss(y, p)
        for score in (
            sklearn_metrics.precision_score,
            sklearn_metrics.recall_score,
            sklearn_metrics.f1_score,
        ):
            score(y, predicted, average="macro", zero_division=0)
        sklearn_metrics.roc_auc_score(error, entropy)
        sklearn_metrics.average_precision_score(error, entropy)

    return interleaved({"mcdrop": ours, "scikit-learn": theirs}, rounds)


def to_markdown(rounds: int) -> str:
    """Returns the tables."""
    lines = ["| work | processor s | clock s |", "| --- | ---: | ---: |"]
    prediction, y = classes(10_000, 10, 20)
    for name, chosen in (("default scores", "default"), ("all scores", "all")):
        processor, clock = seconds(lambda m=chosen: mcdrop.evaluate(prediction, y, metrics=m))
        lines.append(f"| `evaluate`, 10,000 x 10, T = 20, {name} | {processor:.1f} | {clock:.1f} |")
    prediction, y = classes(50_000, 1_000, 4)
    processor, clock = seconds(lambda: mcdrop.evaluate(prediction, y))
    lines.append(
        f"| `evaluate`, 50,000 x 1,000, T = 4, default scores | {processor:.1f} | {clock:.1f} |"
    )
    found = against_sklearn(rounds)
    lines += ["", "| eight scores of 10,000 x 10, no intervals | ms |", "| --- | ---: |"]
    return "\n".join(lines + [f"| {name} | {1e3 * each:.1f} |" for name, each in found.items()])
