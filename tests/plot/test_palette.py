"""The palette: one meaning a colour, told apart by everyone, and legible on its paper."""

from itertools import combinations

import numpy as np
import pytest

from mcdrop.plot.palette import DARK, DATA, LIGHT, MODELS, TONES, series_colours

# Machado, Oliveira & Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1, on linear RGB.
SIGHT = {
    "all": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# sRGB to XYZ, relative to the white point D65 (IEC 61966-2-1).
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour):
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first, second, sight):
    seen = [lab(np.asarray(SIGHT[sight]) @ linear(colour)) for colour in (first, second)]
    return np.linalg.norm(seen[0] - seen[1])


def contrast(first, second):
    bright, dark = sorted((TO_XYZ[1] @ linear(c) for c in (first, second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("group", [DATA, TONES, MODELS], ids=["data", "tones", "models"])
def test_colours_that_meet_are_told_apart(group, theme, sight):
    near = {
        (a, b): round(found, 1)
        for a, b in combinations(group, 2)
        if (found := distance(theme[a], theme[b], sight)) < 15
    }
    assert near == {}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_and_words_stand_out_from_the_paper(theme):
    paper = theme["paper"]
    assert {n for n in (*DATA, *TONES, *MODELS) if contrast(theme[n], paper) < 3.0} == set()
    assert {n for n in ("ink", "soft", "no", "yes") if contrast(theme[n], paper) < 4.5} == set()


def test_no_value_stands_for_two_names():
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert set(LIGHT) == set(DARK)


def test_the_distance_is_that_of_the_standard():
    # sRGB red and green: CIE 1976 distance by independent converters, 170.6.
    assert distance("#ff0000", "#00ff00", "all") == pytest.approx(170.6, abs=0.1)


def test_no_two_models_share_a_colour_before_they_run_out():
    assert len(set(series_colours("abcdef").values())) == 6
    assert list(series_colours(["MC dropout", "deterministic"]).values()) == [
        *(LIGHT["mc"], LIGHT["det"])
    ]


def test_a_model_with_and_without_dropout_has_one_colour():
    found = series_colours(["A", "A, off", "B", "B, off"])
    assert found["A"] == found["A, off"] != found["B"]
