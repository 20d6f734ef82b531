"""Quantiles of a ratio of sums whose terms have exponential weights, without drawing any.

The Bayesian bootstrap draws sum g_i x_i / sum g_i m_i with g_i from Exp(1). Its value is at
most t just where sum g_i (x_i - t m_i) <= 0, a linear form of exponential variables whose
cumulant generating function is known: K(u) = -sum log(1 - u c_i), c_i = x_i - t m_i. The
saddlepoint approximation of Lugannani and Rice then gives the chance to about three digits, in
the tails too, and gives the same digits each time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]

CENTRAL = 1e-4
"""Saddlepoints nearer to 0, in standard deviations, take the formula's limit there."""

LEAST_CHANCE = 1e-15
"""Chance from which on the ends of the range are looked for."""

TOLERANCE = 1e-9
"""Slope at which the saddlepoint is found, in standard deviations."""

MOST_STEPS = 200
"""Steps after which the bracket is as narrow as rounding allows."""


def ratio_quantile(parts: Array, wholes: Array, probability: float) -> float:
    """Returns the quantile of sum g_i parts_i / sum g_i wholes_i, g_i from Exp(1).

    Args:
        parts: Shape (n,).
        wholes: At least 0 and somewhere above, shape (n,); ones for a mean.
        probability: Within (0, 1).

    References:
        Lugannani & Rice (1980), doi:10.2307/1426607. Davison & Hinkley (1988), Saddlepoint
        approximations in resampling methods, doi:10.1093/biomet/75.3.417.

    Example:
        >>> parts, ones = np.array([0.0, 0.0, 1.0]), np.ones(3)
        >>> exact = special.betaincinv(1, 2, 0.975)
        >>> round(float(exact), 3), round(ratio_quantile(parts, ones, 0.975), 3)
        (0.842, 0.844)
    """
    counted = wholes > 0
    ratios = parts[counted] / wholes[counted]
    low, high = float(ratios.min()), float(ratios.max())
    if low == high and not parts[~counted].any():
        return low

    target = float(special.ndtri(probability))

    def excess(ratio: float) -> float:
        # On this scale the chance is nearly linear in the ratio, so that few steps find the root.
        chance = chance_below_zero(parts - ratio * wholes)
        return float(special.ndtri(min(max(chance, LEAST_CHANCE), 1.0 - LEAST_CHANCE))) - target

    centre = float(parts.sum() / wholes.sum())
    spread = float(np.sqrt(np.square(parts - centre * wholes).sum()) / wholes.sum())
    reach = 0.1 * spread
    near = min(max(centre + target * spread, low), high)
    while low < near - reach and excess(near - reach) > 0.0:
        near, reach = near - reach, 2.0 * reach
    while near + reach < high and excess(near + reach) < 0.0:
        near, reach = near + reach, 2.0 * reach
    ends = max(low, near - reach), min(high, near + reach)
    return float(optimize.brentq(excess, *ends, xtol=1e-12 * (high - low), rtol=1e-10))


def chance_below_zero(terms: Array) -> float:
    """Returns P(sum g_i terms_i <= 0), g_i from Exp(1)."""
    lowest, highest = terms.min(), terms.max()
    if highest <= 0 or lowest >= 0:
        return float(highest <= 0)
    terms = terms / max(highest, -lowest)
    saddle = _saddlepoint(terms)
    shrunk = 1.0 - saddle * terms
    spread = np.sqrt(np.square(terms / shrunk).sum())
    if abs(saddle) * spread < CENTRAL:
        skew = 2.0 * (terms**3).sum() / spread**3
        return float(0.5 + skew / (6.0 * np.sqrt(2.0 * np.pi)))
    cumulant = -np.log(shrunk).sum()
    root = np.sign(saddle) * np.sqrt(max(-2.0 * cumulant, 0.0))
    # At 0 the exponent of the tilt vanishes, so that -K(u) alone is the rate.
    density = np.exp(-0.5 * root**2) / np.sqrt(2.0 * np.pi)
    chance = special.ndtr(root) + density * (1.0 / root - 1.0 / (saddle * spread))
    return float(min(max(chance, 0.0), 1.0))


def _saddlepoint(terms: Array) -> float:
    """Returns the root u of K'(u) = sum c_i / (1 - u c_i), within (1/min c, 1/max c).

    Newton's steps, halved back into the bracket where the pole at either end throws them out.
    """
    low, high = 1.0 / float(terms.min()), 1.0 / float(terms.max())
    root = 0.0
    for _ in range(MOST_STEPS):
        tilted = terms / (1.0 - root * terms)
        slope, curvature = float(tilted.sum()), float(np.square(tilted).sum())
        low, high = (root, high) if slope < 0 else (low, root)
        step = -slope / curvature
        if abs(slope) <= TOLERANCE * np.sqrt(curvature):
            return root
        root = root + step if low < root + step < high else 0.5 * (low + high)
    return root
