"""Whether a file of more than 8 bits a channel uses so little of their range that it will look black."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unipan.console import logger
from unipan.ops.frames import further_frames
from unipan.ops.images import UNREADABLE, ImageSource, opened, read_image
from unipan.ops.raw_forms import has_deep_colors

if TYPE_CHECKING:
    from torch import Tensor

FULL_RANGE = 2**16 - 1
"""Where white lies in 16 bits; 32-bit integers are read as such, too."""
DIM = 2**14
"""A brightest value below: 14 bits of a thermal camera, 12 or 10 of another, 8 saved as integers of 32."""
FEW = 1000
"""Of so many values one may be brighter all the same: a camera's hot pixels."""
_NOTED: dict[str, str] = {}
"""The warnings that this process has given."""


def read_and_warn(source: ImageSource) -> Tensor:
    """`read_image`, with warnings, each once in a process: that an image looks nearly black, that its file holds further ones."""
    pixels = read_image(source)
    bright = 0 if "dim" in _NOTED else int(np.count_nonzero(pixels.numpy() > DIM >> 8))
    if "dim" not in _NOTED and _are_few(bright, pixels.numel()) and (found := dim_range(source)):
        _warn("dim", f"the image {opened(source)[0]} is {found}: the network sees it nearly black. Scale its values.")
    if "frames" not in _NOTED and (further := further_frames(source)):
        _warn(
            "frames", f"the image {opened(source)[0]} has {further + 1} pages or frames; the first is read. Save each by itself."
        )
    return pixels


def _warn(kind: str, text: str) -> None:
    _NOTED[kind] = text
    logger.warning(text)


def _are_few(bright: int, all_values: int) -> bool:
    """Whether an image with so many bright values looks as one without."""
    return bright * FEW <= all_values


def dim_range(source: ImageSource) -> str:
    """What range a readable image of over 8 bits uses, in words, where it will look nearly black; empty otherwise."""
    try:
        with opened(source)[1] as file:
            if file.mode == "CMYK" or not (has_deep_colors(file) or file.mode.startswith("I")):  # ink is no light
                return ""
            values, form = np.asarray(file), "32-bit" if file.mode == "I" else "16-bit"
            if not file.mode.startswith("I"):  # Pillow keeps the upper byte
                own = values[..., : len(file.getbands()) - ("A" in file.getbands())] if values.ndim == 3 else values
                values = own.astype(np.int64) * 256
    except UNREADABLE:
        return ""
    bright = int(np.count_nonzero(values >= DIM))
    if not _are_few(bright, values.size):
        return ""
    low, high = int(values.min()), int(values[values < DIM].max())
    but = f" (and {bright} above)" if bright else ""
    return f"{form}, with values of {low} to {high}{but} where white is {FULL_RANGE}"
