"""How often a model compared with itself is called better: `python -m benchmarks.self_comparison`.

Two samplings of one model differ by the chance of their passes alone, so an interval of their
difference that excludes 0 is wrong; at a level of 95% at most 5% of them may. One seed's passes
are compared with another's, for independent and for shared masks, few passes and many.
"""

from __future__ import annotations

import sys

import numpy as np

import mcdrop

METRICS = (
    *("accuracy", "negative_log_likelihood", "brier_score", "expected_calibration_error"),
    *("area_under_risk_coverage", "error_detection_auroc", "risk_at_coverage"),
)
NUM_EXAMPLES, NUM_UNITS, NUM_CLASSES = 400, 10, 4


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def called_better(num_pairs, num_samples, masks, metrics=METRICS, num_resamples=200):
    """Returns in how many of the pairs each metric is called better or worse."""
    generator = np.random.default_rng(0)
    weights = 1.2 * generator.normal(size=(NUM_UNITS, NUM_CLASSES))
    x = generator.normal(size=(NUM_EXAMPLES, NUM_UNITS))
    off = softmax(x @ weights)
    y = (off.cumsum(axis=1) < generator.random((NUM_EXAMPLES, 1))).sum(axis=1)

    def sample():
        rows = 1 if masks == "shared" else NUM_EXAMPLES
        kept = generator.random((num_samples, rows, NUM_UNITS)) >= 0.5
        passes = softmax((x * (2.0 * kept)) @ weights)
        return mcdrop.from_samples(passes, off, task="classification")

    counts = dict.fromkeys(metrics, 0)
    for _ in range(num_pairs):
        pair = {"one": sample(), "other": sample()}
        found = mcdrop.compare(pair, y, metrics=list(metrics), num_resamples=num_resamples)
        for metric in found.metrics:
            counts[metric.name] += metric.differences["other"].excludes_zero
    return counts


def main(num_pairs):
    print(f"of {num_pairs} pairs each, called better or worse:")
    for masks in ("independent", "shared"):
        for num_samples in (10, 50):
            counts = called_better(num_pairs, num_samples, masks)
            listed = ", ".join(f"{name} {count}" for name, count in counts.items())
            print(f"{masks} masks, T={num_samples}: {listed}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
