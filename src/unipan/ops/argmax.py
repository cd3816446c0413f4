"""Which channel of upsampled logits is the highest, without upsampling most of them. K channels, h x w cells, H x W pixels.

A pixel's logits are a mean of those of the four cells around it, with weights that all channels share. So where one channel is
the highest in all four, it is so in every pixel between them, and only where the four differ is there anything to interpolate.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.ops.upsample import STRIDE

AT_ONCE = 2**22
"""Logits of pixels that are held at once, so that memory does not grow with the number of channels."""


def upsampled_argmax(logits: Tensor, height: int, width: int) -> Tensor:
    """(H, W) int64: the first of the highest channels of `upsample_logits`; K where none is above minus infinity, or one is nan.

    logits: (K, h, w), K > 0, in float32 or float64. Of channels within a rounding error of each other either may be taken.
    """
    num, rows, columns = logits.shape
    framed = F.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]  # so that every pixel lies between four cells
    best = best_channel_of(framed.clone())
    between = best[:-1, :-1]
    differ = (best[1:, :-1] != between) | (best[:-1, 1:] != between) | (best[1:, 1:] != between)
    chosen = between.flatten()[:, None].repeat(1, STRIDE**2)
    place = differ.flatten().nonzero()[:, 0]
    first_cell = place + place // (columns + 1)  # a row of cells has one more than a row of places between them
    others = first_cell.new_tensor([0, 1, columns + 2, columns + 3])
    flat, weights = framed.flatten(1), _weights(logits)
    step = max(AT_ONCE // (num * STRIDE**2), 1)
    for start in range(0, len(place), step):
        here = slice(start, start + step)
        four = flat.index_select(1, (first_cell[here, None] + others).flatten()).view(num, -1, 4)
        chosen.index_copy_(0, place[here], best_channel_of(four @ weights))
    pixels = chosen.view(rows + 1, columns + 1, STRIDE, STRIDE).transpose(1, 2).flatten(2).flatten(0, 1)
    half = STRIDE // 2
    return pixels[half : half + height, half : half + width]


def best_channel_of(logits: Tensor) -> Tensor:
    """`first_best`'s channel of (K, ...), K where none is above minus infinity, or one is nan. Overwrites the logits."""
    best, channel = first_best(logits)
    return channel.where(best > -torch.inf, len(logits))


def first_best(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum over the channels of (K, ...) and the first channel that has it, int64. Overwrites the logits.

    In passes that the processor's vector units take: `max(0)`, which finds both in one, takes 2 to 5 times as long.
    """
    best = logits.amax(0)
    from_last = torch.arange(len(logits), 0, -1, dtype=logits.dtype, device=logits.device)
    from_last = from_last.view(-1, *[1] * best.ndim)
    return best, (len(logits) - logits.eq_(best).mul_(from_last).amax(0)).long()


def _weights(logits: Tensor) -> Tensor:
    """(4, STRIDE**2) of the four cells in the pixels between their centres, none of them 0."""
    far = (torch.arange(STRIDE, dtype=logits.dtype, device=logits.device) + 0.5) / STRIDE
    along = torch.stack([1 - far, far])  # (2, STRIDE)
    return (along[:, None, :, None] * along[:, None]).reshape(4, STRIDE**2)
