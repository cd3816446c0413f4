"""Crops of the instance map: the mask head's truth. R regions, M x M cells of a mask, H x W pixels."""

import torch
from torch import Tensor


def crop_instances(instances: Tensor, boxes: Tensor, matched: Tensor, size: int) -> Tensor:
    """(R, M, M) bool: whether the pixel under each mask cell's centre belongs to the region's true thing.

    instances: (H, W) index of the thing at each pixel, -1 for none. boxes: (R, 4) x1 y1 x2 y2 in pixels. matched: (R,) indices.
    size: M. Masks are truths of yes and no, as the Lovasz hinge wants them, so the nearest pixel is read and nothing is blended.
    """
    height, width = instances.shape
    centres = (torch.arange(size, device=boxes.device, dtype=boxes.dtype) + 0.5) / size
    x = boxes[:, 0, None] + centres * (boxes[:, 2] - boxes[:, 0])[:, None]  # (R, M)
    y = boxes[:, 1, None] + centres * (boxes[:, 3] - boxes[:, 1])[:, None]
    column = x.floor().long().clamp(0, width - 1)
    row = y.floor().long().clamp(0, height - 1)
    return instances[row[:, :, None], column[:, None, :]] == matched[:, None, None]
