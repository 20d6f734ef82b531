"""Headers that lie about their array are refused before memory is taken."""

import io
import struct

import numpy as np
import pytest

from mcdrop.files.arrays import read_array, read_header


def npy(header, values=b"", version=(1, 0)):
    text = header.encode("latin-1")
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + values


def describe(descr="'<f8'", order=False, shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (describe(shape="(-1, 2)"), "impossible shape"),
        (describe(shape="(1000000000000000, 1000000)"), "announces shape .* but there are"),
        (describe(shape="(2, 0, -3)"), "impossible shape"),
        (describe(shape=f"({'1, ' * 40})"), "impossible shape"),
        (describe("('<f8', (1000, 1000))", shape="(1,)"), "records of type"),
        (describe("('<f8', (1000, 1000, 1000))", shape="(1,)"), "invalid shape"),
        (describe("[('a', '<f8'), ('b', '<i4')]"), "records of type"),
        (describe("'<U0'", shape="(1000000000000,)"), "announces"),
        (describe("'|O'"), "Python objects"),
        (describe(shape="2"), "shape is not valid"),
        (describe(shape="[2]"), "shape is not valid"),
        (describe("'no such type'"), "valid dtype"),
        ("{'descr': '<f8'}\n", "does not contain the correct keys"),
        ("(" * 500 + "\n", "cannot be read"),
        ("not python\n", "malformed|cannot be read"),
        (describe() + " " * 70_000, "large|length"),
    ],
)
def test_impossible_headers_are_refused(header, words):
    version = (1, 0) if len(header) < 2**16 else (2, 0)
    data = npy(header, bytes(16), version)
    with pytest.raises(ValueError, match=words):
        read_array(io.BytesIO(data), len(data))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00" + bytes(99), b"PK"])
def test_what_is_no_array_is_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        read_header(io.BytesIO(data), len(data))


def test_an_array_that_ends_too_early_is_refused():
    data = npy(describe(), bytes(12))
    with pytest.raises(ValueError, match="ends too early"):
        read_array(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array("text"),
        np.array(["a", "bcd"]),
        np.zeros((0, 5)),
        np.array([True, False]),
    ],
)
def test_arrays_come_back_as_they_were(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    found = read_array(io.BytesIO(buffer.getvalue()), len(buffer.getvalue()))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
