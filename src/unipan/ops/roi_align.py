"""RoIAlign on a pyramid, with torchvision's forward and a faster backward on the CPU.

R regions, L levels; M x M bins of a region; each bin is the mean of 2 x 2 bilinear samples, so of 16 weighted cells.
torchvision's backward adds to each map value by value; here it is one weighted sum of rows for each cell of all maps. Boxes get
no gradient, as in torchvision.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torchvision.ops import roi_align as torchvision_roi_align

from unipan.ops.row_sums import spread_rows

SAMPLES = 2
"""Along each side of a bin, as in Mask R-CNN."""


def roi_align(maps: Sequence[Tensor], scales: Sequence[float], regions: Tensor, level: Tensor, output_size: int) -> Tensor:
    """(R, C, M, M): each region of its own level's map; a region without one is all 0.

    maps: L times (B, C, h, w). scales: cells a pixel, of each. regions: (R, 5) image index, x1 y1 x2 y2 in pixels.
    level: (R,) index into `maps`; any other number, NaN too, is no level. The values are torchvision's (`aligned` off).
    """
    if maps[0].device.type != "cpu" or not torch.is_grad_enabled():
        return level_by_level(maps, scales, regions, level, output_size)
    return _RowSums.apply(scales, regions.detach(), level, output_size, *maps)  # pyright: ignore[reportReturnType]


def level_by_level(maps: Sequence[Tensor], scales: Sequence[float], regions: Tensor, level: Tensor, output_size: int) -> Tensor:
    """As `roi_align`, by torchvision's operator alone, and its gradient."""
    pooled = maps[0].new_zeros(regions.shape[0], maps[0].shape[1], output_size, output_size)
    for one, scale, here in zip(maps, scales, _of_each_level(level, len(maps)), strict=True):
        pooled.index_copy_(0, here, torchvision_roi_align(one, regions[here], output_size, scale, SAMPLES))
    return pooled


def _of_each_level(level: Tensor, number: int) -> Sequence[Tensor]:
    """Indices of the regions of each of the levels 0..number - 1. A GPU is waited for twice, not once for each level."""
    own = torch.arange(number, device=level.device)[:, None] == level
    if torch.compiler.is_exporting():  # a graph has no list of lengths to cut by
        return [torch.where(row)[0] for row in own]
    return own.nonzero()[:, 1].split(own.sum(1).tolist())


class _RowSums(torch.autograd.Function):
    """torchvision's values; the gradient of all levels together, as sums of rows."""

    @staticmethod
    def forward(ctx, scales: Sequence[float], regions: Tensor, level: Tensor, output_size: int, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(regions, level)
        ctx.scales, ctx.output_size, ctx.shapes = scales, output_size, [one.shape for one in maps]
        return level_by_level(maps, scales, regions, level, output_size)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (regions, level), (gradient,) = ctx.saved_tensors, gradients
        cells = [batch * height * width for batch, _, height, width in ctx.shapes]
        index, share = neighbours(regions, grids_of(level, ctx.shapes, ctx.scales), ctx.output_size)
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])  # one row for each bin
        parts = spread_rows(rows, index, share, sum(cells)).split(cells)
        return None, None, None, None, *(_as_map(part, shape) for part, shape in zip(parts, ctx.shapes, strict=True))


def _as_map(cells: Tensor, shape: Sequence[int]) -> Tensor:
    """(B * h * w, C) -> (B, C, h, w), in that order in memory: another would spread through all of the backward pass."""
    ordered = cells.new_empty(*shape)
    for own, image in zip(ordered.flatten(2), cells.view(shape[0], -1, shape[1]), strict=True):
        own.copy_(image.T)  # a matrix at a time is faster than a permutation
    return ordered


class Grids(NamedTuple):
    """Where each region's cells are, (R, 1) each."""

    scale: Tensor  # cells a pixel
    height: Tensor  # of the map, in cells
    width: Tensor
    first: Tensor  # index of the level's first cell among those of all levels
    exists: Tensor  # whether the region has a level


def grids_of(level: Tensor, shapes: Sequence[Sequence[int]], scales: Sequence[float]) -> Grids:
    """level: (R,). shapes: L times B, C, h, w."""
    own = level.nan_to_num(-1).long()
    exists = (own == level) & (own >= 0) & (own < len(shapes))
    own = own.where(exists, 0)
    cells = torch.tensor([batch * height * width for batch, _, height, width in shapes])
    height, width = torch.tensor([shape[2:] for shape in shapes]).T
    scale, height, width, first = (
        values[own, None] for values in (torch.tensor(scales, dtype=torch.float64), height, width, cells.cumsum(0) - cells)
    )
    return Grids(scale, height, width, first, exists[:, None])


def neighbours(regions: Tensor, grids: Grids, output_size: int) -> tuple[Tensor, Tensor]:
    """The 16 cells that make up each bin: their index among those of all levels and their shares, each (R * M * M, 16)."""
    corners = regions[:, 1:] * grids.scale.to(regions.dtype)
    bin_size = (corners[:, 2:] - corners[:, :2]).clamp(min=1) / output_size  # (R, 2): x, y
    steps = (torch.arange(output_size * SAMPLES) + 0.5) / SAMPLES
    x_cells, x_shares = _along_axis(corners[:, :1] + steps * bin_size[:, :1], grids.width, grids.exists)  # (R, M, 4)
    y_cells, y_shares = _along_axis(corners[:, 1:2] + steps * bin_size[:, 1:], grids.height, grids.exists)
    first = grids.first + regions[:, :1].long() * (grids.height * grids.width)
    rows = first[:, :, None] + y_cells * grids.width[:, :, None]
    index = rows[:, :, None, :, None] + x_cells[:, None, :, None, :]  # (R, M, M, 4, 4)
    share = y_shares[:, :, None, :, None] * x_shares[:, None, :, None, :] / SAMPLES**2
    return index.flatten(0, 2).flatten(1), share.flatten(0, 2).flatten(1)


def _along_axis(positions: Tensor, length: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
    """(R, M * SAMPLES) positions -> cells and shares, each (R, M, 2 * SAMPLES). length, exists: (R, 1).

    torchvision's edges: a sample more than one cell outside counts nothing, one nearer takes the edge's cell.
    """
    inside = exists & (positions >= -1) & (positions <= length)
    clamped = positions.where(inside, 0).clamp(min=0).minimum(length - 1)
    low = clamped.floor().minimum((length - 2).clamp(min=0))
    fraction = clamped - low
    cells = torch.stack([low, (low + 1).minimum(length - 1)], -1).long()
    shares = torch.stack([1 - fraction, fraction], -1) * inside[..., None]
    shape = (len(positions), positions.shape[1] // SAMPLES, 2 * SAMPLES)
    return cells.view(shape), shares.view(shape)
