"""Deformable 3x3 convolution in three forms that agree in value and gradient; `deform_conv` picks the one for the occasion.

B images; cin and cout channels; P = H*W cells; 9 taps in row-major order; offsets hold (dy, dx) for each tap, as torchvision's
operator reads them. Stride 1, padding 1, no bias, one offset group. A tap samples bilinearly between its 4 neighbours, and a
neighbour outside the map counts as zero.

Where a position is whole, bilinear sampling has a kink. All forms take the cell at floor(position) and the next one, so the
gradient there is the one-sided difference towards larger positions (`sample_then_project` only up to rounding).
"""

from contextlib import nullcontext
from operator import add, iadd

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from unipan.ops.precision import full_precision
from unipan.ops.recompute import made_again
from unipan.ops.row_sums import sum_rows

TAPS = 9
KEPT_BYTES = 2**26
"""A product no larger (of 14,563 cells by 128 channels) is kept for the backward pass, a larger one multiplied again there."""
MOST_BYTES = 2**29
"""Where the product would be larger (of 116,508 cells by 128 channels), 3 taps are gone through at a time, or each alone."""


def deform_conv(x: Tensor, offsets: Tensor, weight: Tensor, *, checkpointed: bool = False) -> Tensor:
    """Convolve x (B, cin, H, W), each tap moved by its offset in cells, to (B, cout, H, W).

    offsets: (B, 18, H, W). weight: (cout, cin, 3, 3). Positions and shares are float32 at least, the result is of x's type.
    Autocast lowers the product with the weights, but of torchvision's operator (a GPU's without CUDA graphs), which has float32.
    checkpointed: this runs within `torch.utils.checkpoint`, which by itself keeps nothing of it for the backward pass.
    """
    full = full_precision(x)
    arguments = (full, offsets.to(full.dtype), weight.to(full.dtype))
    exporting = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
    if x.device.type == "cpu" and not exporting:
        convolved = project_then_gather(*arguments, checkpointed=checkpointed)
    elif x.device.type == "cuda" and not exporting and _on_default_stream(x.device):
        convolved = deform_conv2d(*arguments, padding=(1, 1))
    else:  # torchvision's operator has neither an ONNX form nor one for MPS
        convolved = sample_then_project(*arguments)
    return convolved.to(x.dtype)


def _on_default_stream(device: torch.device) -> bool:
    """Where torchvision's kernels go whatever the current stream is; on another they would run too soon, and in no graph."""
    return torch.cuda.current_stream(device) == torch.cuda.default_stream(device)


def project_then_gather(x: Tensor, offsets: Tensor, weight: Tensor, *, checkpointed: bool = False) -> Tensor:
    """The form for a CPU, many times faster than torchvision's. Arguments as in `deform_conv`, float32 or float64.

    Sampling is linear, so every cell is first multiplied by the weights of all taps, in one matrix product; each output cell
    then is a weighted sum of 36 of these rows (9 taps, 4 neighbours). The product is nine times as large as the output, so of
    large maps it is not kept, but multiplied again in the backward pass; that of very large ones is of some taps at a time.
    """
    batch, cin, height, width = x.shape
    cout = weight.shape[0]
    cells = x.permute(0, 2, 3, 1).reshape(-1, cin)
    product_bytes = cells.shape[0] * TAPS * cout * x.element_size()
    at_once = next((taps for taps in (9, 3) if product_bytes * taps <= TAPS * MOST_BYTES), 1)
    first, *others = zip(
        weight.flatten(2).split(at_once, 2),
        *(positions.split(at_once, 1) for positions in _positions(offsets)),
        strict=True,
    )
    plus = add if torch.is_grad_enabled() else iadd
    summed = _of_taps(cells, *first, checkpointed=checkpointed)
    for group in others:
        summed = plus(summed, _of_taps(cells, *group, checkpointed=checkpointed))
    return summed.view(batch, height, width, cout).permute(0, 3, 1, 2)


def _of_taps(cells: Tensor, weight: Tensor, y: Tensor, x: Tensor, *, checkpointed: bool) -> Tensor:
    """What some of the taps, t, contribute: (B*P, cout). cells: (B*P, cin). weight: (cout, cin, t). y, x: as of `_positions`."""
    taps, cout, dtype = weight.permute(1, 2, 0).flatten(1), len(weight), y.dtype  # all that `product` holds, with the cells

    def product() -> Tensor:
        return (cells @ taps).view(-1, cout).to(dtype)  # (B*P*t, cout); autocast may have lowered the product

    rows = product()
    index, share = _neighbours(y, x)
    kept = checkpointed or rows.numel() * rows.element_size() <= KEPT_BYTES
    with nullcontext() if kept else made_again(rows, product):
        return sum_rows(rows, index, share)


def sample_then_project(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """The form of plain operators: for export, CUDA graphs, and devices that torchvision has none for. As in `deform_conv`."""
    batch, cin, height, width = x.shape
    y, x_positions = _positions(offsets)
    grid = torch.stack([(2 * x_positions + 1) / width - 1, (2 * y + 1) / height - 1], -1)  # cell centres, align_corners=False
    grid = grid.reshape(batch, TAPS * height, width, 2)
    sampled = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    columns = sampled.reshape(batch, cin * TAPS, height * width)
    return (weight.reshape(-1, cin * TAPS) @ columns).view(batch, -1, height, width)


def _positions(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Where each tap of each output cell samples, in cells: y and x, each (B, 9, H, W).

    What lies two cells outside samples nothing, so positions stop there: no offset is too large for an index.
    """
    batch, _, height, width = offsets.shape
    moves = offsets.reshape(batch, TAPS, 2, height, width)
    tap = torch.arange(TAPS, device=offsets.device)[:, None, None]
    y = moves[:, :, 0] + (tap // 3 - 1 + torch.arange(height, device=offsets.device)[:, None])  # rounded once, as torchvision's
    x = moves[:, :, 1] + (tap % 3 - 1 + torch.arange(width, device=offsets.device))
    return y.clamp(-2, height + 1), x.clamp(-2, width + 1)


def _neighbours(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that make up each output cell: their index among (B, P, t) and their bilinear shares, each (B*P, 4*t).

    y, x: positions of t of the taps, (B, t, H, W).
    """
    batch, taps, height, width = y.shape
    y_cells, y_shares = _along_axis(y.permute(0, 2, 3, 1).contiguous(), height)  # taps last: all that follows lies in order
    x_cells, x_shares = _along_axis(x.permute(0, 2, 3, 1).contiguous(), width)
    first = torch.arange(batch, device=y.device)[:, None, None, None] * (height * width * taps)
    tap = torch.arange(taps, device=y.device)
    starts, columns = [cells * (width * taps) + (first + tap) for cells in y_cells], [cells * taps for cells in x_cells]
    index = torch.stack([start + column for start in starts for column in columns], -1)  # (B, H, W, t, 4)
    share = torch.stack([y_share * x_share for y_share in y_shares for x_share in x_shares], -1)
    return index.view(-1, 4 * taps), share.view(-1, 4 * taps)


def _along_axis(position: Tensor, length: int) -> tuple[list[Tensor], list[Tensor]]:
    """The two neighbours of each position along one axis and their shares; outside the share is 0."""
    low = position.detach().floor()
    fraction = position - low
    pair = ((low, 1 - fraction), (low + 1, fraction))
    shares = [share * ((cell >= 0) & (cell < length)) for cell, share in pair]
    return [cell.long().clamp(0, length - 1) for cell, _ in pair], shares  # clamped last: a NaN turns into any integer
