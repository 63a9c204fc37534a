"""Damage to a file's bytes, from a flipped bit to a structure that lies about itself."""

import io
import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

LARGEST = 2**20  # bytes of a damaged file; what comes out larger is cut

NUMBERS = [
    *(b"0", b"-1", b"1", b"nan", b"inf", b"-inf", b"1e999", b"-1e-320", b"1e30", b"0.5", b"7"),
    *(b"2147483647", b"4294967296", b"9223372036854775808", b"1000000", b"9" * 5000, b"0" * 400),
]
INTEGERS = [
    0,
    1,
    2,
    127,
    255,
    65535,
    2**20,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e300,
        2**40,
        10**19,
        "",
        "a",
        "../../etc/passwd",
        "/dev/zero",
    ),
    *([], {}, [[]], [0] * 1000, {"a": None}, "\ud800", "x" * 20_000, "\0", "0", "nan"),
]
TEXTS = [b"\n" * 100_000, b"[" * 50_000, b'{"a":' * 20_000, b"\xef\xbb\xbf", b"\r", b"\0", b"\xff"]


def mutate(content: bytes, choose: random.Random) -> bytes:
    """The content damaged once, or a few times over, but never as it was."""
    whole = content
    for _ in range(choose.choice([1, 1, 1, 2, 3, 5])):
        ways: list[Callable[[bytes, random.Random], bytes]] = [_bytes, _bytes, _numbers]
        if content[:4] == b"PK\x03\x04":
            ways += [_zip] * 4
        if content[:4] == b"glTF":
            ways += [_glb] * 3
        if content[8:9] == b"{":
            ways += [_safetensors] * 3
        if content[:1] in (b"{", b"["):
            ways += [_json] * 3
        if not content[:512].translate(None, bytes(range(128))):
            ways += [_lines] * 2
        content = choose.choice(ways)(content, choose)[:LARGEST]
    return content if content != whole else (whole + b"\0")[-LARGEST:]


def _bytes(content: bytes, choose: random.Random) -> bytes:
    data = bytearray(content)
    at = choose.randrange(len(data) + 1)
    size = choose.choice([1, 1, 2, 4, 8, 16, 100, 1000])
    match choose.randrange(10):
        case 0 | 1 if data:
            data[at % len(data)] ^= 1 << choose.randrange(8)
        case 2:
            data[at : at + size] = choose.randbytes(size)
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[at : at + size] * choose.choice([1, 2, 10, 1000])
        case 5:
            del data[at:]
        case 6:
            width = choose.choice("BHIQ")
            number = choose.choice(INTEGERS) % (1 << 8 * struct.calcsize(width))
            packed = struct.pack(choose.choice("<>") + width, number)
            data[at : at + len(packed)] = packed
        case 7:
            data += choose.choice([choose.randbytes(size), bytes(size), data[:size], b"\n"])
        case 8:
            data[at:at] = choose.choice(TEXTS)
        case 9:
            other = choose.randrange(len(data) + 1)
            data[at : at + size], data[other : other + size] = (
                data[other : other + size],
                data[at : at + size],
            )
    return bytes(data)


def _numbers(content: bytes, choose: random.Random) -> bytes:
    """Another number in the place of one that is written in figures, of the same length or not."""
    found = [*re.finditer(rb"-?\d+(\.\d+)?(e[-+]?\d+)?", content[:200_000])]
    if not found:
        return content
    place = choose.choice(found)
    number = choose.choice(NUMBERS)
    if choose.random() < 0.4:
        number = choose.choice([b"9", b"0", b"-", b"1"]) * len(place[0])
    return content[: place.start()] + number + content[place.end() :]


def _lines(content: bytes, choose: random.Random) -> bytes:
    lines = content.split(b"\n")
    at, other = choose.randrange(len(lines)), choose.randrange(len(lines))
    match choose.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[other]] * choose.choice([1, 2, 500])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            choose.shuffle(lines)
        case 4:
            words = lines[at].split(b" ")
            words[choose.randrange(len(words))] = choose.choice(lines[other].split(b" "))
            lines[at] = b" ".join(words)
        case 5:
            return b"\r\n".join(lines)
        case 6:
            text = content.decode("utf-8", "replace")
            return text.encode(choose.choice(["utf-8-sig", "utf-16", "utf-32", "utf-16-le"]))
    return b"\n".join(lines)


def _json(content: bytes, choose: random.Random) -> bytes:
    """Another value, a key less or one more, somewhere in a JSON text or in one of its lines."""
    lines = content.split(b"\n")
    for at in (-1, choose.randrange(len(lines))):
        try:
            value = json.loads(content if at < 0 else lines[at])
            changed = json.dumps(_changed(value, choose)).encode()
        except (ValueError, RecursionError, OverflowError):  # no JSON, too deep, no float
            continue
        if at < 0:
            return changed
        lines[at] = changed
        return b"\n".join(lines)
    return content


def _changed(value: Any, choose: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    level = [value] if isinstance(value, dict | list) else []
    while level:
        inside = level.pop()
        keys = [*inside] if isinstance(inside, dict) else [*range(len(inside))]
        places += [(inside, key) for key in keys[:100]]
        level += [inside[key] for key in keys[:100] if isinstance(inside[key], dict | list)]
        if len(places) > 2000:
            break
    if not places:
        return choose.choice(VALUES)
    holder, key = choose.choice(places)
    match choose.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[choose.choice(["", "path", "id", "../a", "\ud800"])] = holder[key]
        case 2:
            other, place = choose.choice(places)
            holder[key] = json.loads(json.dumps(other[place] if place in _keys(other) else None))
        case 3 if type(holder[key]) in (int, float):
            holder[key] = choose.choice([-holder[key], holder[key] * 1e6, int(holder[key]) + 1])
        case _:
            holder[key] = choose.choice(VALUES)
    return value


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _zip(content: bytes, choose: random.Random) -> bytes:
    """A member damaged, renamed, left out, doubled or unfolding without end; sums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in dict.fromkeys(archive.namelist())]
    except Exception:  # it is damaged already
        members = []
    if not members:
        return _bytes(content, choose)
    at = choose.randrange(len(members))
    name, data = members[at]
    match choose.randrange(8):
        case 0:
            del members[at]
        case 1:
            members.append((choose.choice(["a.npy", "../b.npy", "data.pkl", "poses.npy"]), data))
        case 2:
            members[at] = (name, data + bytes(LARGEST * 8))
        case 3:
            members[at] = (name, choose.choice(members)[1])
        case 4 | 5:
            members[at] = (name, _numbers(data, choose))
        case _:
            members[at] = (name, _bytes(data, choose))
    whole = io.BytesIO()
    packing = choose.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with warnings.catch_warnings(), zipfile.ZipFile(whole, "w", packing) as archive:
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, packing)
    return whole.getvalue()


def _safetensors(content: bytes, choose: random.Random) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = _json(content[8 : 8 + size], choose)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _glb(content: bytes, choose: random.Random) -> bytes:
    size = int.from_bytes(content[12:16], "little")
    header = _json(content[20 : 20 + size].rstrip(), choose)
    header += b" " * (-len(header) % 4)
    whole = 12 + 8 + len(header) + len(content) - 20 - size
    start = content[:8] + struct.pack("<II", whole % 2**32, len(header)) + content[16:20]
    return start + header + content[20 + size :]
