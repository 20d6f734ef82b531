"""Damaged, encrypted, huge and endless files are told in one line that names them."""

import os
import zipfile

import pytest

from mcdrop.errors import DataError
from mcdrop.files.archives import (
    DAMAGES,
    ByteSource,
    check_regular,
    damage_told,
    list_members,
    read_member,
    read_start,
    read_text,
)


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_damage_becomes_one_line(kind):
    def read():
        with damage_told("a.npz", DataError, "Copy it again."):
            raise kind("one\ntwo")

    with pytest.raises(DataError, match=r"^a\.npz is damaged \([^\n]+\)\. Copy it again\.$"):
        read()


def test_errors_of_mcdrop_pass_through():
    def read():
        with damage_told("a.npz", DataError, "Copy it again."):
            raise DataError("known")

    with pytest.raises(DataError, match=r"^known$"):
        read()


def make_zip(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_are_read_up_to_a_bound(tmp_path):
    path = make_zip(tmp_path / "a.zip", small=b"abc", blank=bytes(2**20))
    members = list_members(path, DataError)
    assert read_member(path, members["small"], 10) == b"abc"
    with pytest.raises(ValueError, match="1,048,576 bytes, expected at most 10"):
        read_member(path, members["blank"], 10)
    source = ByteSource(path, "small")
    with source() as stream:
        assert len(stream.read()) == source.num_bytes == 3


def test_an_encrypted_member_is_damage(tmp_path):
    path = make_zip(tmp_path / "a.zip", secret=b"abc")
    data = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    path.write_bytes(data)

    def read():
        with damage_told("a.zip", DataError, "Decrypt it."):
            read_member(path, list_members(path, DataError)["secret"], 10)

    with pytest.raises(DataError, match="encrypted"):
        read()


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_start, list_members, check_regular):
        with pytest.raises(DataError, match="is a pipe, which cannot be read twice"):
            read(tmp_path / "pipe", DataError)
    with pytest.raises(DataError, match="is a device"):
        read_text(tmp_path.__class__("/dev/zero"), DataError, 100)


def test_small_texts_are_read_and_others_told(tmp_path):
    (tmp_path / "names").write_bytes("é".encode())
    assert read_text(tmp_path / "names", DataError, 100) == "é"
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / encoding).write_text("é", encoding=encoding)
        assert read_text(tmp_path / encoding, DataError, 100) == "é"
    (tmp_path / "names").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match="names cannot be read: 'utf-8' codec"):
        read_text(tmp_path / "names", DataError, 100)
    with pytest.raises(DataError, match="more than 0 bytes"):
        read_text(tmp_path / "names", DataError, 0)
    with pytest.raises(DataError, match="does not exist"):
        read_text(tmp_path / "none", DataError, 100)
    with pytest.raises(DataError, match="is a directory"):
        read_text(tmp_path, DataError, 100)
