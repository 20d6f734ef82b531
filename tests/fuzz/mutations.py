"""Ways to damage a file: blindly in its bytes, and knowingly in its structure."""

import io
import json
import struct
import zipfile
import zlib

import h5py

ODD_VALUES = [
    *(None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf")),
    *("", "x" * 10_000, "\x00", "\x1b[31m", "\ud800", "../../etc/passwd", "<f8", "(2,)"),
    *([], {}, [[]], {"": None}, [0] * 1000),
]
ODD_WORDS = [
    *(b"-1", b"99999999999999999999", b"0", b"()", b"(1,", b"'O'", b"'<f2'", b"'<U0'", b"True"),
    *(b"1e400", b"nan", b'"', b"\x00", b"\xff\xfe", b"\r", b",", b";", b"'|V9'", b"[('a','<f8')]"),
]
ODD_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]


def change_bytes(data, chance):
    """Damages bytes blindly: flips, cuts, repeats, inserts, or overwrites numbers and words."""
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 8])):
        place = chance.randrange(len(data) + 1)
        length = chance.choice([1, 2, 4, 8, 64, 1024])
        match chance.randrange(8):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place:]
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length]
            case 4:
                data[place : place + length] = chance.randbytes(length)
            case 5:
                number = chance.choice(ODD_NUMBERS)
                data[place : place + 4] = struct.pack(chance.choice("<>") + "I", number)
            case 6:
                word = chance.choice(ODD_WORDS)
                data[place : place + len(word)] = word
            case _:
                data[place : place + length] = bytes(length)
    return bytes(data)


def change_zip(data, chance):
    """Damages the members of an archive and packs them soundly again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = chance.randrange(len(members))
    name, content = members[place]
    match chance.randrange(6):
        case 0:
            del members[place]
        case 1:
            members.append((name, content))
        case 2:
            members[place] = (chance.choice(ODD_VALUES[11:18]) or "x", content)
        case 3 if name.endswith(".json"):
            members[place] = (name, change_json(content, chance))
        case 4 if name.endswith(".npy"):
            members[place] = (name, change_npy(content, chance))
        case _:
            members[place] = (name, change_bytes(content, chance))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            kept = name.encode("utf-8", "replace").decode().replace("\x00", "")
            archive.writestr(kept or "x", content)
    return buffer.getvalue()


def change_npy(data, chance):
    """Damages the header of an array and leaves its length right."""
    start = data.index(b"{")
    end = data.index(b"\n", start)
    header = data[start:end].strip()
    parts = header.split(b" ")
    parts[chance.randrange(len(parts))] = chance.choice(ODD_WORDS) + chance.choice([b"", b","])
    header = b" ".join(parts).ljust(end - start)[: end - start]
    return data[:start] + header + data[end:]


def change_json(data, chance):
    """Replaces, drops or wraps one value of a document."""
    document = json.loads(data)
    nodes = list(_nodes(document))
    holder, key = chance.choice(nodes)
    match chance.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1:
            holder[key] = [holder[key]]
        case 2:
            deep = json.dumps(document)
            return (deep[: len(deep) // 2] + "[" * 100_000).encode()
        case _:
            holder[key] = chance.choice(ODD_VALUES)
    return json.dumps(document).encode()


def _nodes(value):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _nodes(value[key])


def change_png(data, chance):
    """Damages one chunk of a picture and makes its checksum right."""
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += length + 12
    number = chance.randrange(len(chunks))
    kind, content = chunks[number]
    match chance.randrange(4):
        case 0:
            del chunks[number]
        case 1:
            chunks.insert(1, (b"zTXt", b"text\x00\x00" + zlib.compress(bytes(2**24))))
        case 2:
            chunks[number] = (kind, change_bytes(content, chance))
        case _:
            chunks.insert(number, chunks[chance.randrange(len(chunks))])
    return data[:8] + b"".join(_pack_chunk(kind, content) for kind, content in chunks)


def _pack_chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def change_hdf5(data, chance):
    """Damages the configuration in a model file, or its members."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        config = file.attrs["model_config"].encode()
        names = list(file)
        match chance.randrange(5):
            case 0:
                del file[chance.choice(names)]
            case 1:
                file.attrs["model_config"] = chance.choice(
                    [1, 2.0, [1, 2], "", b"\xff", "[" * 9000]
                )
            case 2:
                file.attrs["keras_version"] = chance.choice(["", "9", 3, b"\xff"])
            case 3:
                file.attrs["model_config"] = change_bytes(config, chance).replace(b"\x00", b"")
            case _:
                file.attrs["model_config"] = change_json(config, chance)
    return buffer.getvalue()
