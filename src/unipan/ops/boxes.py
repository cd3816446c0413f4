"""From boxes and masks over boxes to maps of cells, differentiable in both.

N boxes (x1, y1, x2, y2) in pixels; a map of h x w cells, each of stride x stride pixels; masks of M x M points over a box.
Both maps factor into rows and columns, so neither needs a sampling grid. N = 0 is a normal value.
"""

import torch
from torch import Tensor

MIN_SIDE_PX = 1e-3
"""Smallest side of a box that anything is divided by."""
MASK_PROBABILITY = 0.5
"""A pixel above it belongs to the mask (Mask R-CNN)."""


def coverage(boxes: Tensor, height_cells: int, width_cells: int, stride: int = 4, image_size: Tensor | None = None) -> Tensor:
    """(N, h, w): the fraction of each cell that each box (N, 4) covers; 1 inside, 0 outside.

    image_size: (2,) height and width in pixels. Of a last cell that reaches over its border only what lies within counts.
    """
    height, width = image_size if image_size is not None else (height_cells * stride, width_cells * stride)
    x1, y1, x2, y2 = boxes.unbind(1)
    return _share(y1, y2, height_cells, stride, height)[:, :, None] * _share(x1, x2, width_cells, stride, width)[:, None, :]


def paste_masks(mask_logits: Tensor, boxes: Tensor, height_cells: int, width_cells: int, stride: int = 4) -> Tensor:
    """(N, h, w) mask probabilities of each cell, 0 where the box (N, 4) does not reach.

    mask_logits: (N, M, M) over each box.
    """
    return paste(mask_logits.sigmoid(), boxes, height_cells, width_cells, stride)


def paste(values: Tensor, boxes: Tensor, height_cells: int, width_cells: int, stride: int = 4) -> Tensor:
    """(N, h, w): values (N, M, M) over each box (N, 4) at each cell, 0 where the box does not reach.

    They are sampled bilinearly, zero beyond the outermost points, in the middle of what the box covers of the cell: the cell's
    centre inside the box, and never past a box that is smaller than a cell.
    """
    points = values.shape[-1]
    x1, y1, x2, y2 = boxes.unbind(1)
    columns = _sampling(x1, x2, width_cells, stride, points)
    rows = _sampling(y1, y2, height_cells, stride, points)
    return rows @ values @ columns.transpose(1, 2)


def _covered(low: Tensor, high: Tensor, cells: int, stride: int) -> tuple[Tensor, Tensor]:
    """Along one axis, where the box's part of each cell begins and ends, each (N, cells) in pixels; begin >= end: no part."""
    edges = torch.arange(cells, device=low.device, dtype=low.dtype) * stride
    return torch.maximum(low[:, None], edges), torch.minimum(high[:, None], edges + stride)


def _share(low: Tensor, high: Tensor, cells: int, stride: int, side: Tensor | int) -> Tensor:
    """Along one axis, of which the image has `side` pixels, the covered share of each cell: (N, cells)."""
    begin, end = _covered(low, high.clamp(max=side), cells, stride)
    sides = (side - torch.arange(cells, device=low.device, dtype=low.dtype) * stride).clamp(max=stride)
    return (end - begin).clamp(min=0) / sides


def _sampling(low: Tensor, high: Tensor, cells: int, stride: int, points: int) -> Tensor:
    """Along one axis, the bilinear share of each mask point in each cell: (N, cells, points); zeros where the box isn't."""
    begin, end = _covered(low, high, cells, stride)
    side = (high - low).clamp(min=MIN_SIDE_PX)[:, None]
    position = ((begin + end) / 2 - low[:, None]) / side * points - 0.5  # in mask points, point 0 at 0
    point = torch.arange(points, device=low.device, dtype=low.dtype)
    share = (1 - (position[..., None] - point).abs()).clamp(min=0)
    return share * (end > begin)[..., None]
