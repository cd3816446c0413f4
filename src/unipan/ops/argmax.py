"""Which channel of upsampled logits is the highest, without upsampling most of them. K channels, h x w cells, H x W pixels.

A pixel's logits are a mean of those of the four cells around it, with weights that all channels share. So where one channel is
the highest in all four, it is so in every pixel between them, and only where the four differ is there anything to interpolate.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.ops.precision import product
from unipan.ops.upsample import STRIDE, check_cells
from unipan.types import Size

AT_ONCE = 2**22
"""Pixels' logits that are held at once, however many channels there are, beside two copies of the cells'."""


def upsampled_argmax(logits: Tensor, size: Size) -> Tensor:
    """(H, W) int32: the first of the highest channels of `upsample_logits`; K where none is above minus infinity, or one is nan.

    logits: (K, h, w), K > 0, in float32 or float64. Of channels within a rounding error of each other either may be taken; it is
    a matrix product's, so TF32's where a GPU is told to use that.
    """
    check_cells(logits, size)
    (num, rows, columns), (height, width) = logits.shape, size
    framed = F.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]  # so that every pixel lies between four cells
    best = highest(framed.clone(), 0)
    between = best[:-1, :-1]
    mixed = differ(best)[:-1, :-1]
    chosen = between.flatten()[:, None].repeat(1, STRIDE**2)
    position = mixed.flatten().nonzero()[:, 0]
    first_cell = position + position // (columns + 1)  # a row of cells has one more than a row of gaps between them
    others = first_cell.new_tensor([0, 1, columns + 2, columns + 3])
    flat, weights = framed.flatten(1), _weights(logits)
    step = max(AT_ONCE // (num * STRIDE**2), 1)
    for start in range(0, len(position), step):
        here = slice(start, start + step)
        four = flat.index_select(1, (first_cell[here, None] + others).flatten()).view(num, -1, 4)
        chosen[position[here]] = highest(product(four, weights), 0)
    pixels = chosen.view(rows + 1, columns + 1, STRIDE, STRIDE).transpose(1, 2).flatten(2).flatten(0, 1)
    half = STRIDE // 2
    return pixels[half : half + height, half : half + width]


def resized_argmax(logits: Tensor, middle: Size, size: Size) -> Tensor:
    """`upsampled_argmax` after a second bilinear step: the logits of `middle`, height and width in pixels, are resized to `size`.

    Each pixel lies between four of those of `middle`, and has a share in at most 3 x 3 cells.
    """
    nearest = upsampled_argmax(logits, middle)
    rows, columns = (_axis(*lengths, logits) for lengths in zip(logits.shape[1:], middle, size, strict=True))
    agreed = nearest.masked_fill(differ(nearest), -1)
    chosen = agreed.index_select(1, columns.low).index_select(0, rows.low)
    position = (chosen.flatten() < 0).nonzero()[:, 0]
    y, x = position // size[1], position % size[1]
    of_cell, flat = logits.flatten(1).T.contiguous(), chosen.view(-1)  # (h * w, K), (H * W,)
    step = max(AT_ONCE // (len(logits) * 9), 1)
    for part in range(0, len(position), step):
        here = slice(part, part + step)
        cells = rows.cells[y[here], :, None] * logits.shape[2] + columns.cells[x[here], None]  # (n, 3, 3)
        weights = rows.weights[y[here], :, None] * columns.weights[x[here], None]
        nine = of_cell.index_select(0, cells.flatten()).view(-1, 9, len(logits))
        flat[position[here]] = highest(product(weights.flatten(1)[:, None], nine)[:, 0], 1)
    return chosen


def differ(channel: Tensor) -> Tensor:
    """(H, W) bool: whether the one to the right, the one below or the one between these has another channel."""
    found = torch.zeros_like(channel, dtype=torch.bool)
    found[:-1] = channel[1:] != channel[:-1]
    found[:, :-1] |= channel[:, 1:] != channel[:, :-1]
    found[:-1, :-1] |= channel[1:, 1:] != channel[:-1, :-1]
    return found


class _Axis(NamedTuple):
    """One axis of both steps: what is known of each of its n pixels."""

    low: Tensor  # (n,) the first of the two pixels of the middle size between which it lies
    cells: Tensor  # (n, 3) the cells in which it has a share, some twice or thrice to make three
    weights: Tensor  # (n, 3) these shares; a cell that is named several times has it in equal parts


def _axis(cells: int, middle: int, size: int, like: Tensor) -> _Axis:
    low, far = neighbours(size, middle / size, middle, like)
    high = (low + 1).clamp(max=middle - 1)
    cell, share = neighbours(middle, 1 / STRIDE, cells, like)
    weights = torch.zeros(size, 3, dtype=like.dtype, device=like.device)
    for pixel, part in ((low, 1 - far), (high, far)):
        shift = (cell[pixel] - cell[low])[:, None]  # 0 or 1
        weights.scatter_add_(1, shift, (part * (1 - share[pixel]))[:, None])
        weights.scatter_add_(1, shift + 1, (part * share[pixel])[:, None])
    named = torch.arange(3, device=like.device).where(weights > 0, weights.argmax(1, keepdim=True))
    same = named[:, :, None] == named[:, None]
    shares = (weights[:, None] * same).sum(2) / same.sum(2)  # none is 0, as 0 times minus infinity is nan
    return _Axis(low, cell[low, None] + named, shares)


def neighbours(size: int, factor: float, others: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of `size` points along an axis the first of the two other points around each, and how far it is on to the second."""
    centres = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    position = (centres * factor - 0.5).clamp(0, others - 1)
    first = position.floor()
    return first.long(), position - first


def highest(logits: Tensor, dim: int) -> Tensor:
    """The first of the highest along one dimension; their number where none is above minus infinity, or one is nan.

    Overwrites the logits, in passes that the processor's vector units take: `max`, which finds both in one, takes 2 to 5 times as
    long.
    """
    best, num_candidates = logits.amax(dim, keepdim=True), logits.shape[dim]
    from_last = torch.arange(num_candidates, 0, -1, dtype=logits.dtype, device=logits.device)
    from_last = from_last.view(-1, *[1] * (logits.ndim - 1 - dim))
    channel = num_candidates - logits.eq_(best).mul_(from_last).amax(dim).int()
    return channel.where(best.squeeze(dim) > -torch.inf, num_candidates)


def _weights(logits: Tensor) -> Tensor:
    """(4, STRIDE**2) of the four cells in the pixels between their centres, none of them 0."""
    far = (torch.arange(STRIDE, dtype=logits.dtype, device=logits.device) + 0.5) / STRIDE
    along = torch.stack([1 - far, far])  # (2, STRIDE)
    return (along[:, None, :, None] * along[:, None]).reshape(4, STRIDE**2)
