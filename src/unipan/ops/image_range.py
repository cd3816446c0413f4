"""Whether a file of more than 8 bits a channel uses so little of their range that it will look black."""

from pathlib import Path
from typing import IO

import numpy as np

from unipan.ops.images import UNREADABLE, has_deep_colors, open_image

FULL_RANGE = 2**16 - 1
"""Where white lies in 16 bits; 32-bit integers are read as such, too."""
DIM = 2**14
"""A brightest value below: 14 bits of a thermal camera, 12 or 10 of another, 8 saved as integers of 32."""


def dim_range(path: Path | IO[bytes]) -> str:
    """What range a readable file of over 8 bits uses, in words, where all of it will look nearly black; empty otherwise."""
    try:
        with open_image(path) as file:
            if not has_deep_colors(file) and not file.mode.startswith("I"):
                return ""
            values, form = np.asarray(file), "32-bit" if file.mode == "I" else "16-bit"
            if not file.mode.startswith("I"):  # Pillow keeps the upper byte
                values = values[..., : len(file.getbands()) - ("A" in file.getbands())].astype(np.int64) * 256
    except UNREADABLE:
        return ""
    low, high = int(values.min()), int(values.max())
    return f"{form}, with values of {low} to {high} where white is {FULL_RANGE}" if high < DIM else ""
