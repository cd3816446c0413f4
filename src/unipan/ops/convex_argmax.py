"""Which channel is the highest after convex upsampling, without upsampling most of them. K channels, h x w cells, H x W pixels.

As in `argmax`: where all cells that share in a pixel agree on their highest channel, it is the pixel's, whatever the shares.
`weights`, (9, STRIDE**2, h, w), are those of `convex_upsample`; logits are finite, in float32 or float64.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.ops.argmax import AT_ONCE, differ, highest, neighbours
from unipan.ops.precision import product
from unipan.ops.upsample import STRIDE, check_cells
from unipan.types import Size


def convex_argmax(logits: Tensor, weights: Tensor, size: Size) -> Tensor:
    """(H, W) int32: the first of the highest channels of `convex_upsample`, as `upsampled_argmax` is of bilinear logits."""
    check_cells(logits, size)
    num, rows, columns = logits.shape
    best = highest(logits.clone(), 0)
    chosen = best.flatten()[:, None].repeat(1, STRIDE**2)
    mixed = (_largest_around(best) != -_largest_around(-best)).flatten().nonzero()[:, 0]
    of_cell = logits.flatten(1).T.contiguous()
    for position in _parts(mixed, num * (9 + STRIDE**2)):
        row, column = position // columns, position % columns
        nine = _block(of_cell, row, column, 3, (rows, columns))
        shares = weights.flatten(2)[:, :, position].permute(2, 1, 0).to(nine.dtype)  # (n, STRIDE**2, 9)
        chosen[position] = highest(product(shares, nine), 2)
    pixels = chosen.view(rows, columns, STRIDE, STRIDE).transpose(1, 2).reshape(rows * STRIDE, columns * STRIDE)
    return pixels[: size[0], : size[1]]


def resized_convex_argmax(logits: Tensor, weights: Tensor, middle: Size, size: Size) -> Tensor:
    """`convex_argmax` after a second, bilinear step: the logits of `middle`, height and width in pixels, are resized to `size`.

    Each pixel lies between four of those of `middle`, which have their shares in 4 x 4 cells.
    """
    nearest = convex_argmax(logits, weights, middle)
    agreed = nearest.masked_fill(differ(nearest), -1)
    (low_y, far_y), (low_x, far_x) = (neighbours(s, m / s, m, logits) for s, m in zip(size, middle, strict=True))
    chosen = agreed.index_select(1, low_x).index_select(0, low_y)
    of_cell, flat = logits.flatten(1).T.contiguous(), chosen.view(-1)
    for position in _parts((flat < 0).nonzero()[:, 0], len(logits) * 16):
        y, x = position // size[1], position % size[1]
        first_row, first_column = low_y[y] // STRIDE, low_x[x] // STRIDE
        shares = logits.new_zeros(len(position), 16)
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = (far_y[y] if down else 1 - far_y[y]) * (far_x[x] if right else 1 - far_x[x])
            row, column = (low_y[y] + down).clamp(max=middle[0] - 1), (low_x[x] + right).clamp(max=middle[1] - 1)
            own = weights[:, row % STRIDE * STRIDE + column % STRIDE, row // STRIDE, column // STRIDE].T * share[:, None]
            corner = (row // STRIDE - first_row) * 4 + column // STRIDE - first_column
            shares.scatter_add_(1, corner[:, None] + corner.new_tensor([0, 1, 2, 4, 5, 6, 8, 9, 10]), own.to(shares.dtype))
        sixteen = _block(of_cell, first_row, first_column, 4, (logits.shape[1], logits.shape[2]))
        flat[position] = highest(product(shares[:, None], sixteen)[:, 0], 1)
    return chosen


def _largest_around(channel: Tensor) -> Tensor:
    """(h, w) float: the largest number within the 3 x 3 cells around."""
    return F.max_pool2d(channel[None].float(), 3, stride=1, padding=1)[0]


def _block(of_cell: Tensor, row: Tensor, column: Tensor, side: int, cells: Size) -> Tensor:
    """(n, side**2, K) of the side x side cells from the one above and left of each on; of_cell: (h * w, K)."""
    step = torch.arange(-1, side - 1, device=row.device)
    rows, columns = ((at[:, None] + step).clamp(0, end - 1) for at, end in zip((row, column), cells, strict=True))
    index = rows[:, :, None] * cells[1] + columns[:, None]
    return of_cell.index_select(0, index.flatten()).view(len(row), side**2, of_cell.shape[1])


def _parts(position: Tensor, numbers: int) -> Iterator[Tensor]:
    """So many positions at once that AT_ONCE numbers are held, `numbers` for each."""
    return iter(position.split(max(AT_ONCE // numbers, 1)))
