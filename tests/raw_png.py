"""PNG files byte by byte, for Pillow writes few of the forms that the standard knows."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""The standard's color types."""


def write_png(path: Path, *, width: int, depth: int, color: int, row: bytes, height: int = 1, **chunks: bytes) -> Path:
    """A PNG whose rows, so many, are all alike."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    extra = b"".join(chunk(kind.encode(), content) for kind, content in chunks.items())
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b""))
    return path


def packed(numbers: Sequence[int], depth: int) -> bytes:
    """Numbers of so many bits one behind the other, and zeros up to a whole byte."""
    bits = "".join(f"{number:0{depth}b}" for number in numbers)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
