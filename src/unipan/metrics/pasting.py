"""Detections' masks at their images' pixels, each only where its box lies: the whole image for each of them would take seconds.

N detections of some images, with masks of M x M points over their boxes.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unipan.ops.boxes import MASK_PROBABILITY, paste_masks

BATCH_PX = 2**18
"""Pixels of masks that are pasted at once."""


def pasted_parts(
    mask_logits: Tensor, boxes: Tensor, sizes: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]]:
    """Some detections at a time, in any order, with their masks in what the boxes reach of the image.

    Yields their n indices, the masks (n, h, w), and the first pixels (n, 2) of these parts, y and x.
    mask_logits: (N, M, M) float32 on the CPU. boxes: (N, 4) x1 y1 x2 y2 in the pixels of their images, also beyond the border.
    sizes: (N, 2) height and width of each one's image.
    """
    windows = _windows(boxes.double().numpy(), sizes)
    crosses = np.any(boxes[:, [3, 2]].numpy() > sizes, axis=1)
    for positions in _batches(windows[:, 2:]):
        top_left, extents = windows[positions, :2], windows[positions, 2:]
        index, origin = torch.from_numpy(positions), torch.from_numpy(top_left[:, [1, 0, 1, 0]]).float()
        height, width = extents.max(0).tolist()
        pasted = paste_masks(mask_logits[index], boxes[index] - origin, height, width, stride=1).numpy() > MASK_PROBABILITY
        for position in np.flatnonzero(crosses[positions]).tolist():  # what a box reaches beyond the border
            rows, columns = extents[position]
            pasted[position, rows:], pasted[position, :, columns:] = False, False
        yield positions, pasted, top_left


def _windows(boxes: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 4) the pixels that each box reaches: y and x of the first, height and width; none where it lies outside its image."""
    low = np.floor(boxes[:, 1::-1]).clip(0, sizes)
    high = np.ceil(boxes[:, :1:-1]).clip(0, sizes)
    return np.concatenate([low, (high - low).clip(min=0)], 1).astype(np.int64)


def _batches(extents: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places of windows of like sizes, of at most BATCH_PX pixels together: few calls, little memory. extents: (N, 2)."""
    order = np.argsort(extents.prod(1), kind="stable")
    start, height, width = 0, 0, 0
    for stop, (rows, columns) in enumerate(extents[order].tolist()):
        joined = max(height, rows), max(width, columns)
        if stop > start and (stop + 1 - start) * joined[0] * joined[1] > BATCH_PX:
            yield order[start:stop]
            start, joined = stop, (rows, columns)
        height, width = joined
    if len(order):
        yield order[start:]
