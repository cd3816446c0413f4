"""Read an image file as a person sees it. H x W pixels."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from unipan.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises, depending on the format, for a file that is damaged, no image, or unreasonably large."""

MAX_16_BIT = 2**16 - 1


def is_file(path: Path | str) -> bool:
    """Whether a file is there. A name that no file can bear, too long or with a NUL, is no error, as it is to Path.is_file."""
    return os.path.isfile(path)  # noqa: PTH113 (see above)


def read_image(path: Path | str) -> Tensor:
    """Read the first frame as (3, H, W) uint8 RGB: turned upright by its EXIF tag, transparency laid over white.

    16-bit grayscale is scaled from 0..65535 to 0..255. Whatever can't be read so is an InputError that names the file.
    """
    import torch

    path = Path(path)
    if not is_file(path):
        raise InputError(f"there is no image file {path}; check the path.")
    try:
        with Image.open(path) as file:
            rgb = _to_rgb(ImageOps.exif_transpose(file))
    except UNREADABLE as error:
        raise InputError(f"cannot read the image {path}: {error}. Expected a complete image file (JPEG, PNG, ...).") from error
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any of Pillow's modes to RGB."""
    if image.mode.startswith("I"):
        return _scaled_to_8_bit(image).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is unknown; save it with 8 or 16 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit gray to 8-bit gray, its transparent level to white; Pillow's own conversion would clip at 255 instead of scaling."""
    gray = np.asarray(image).astype(np.int64)
    if gray.min() < 0 or gray.max() > MAX_16_BIT:
        raise ValueError(f"its gray values reach from {gray.min()} to {gray.max()}; save it with 8 or 16 bits")
    gray[gray == image.info.get("transparency", -1)] = MAX_16_BIT
    return Image.fromarray(np.round(gray * (255 / MAX_16_BIT)).astype(np.uint8))
