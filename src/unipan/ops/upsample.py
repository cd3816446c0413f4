"""From cells to pixels."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from unipan.ops.precision import full_precision

STRIDE = 4
"""Pixels along each side of a cell: the resolution at which the network predicts."""


def check_cells(logits: Tensor, size: Sequence[int]) -> None:
    """Fail unless logits (K, h, w) are of the cells of an image of `size`, (H, W)."""
    height, width = size
    expected = (-(-height // STRIDE), -(-width // STRIDE))
    assert logits.shape[1:] == expected, f"cells are {tuple(logits.shape[1:])}; an image of {height}x{width} has {expected}"


def upsample_logits(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear logits of every pixel, (K, H, W), in float32 at least.

    logits: (K, h, w) with h = ceil(H / STRIDE); K may be 0. size: (H, W). Cells are areas, not points (`align_corners=False`);
    what the last row and column of cells cover beyond the image is cut off, not squeezed in.
    """
    height, width = size
    check_cells(logits, size)
    if logits.shape[0] == 0:  # interpolate refuses a tensor without channels; this one stays in the graph
        return logits.sum() + logits.new_zeros((0, height, width))
    full = full_precision(logits)
    return F.interpolate(full[None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[0, :, :height, :width]
