"""PNG files of 8-bit RGB by a decoder several times as fast as Pillow's, which keeps all others. H x W pixels."""

from struct import unpack

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 26
"""Signature, sides, depth and color type."""
MOST_PIXELS = 2**27
"""Larger files are left to Pillow, which warns of them and refuses what would fill the memory."""
NO_MEANING = frozenset({b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"gAMA", b"cHRM", b"sRGB", b"iCCP"})
"""Chunks that change no pixel as Pillow reads it: others may turn an image (eXIf, or texts with EXIF or XMP), make a color of it
transparent (tRNS), or hold further frames."""


def is_plain(start: bytes) -> bool:
    """Whether a file that begins so says that it is a PNG of 8-bit RGB."""
    return start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:HEADER_BYTES] == b"\x08\x02"


def is_bare(content: bytes) -> bool:
    """Whether a whole PNG has no chunk by which an image might be more than its colors."""
    position = 8
    while (kind := content[position + 4 : position + 8]) in NO_MEANING:
        if kind == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4])
    return False


def decode_plain(content: bytes) -> NDArray[np.uint8] | None:
    """(H, W, 3) colors of a PNG of 8-bit RGB and sane size; None for all else, and where the data are damaged."""
    from kornia_rs.io import decode_image_png_u8

    if not is_plain(content):
        return None
    width, height = unpack(">II", content[16:24])
    if not 0 < width * height <= MOST_PIXELS:
        return None
    try:
        return decode_image_png_u8(content, (height, width), "rgb")
    except Exception:  # it has none of its own
        return None
