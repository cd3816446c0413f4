"""JSON files as text editors and other systems write them."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

from unipan.errors import InputError


def json_bytes(path: Path) -> bytes:
    """A JSON file's content as UTF-8, without a byte order mark; UTF-16 is told by its mark.

    Raises: OSError where the file can't be read; InputError for text in another encoding.
    """
    content = path.read_bytes().removeprefix(BOM_UTF8)
    if content.isascii():
        return content
    try:
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return content.decode("utf-16").encode()
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8, first at byte {error.start}; save it as UTF-8.") from error
    return content
