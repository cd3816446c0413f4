"""Detections' masks at an image's pixels, each only where its box lies: the whole image for each of them would take seconds.

H x W pixels of an image; N detections with masks of M x M points over their boxes.
"""

from collections.abc import Iterator, Sequence
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unipan.ops.boxes import paste_masks
from unipan.types import Size

MASK_PROBABILITY = 0.5
"""A pixel belongs to a mask above it."""
BATCH_PX = 2**20
"""Pixels of masks that are pasted at once."""


class Window(NamedTuple):
    """A rectangle of an image, in whole pixels."""

    top: int
    left: int
    height: int
    width: int


def pasted_parts(mask_logits: Tensor, boxes: Tensor, size: Size) -> Iterator[tuple[int, NDArray[np.bool_], tuple[int, int]]]:
    """For each detection, in any order: its place, its mask (h, w) in what its box reaches, and that part's first pixel (y, x).

    mask_logits: (N, M, M). boxes: (N, 4) x1 y1 x2 y2 in the image's pixels, also beyond its border.
    """
    logits, boxes = mask_logits.detach().cpu().float(), boxes.detach().cpu().float()
    windows = [_window(corners, size) for corners in boxes.double().tolist()]
    for places in _batches(windows):
        origin = boxes.new_tensor([[windows[n].left, windows[n].top] * 2 for n in places])
        height, width = _extent([windows[n] for n in places])
        pasted = paste_masks(logits[places], boxes[places] - origin, height, width, stride=1) > MASK_PROBABILITY
        for place, inside in zip(places, pasted.numpy(), strict=True):
            window = windows[place]
            yield place, inside[: window.height, : window.width], (window.top, window.left)


def _window(corners: Sequence[float], size: Size) -> Window:
    """The pixels that a box x1, y1, x2, y2 reaches; none where it lies outside the image."""
    x1, y1, x2, y2 = corners
    height, width = size
    left, top = min(max(floor(x1), 0), width), min(max(floor(y1), 0), height)
    return Window(top, left, max(min(ceil(y2), height) - top, 0), max(min(ceil(x2), width) - left, 0))


def _batches(windows: Sequence[Window]) -> Iterator[list[int]]:
    """Places of windows of like sizes, of at most BATCH_PX pixels together: few calls, little memory."""
    batch: list[int] = []
    for place in sorted(range(len(windows)), key=lambda n: windows[n].height * windows[n].width):
        joined = [*batch, place]
        height, width = _extent([windows[n] for n in joined])
        if batch and len(joined) * height * width > BATCH_PX:
            yield batch
            joined = [place]
        batch = joined
    if batch:
        yield batch


def _extent(windows: Sequence[Window]) -> Size:
    """What holds any of them."""
    return max(window.height for window in windows), max(window.width for window in windows)
