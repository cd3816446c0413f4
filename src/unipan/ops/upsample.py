"""From cells to pixels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.ops.precision import full_precision, product

STRIDE = 4
"""Pixels along each side of a cell: the resolution at which the network predicts."""


def check_cells(logits: Tensor, size: Sequence[int]) -> None:
    """Fail unless logits (K, h, w) are of the cells of an image of `size`, (H, W)."""
    height, width = size
    expected = (-(-height // STRIDE), -(-width // STRIDE))
    assert logits.shape[1:] == expected, f"cells are {tuple(logits.shape[1:])}; an image of {height}x{width} has {expected}"


def upsample_logits(logits: Tensor, size: Sequence[int], weights: Tensor | None = None) -> Tensor:
    """Logits of every pixel, (K, H, W), in float32 at least: bilinear, or by weights (`convex_upsample`).

    logits: (K, h, w) with h = ceil(H / STRIDE); K may be 0. size: (H, W). Cells are areas, not points (`align_corners=False`);
    what the last row and column of cells cover beyond the image is cut off, not squeezed in.
    """
    height, width = size
    check_cells(logits, size)
    if logits.shape[0] == 0:  # interpolate refuses a tensor without channels; this one stays in the graph
        return logits.sum() + logits.new_zeros((0, height, width))
    full = full_precision(logits)
    if weights is not None:
        return convex_upsample(full, weights)[:, :height, :width]
    # Squeezed, not taken by index, whose gradient would be written into a map of zeros.
    pixels = F.interpolate(full[None], scale_factor=STRIDE, mode="bilinear", align_corners=False).squeeze(0)
    return pixels[:, :height, :width]


def convex_upsample(logits: Tensor, weights: Tensor) -> Tensor:
    """(K, STRIDE * h, STRIDE * w): each pixel's logits are a mean of those of the 3 x 3 cells around its own.

    logits: (K, h, w). weights: (9, STRIDE**2, h, w), the shares of these cells, row by row, in each of a cell's pixels, row by
    row; the nine add up to 1. Beyond the border it is as in the cell within. The operation is RAFT's (Teed and Deng, ECCV 2020).
    """
    num, rows, columns = logits.shape
    framed = F.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]
    nine = torch.stack([framed[:, y : y + rows, x : x + columns] for y in range(3) for x in range(3)], -1)
    pixels = product(nine.permute(1, 2, 0, 3), weights.permute(2, 3, 0, 1).to(nine.dtype))  # (h, w, K, STRIDE**2)
    own = pixels.view(rows, columns, num, STRIDE, STRIDE).permute(2, 0, 3, 1, 4)
    return own.reshape(num, rows * STRIDE, columns * STRIDE)
