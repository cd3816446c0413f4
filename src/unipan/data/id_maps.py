"""Id maps as the COCO panoptic format stores them: RGB PNG files with id = R + 256 G + 256^2 B. H x W pixels."""

from __future__ import annotations

import os
from errno import ENOSPC
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.ops.images import UNREADABLE, open_image
from unipan.ops.plain_png import decode_plain
from unipan.ops.raw_forms import has_deep_colors
from unipan.ops.segments import true_positions

if TYPE_CHECKING:
    from torch import Tensor

MAX_ID = 2**24 - 1
"""Largest id that three bytes hold."""
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
SWAPPED = "red and blue swapped, as OpenCV writes RGB arrays"
"""What is wrong with a PNG whose ids are `swapped_ids` of the JSON's."""

Ids = TypeVar("Ids", int, NDArray[np.int32])


def ids_from_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(H, W, 3) colors to (H, W) ids."""
    # A fourth, empty byte makes each pixel a little-endian integer: a third of the time of shifting and adding.
    padded = np.empty((*rgb.shape[:2], 4), np.uint8)
    for channel in range(3):
        padded[..., channel] = rgb[..., channel]
    padded[..., 3] = 0
    return padded.view("<i4")[..., 0].astype(np.int32, copy=False)


def swapped_ids(ids: Ids) -> Ids:
    """What ids of 0..MAX_ID are where a color's first byte is read as its third."""
    return (ids & 255) << 16 | ids & 255 << 8 | ids >> 16


def rgb_from_ids(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(H, W) ids of 0..MAX_ID to (H, W, 3) colors; without loss."""
    if ids.size and (ids.min() < 0 or ids.max() > MAX_ID):
        raise InputError(
            f"ids reach from {ids.min()} to {ids.max()}; the COCO panoptic format holds 0 to {MAX_ID}. Renumber them."
        )
    return np.ascontiguousarray(np.ascontiguousarray(ids, "<i4")[..., None].view(np.uint8)[..., :3])


def shared_runs(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs of pixels in which neither of two (H, W, 3) color maps changes: positions of their first pixels, and lengths.

    Works on bytes, and so spares both maps the way from colors to ids, which costs more than all counting.
    """
    # In one array, since glibc hands blocks of this size back to the system and takes as long to get them again as to decode a
    # PNG, unless it has seen a block that is larger than either map.
    changes, other_changes = np.empty((2, one.size), dtype=bool)
    for flags, colors in ((changes, one.ravel()), (other_changes, other.ravel())):
        flags[:3] = True
        np.not_equal(colors[3:], colors[:-3], out=flags[3:])
    changes |= other_changes
    starts = true_positions(changes) // 3
    starts = starts[np.diff(starts, prepend=-1) > 0]  # up to three bytes of a pixel change
    return starts, np.diff(starts, append=one.size // 3)


def ids_at(rgb: NDArray[np.uint8], pixels: NDArray[np.int64]) -> NDArray[np.int32]:
    """(r,) ids at some positions in a flattened (H, W, 3) color map."""
    # As in `ids_from_rgb`, a fourth, empty byte makes each pixel a little-endian integer.
    padded = np.zeros((len(pixels), 4), np.uint8)
    values, positions = rgb.ravel(), 3 * pixels
    for channel in range(3):
        padded[:, channel] = values[channel:].take(positions)
    return padded.view("<i4")[:, 0].astype(np.int32, copy=False)


def read_id_map(path: Path | str) -> Tensor:
    """Read an RGB (or palette) PNG as (H, W) int32 ids; 0 is void."""
    import torch  # the score of files reads no tensor, and is done before torch is imported

    return torch.from_numpy(ids_from_rgb(read_colors(path)))


def read_colors(path: Path | str) -> NDArray[np.uint8]:
    """Read an RGB (or palette) PNG as (H, W, 3) colors.

    Pillow reads what is not plain RGB, and says what is wrong with what neither decoder can read.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InputError(f"there is no panoptic PNG {path}; check the path and the annotation's file_name.") from error
    return _colors_of(content, path)


def id_map_of(content: bytes, source: object) -> Tensor:
    """The (H, W) int32 ids of a PNG's content. source: where it is from, for messages."""
    import torch

    return torch.from_numpy(ids_from_rgb(_colors_of(content, source)))


def _colors_of(content: bytes, source: object) -> NDArray[np.uint8]:
    fast = decode_plain(content)
    return _decode_carefully(content, source) if fast is None else fast


def _decode_carefully(content: bytes, path: object) -> NDArray[np.uint8]:
    try:
        with open_image(BytesIO(content)) as file:
            kind, mode, is_deep = file.format, file.mode, has_deep_colors(file)
            rgb = np.asarray(file.convert("RGB"))
    except UNREADABLE as error:
        raise InputError(f"cannot read the panoptic PNG {path}: {error}. Expected a complete PNG file.") from error
    if kind != "PNG" or mode not in ("RGB", "P") or is_deep:
        depth = ", 16 bits a channel" if is_deep else ""
        raise InputError(
            f"{path} is a {kind} file of mode {mode}{depth}; a panoptic PNG must be a PNG file of mode RGB, 8 bits a channel, "
            "with id = R + 256 G + 65536 B. Write it again in that form."
        )
    return rgb


def write_id_map(path: Path | str, ids: Tensor) -> None:
    """Write (H, W) integer ids of 0..MAX_ID as an RGB PNG, whole or not at all."""
    from kornia_rs.io import write_image_png_u8

    rgb = rgb_from_ids(ids.numpy())

    def write(temporary: Path) -> None:
        try:
            write_image_png_u8(str(temporary), rgb, "rgb")
        except Exception as error:  # it has none of its own
            raise OSError(str(error)) from error
        with temporary.open("rb") as file:
            file.seek(-len(PNG_END), SEEK_END)
            if file.read() != PNG_END:  # which it writes last, and does not say where that fails
                raise OSError(ENOSPC, os.strerror(ENOSPC))

    replace_atomically(Path(path), write, durable=False)  # of thousands: flushing takes half as long again as encoding
