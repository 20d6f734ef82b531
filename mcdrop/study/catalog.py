"""The built-in studies by name, with the question that each answers; nothing here is heavy."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcdrop.study.plan import Plan, Request

STUDIES: Mapping[str, str] = {
    "rate": "How much dropout: what does the rate do to accuracy, overfitting and calibration?",
    "placement": "Where: behind which layers does dropout help, and where does it hurt?",
    "kind": "Which kind: how do dropouts differ behind convolutions, and what else regularizes?",
    "vae": "Does dropout make a variational autoencoder worse, and where?",
    "activations": "What does dropout do to hidden activations, in training and after?",
    "averaging": "Weight scaling or the mean of k passes, and how many passes does it take?",
    "concrete": "Which rates does Concrete Dropout learn, and does its uncertainty fall with N?",
    "uci": "Are the numbers right: is the table of Gal and Ghahramani (2016) reproduced?",
    "shift": "What if images change: does calibration last, and which method keeps it best?",
    "active-learning": "How many labels does it save to choose images by their uncertainty?",
    "advice": "Do the common rules hold: rising rates, L2 besides, wider, faster, longer?",
}
"""Question by name. The study NAME is planned by the function `plan` of `mcdrop.study.NAME`."""


def plan_study(name: str, request: Request) -> Plan:
    """Returns the plan of a built-in study for what was asked on the command line.

    Raises:
        DataError: The data cannot be had, or do not fit the study.
    """
    plan: Plan = import_module(f"mcdrop.study.{name.replace('-', '_')}").plan(request)
    return plan
