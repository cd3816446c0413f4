"""Id maps as the COCO panoptic format stores them: RGB PNG files with id = R + 256 G + 256^2 B. H x W pixels."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.errors import InputError
from unipan.ops.images import UNREADABLE

MAX_ID = 2**24 - 1
"""Largest id that three bytes hold."""


def ids_from_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(H, W, 3) colours to (H, W) ids."""
    # A fourth, empty byte makes each pixel a little-endian integer: a third of the time of shifting and adding.
    padded = np.empty((*rgb.shape[:2], 4), np.uint8)
    for channel in range(3):
        padded[..., channel] = rgb[..., channel]
    padded[..., 3] = 0
    return padded.view("<i4")[..., 0].astype(np.int32, copy=False)


def rgb_from_ids(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(H, W) ids of 0..MAX_ID to (H, W, 3) colours; without loss."""
    if ids.size and (ids.min() < 0 or ids.max() > MAX_ID):
        raise InputError(
            f"ids reach from {ids.min()} to {ids.max()}; the COCO panoptic format holds 0 to {MAX_ID}. Renumber them."
        )
    return np.ascontiguousarray(np.ascontiguousarray(ids, "<i4")[..., None].view(np.uint8)[..., :3])


def read_id_map(path: Path | str) -> Tensor:
    """Read an RGB (or palette) PNG as (H, W) int32 ids; 0 is void."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no panoptic PNG {path}; check the path and the annotation's file_name.")
    try:
        with Image.open(path) as file:
            kind, mode = file.format, file.mode
            rgb = np.asarray(file.convert("RGB"))
    except UNREADABLE as error:
        raise InputError(f"cannot read the panoptic PNG {path}: {error}. Expected a complete PNG file.") from error
    if kind != "PNG" or mode not in ("RGB", "P"):
        raise InputError(
            f"{path} is a {kind} file of mode {mode}; a panoptic PNG must be a PNG file of mode RGB, "
            "with id = R + 256 G + 65536 B. Write it again in that form."
        )
    return torch.from_numpy(ids_from_rgb(rgb))


def write_id_map(path: Path | str, ids: Tensor) -> None:
    """Write (H, W) integer ids of 0..MAX_ID as an RGB PNG."""
    image = Image.fromarray(rgb_from_ids(ids.numpy()))
    try:
        image.save(path, format="PNG")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}. Check that the folder exists and that the disk has room.") from error
