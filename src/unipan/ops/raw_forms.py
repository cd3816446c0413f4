"""How pixels lie in a file, as far as Pillow, which turns them into its own few modes, still tells. H x W pixels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRETCHED = {"L;2": 85, "L;4": 17}
"""Pillow's names for gray of less than 8 bits: what it multiplies by, so that white is 255."""
DEEP = re.compile(";16[BLN]")
"""In its names for colors of 16 bits in either order of bytes; those of 5, 6 and 5 bits are BGR;16."""


def has_deep_colors(image: Image.Image) -> bool:
    """Whether a file that is not yet loaded has colors of 16 bits, of which Pillow keeps the upper 8."""
    return not image.mode.startswith("I") and any(map(_is_deep, _tiles(image)))


def _is_deep(tile: Any) -> bool:
    codec, form = tile[0], tile[3]
    return codec == "SGI16" or bool(DEEP.search(str(form))) or (codec[:3] == "ppm" and isinstance(form, tuple) and form[1] > 255)


def _tiles(image: Image.Image) -> list[Any]:
    """Pillow's descriptions of the parts of a file; none of an image that is loaded, nor of a few kinds."""
    return list(getattr(image, "tile", None) or ())


def plain_numbers(image: Image.Image) -> NDArray[np.int32]:
    """The numbers (H, W) as a file of gray or of a palette, not yet loaded, has them: Pillow stretches gray of 2 and 4 bits."""
    step = _step(image) or 1
    return np.asarray(image).astype(np.int32) // step


def fit_transparency(image: Image.Image) -> None:
    """A PNG's transparent color as Pillow's pixels have it: gray of 2 and 4 bits stretched, of 16-bit colors the upper bytes.

    Of an image that is loaded already it follows from the numbers, where these can be no others; a color of 16 bits of which none
    is over 255 is taken for one of 8.
    """
    color = image.info.get("transparency")
    if isinstance(color, tuple):
        deep = has_deep_colors(image) or (max(color, default=0) > 255 and not _tiles(image))
        image.info["transparency"] = tuple(level >> 8 if deep else level & 255 for level in color)
    elif isinstance(color, int) and image.mode == "L":
        image.info["transparency"] = color * (_step(image) or _likely_step(image, color))


def _step(image: Image.Image) -> int:
    """What Pillow multiplies gray by; 0 of an image that is loaded, where nothing tells it."""
    forms = [str(tile[3]) for tile in _tiles(image)]
    return next((STRETCHED[form] for form in forms if form in STRETCHED), 1 if forms else 0)


def _likely_step(image: Image.Image, level: int) -> int:
    """The same by the pixels of a loaded image: where all are stretched, a level of 8 bits between them would be nowhere."""
    if not 0 < level < 16:
        return 1
    found = np.flatnonzero(image.histogram())
    return next((step for step in STRETCHED.values() if level * step <= 255 and not (found % step).any()), 1)
