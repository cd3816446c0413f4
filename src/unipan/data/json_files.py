"""JSON files as text editors and other systems write them."""

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from unipan.errors import InputError

WIDE = {"UTF-32": (BOM_UTF32_LE, BOM_UTF32_BE), "UTF-16": (BOM_UTF16_LE, BOM_UTF16_BE)}
"""Encodings and their marks; in this order, since a mark of UTF-32 begins as one of UTF-16 does."""

PACKED = {"gzip": b"\x1f\x8b", "zip": b"PK\x03\x04"}
"""How files begin that are compressed."""


def json_bytes(path: Path, once: Iterable[str] = ()) -> bytes:
    """A JSON file's content as UTF-8, without a byte order mark; UTF-16 and UTF-32 are told by theirs.

    once: keys of its outermost object, none of which may stand there twice.

    Raises: OSError where the file can't be read; InputError for what is compressed, in another encoding or cut off within a sign,
    and for keys that stand there twice.
    """
    content = _utf_8(path)
    _check_keys_once(content, once, path)
    return content


def _utf_8(path: Path) -> bytes:
    content = path.read_bytes().removeprefix(BOM_UTF8)
    packed = next((name for name, start in PACKED.items() if content.startswith(start)), None)
    if packed:
        raise InputError(f"{path} is compressed ({packed}), and is read only as text; unpack it.")
    if content.isascii():
        return content
    wide = next((name for name, marks in WIDE.items() if content.startswith(marks)), None)
    try:
        if wide:
            return content.decode(wide).encode()
        content.decode()
    except UnicodeDecodeError as error:
        what = f"begins as {wide} does, but is not {wide}" if wide else "is not UTF-8"
        raise InputError(f"{path} {what}, first at byte {error.start}; save it as UTF-8.") from error
    return content


def _check_keys_once(content: bytes, keys: Iterable[str], source: object) -> None:
    """Refuse two lists of one key, as of two files joined by hand: parsers keep one and say nothing of the other.

    Looking for the keys takes a twentieth of parsing; only where one is found twice, at whatever level, is all parsed once more.
    """
    often = [key for key in keys if content.count(f'"{key}"'.encode()) > 1]
    outermost: list[object] = []
    if often:
        with suppress(ValueError, RecursionError):  # which the reader names
            outermost = json.loads(content, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
    twice = [key for key in often if isinstance(outermost, list) and outermost.count(key) > 1]
    if twice:
        raise InputError(f"{source} has {twice[0]} twice, and only one would be read; put all entries into one, or remove one.")
