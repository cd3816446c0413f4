"""RoIAlign with torchvision's forward and a faster backward on the CPU.

R regions; M x M bins of a region; each bin is the mean of 2 x 2 bilinear samples, so of 16 weighted cells. torchvision's backward
adds to the map value by value; here it is one weighted sum of rows for each cell. Boxes get no gradient, as in torchvision.
"""

import torch
from torch import Tensor
from torchvision.ops import roi_align as torchvision_roi_align

from unipan.ops.row_sums import spread_rows

SAMPLES = 2
"""Along each side of a bin, as in Mask R-CNN."""


def roi_align(features: Tensor, regions: Tensor, output_size: int, scale: float) -> Tensor:
    """(R, C, M, M) of features (B, C, H, W).

    regions: (R, 5) image index, x1 y1 x2 y2 in pixels. scale: cells a pixel. The values are torchvision's (`aligned` off).
    """
    if features.device.type != "cpu" or not torch.is_grad_enabled():
        return torchvision_roi_align(features, regions, output_size, scale, SAMPLES)
    return _RowSums.apply(features, regions.detach(), output_size, scale)  # pyright: ignore[reportReturnType]


class _RowSums(torch.autograd.Function):
    """torchvision's values; the gradient as sums of rows."""

    @staticmethod
    def forward(ctx, features: Tensor, regions: Tensor, output_size: int, scale: float) -> Tensor:
        ctx.save_for_backward(regions)
        ctx.shape, ctx.output_size, ctx.scale = features.shape, output_size, scale
        return torchvision_roi_align(features, regions, output_size, scale, SAMPLES)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (regions,), (gradient,) = ctx.saved_tensors, gradients
        batch, channels, height, width = ctx.shape
        index, share = neighbours(regions, ctx.output_size, ctx.scale, height, width)
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, channels)  # one row for each bin
        cells = spread_rows(rows, index, share, batch * height * width)
        return cells.view(batch, height, width, channels).permute(0, 3, 1, 2), None, None, None


def neighbours(regions: Tensor, output_size: int, scale: float, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The 16 cells that make up each bin: their index in (B, H, W) and their shares, each (R * M * M, 16)."""
    corners = regions[:, 1:] * scale
    bin_size = (corners[:, 2:] - corners[:, :2]).clamp(min=1) / output_size  # (R, 2): x, y
    steps = (torch.arange(output_size * SAMPLES, device=regions.device) + 0.5) / SAMPLES
    x_cells, x_shares = _along_axis(corners[:, :1] + steps * bin_size[:, :1], width)  # (R, M, 4)
    y_cells, y_shares = _along_axis(corners[:, 1:2] + steps * bin_size[:, 1:], height)
    first = regions[:, 0].long()[:, None, None, None, None] * (height * width)
    index = first + y_cells[:, :, None, :, None] * width + x_cells[:, None, :, None, :]  # (R, M, M, 4, 4)
    share = y_shares[:, :, None, :, None] * x_shares[:, None, :, None, :] / SAMPLES**2
    return index.flatten(0, 2).flatten(1), share.flatten(0, 2).flatten(1)


def _along_axis(positions: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """(R, M * SAMPLES) positions -> cells and shares, each (R, M, 2 * SAMPLES).

    torchvision's edges: a sample more than one cell outside counts nothing, one nearer takes the edge's cell.
    """
    inside = (positions >= -1) & (positions <= length)
    clamped = positions.clamp(0, length - 1)
    low = clamped.floor().clamp(max=max(length - 2, 0))
    fraction = clamped - low
    cells = torch.stack([low, (low + 1).clamp(max=length - 1)], -1).long()
    shares = torch.stack([1 - fraction, fraction], -1) * inside[..., None]
    shape = (len(positions), positions.shape[1] // SAMPLES, 2 * SAMPLES)
    return cells.view(shape), shares.view(shape)
