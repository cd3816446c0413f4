"""How many images a file holds, of which `read_image` reads the first."""

from __future__ import annotations

import os
from typing import Any

from PIL import TiffImagePlugin

from unipan.ops.images import UNREADABLE, opened

ONE_IMAGE = {"MPO", "PSD"}
"""Formats whose further frames are previews or layers of the first."""
SUBFILE_TYPE = 0x00FE
NOT_A_PAGE = 0b101
"""A TIFF's bits for a smaller copy of another page and for a mask of one."""


def further_frames(source: Any) -> int:
    """How many pages or frames behind the first a readable file, or its content, has; of anything else 0."""
    if not isinstance(source, (str, os.PathLike, bytes, bytearray)):
        return 0
    try:
        with opened(source)[1] as file:
            count = 1 if file.format in ONE_IMAGE else getattr(file, "n_frames", 1)
            if isinstance(file, TiffImagePlugin.TiffImageFile):
                return sum(_is_page(file, index) for index in range(1, count))
    except (*UNREADABLE, LookupError, TypeError):  # what follows is damaged
        return 0
    return count - 1


def _is_page(file: TiffImagePlugin.TiffImageFile, index: int) -> bool:
    file.seek(index)
    return not file.tag_v2.get(SUBFILE_TYPE, 0) & NOT_A_PAGE
