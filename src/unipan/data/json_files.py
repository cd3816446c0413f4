"""JSON files as text editors and other systems write them."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from pathlib import Path

from unipan.errors import InputError

WIDE = {"UTF-32": (BOM_UTF32_LE, BOM_UTF32_BE), "UTF-16": (BOM_UTF16_LE, BOM_UTF16_BE)}
"""Encodings and their marks; in this order, since a mark of UTF-32 begins as one of UTF-16 does."""


def json_bytes(path: Path) -> bytes:
    """A JSON file's content as UTF-8, without a byte order mark; UTF-16 and UTF-32 are told by theirs.

    Raises: OSError where the file can't be read; InputError for text in another encoding, or cut off within a sign.
    """
    content = path.read_bytes().removeprefix(BOM_UTF8)
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
