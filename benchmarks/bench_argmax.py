"""Time the arg max of upsampled logits against upsampling all and taking `max(0)`: python benchmarks/bench_argmax.py [ROUNDS].

One thread, one run, interleaved: every round times both. The logits are those of a confident network: the segments of procedural
scenes, averaged over the cells, brought to pixels bilinearly and by drawn shares (convex); and, the worst case, noise, where all
neighbours differ. Pixels in which the two ways differ are counted: channels within a rounding error of each other.
"""

import sys
from functools import partial

import torch
import torch.nn.functional as F
from record import interleaved, record
from torch import Tensor

from unipan.data.scenes.dataset import SceneDataset
from unipan.models.decode import at_size, best_channel
from unipan.ops.segments import index_of_ids
from unipan.types import Size

CASES: tuple[tuple[Size, Size, int], ...] = (
    ((128, 160), (128, 160), 8),
    ((512, 1024), (512, 1024), 20),
    ((1024, 2048), (1024, 2048), 20),
    ((1024, 2048), (1024, 2048), 119),
    ((256, 384), (427, 640), 27),
    ((800, 1199), (427, 640), 150),
)
"""What the network sees, the image's size, and the channels."""
CHUNK = 16
"""Channels that the plain way holds at full resolution at once."""
LOGIT = 8.0


def confident(size: Size, channels: int) -> Tensor:
    """Each channel's share of the cells, of as many segments as there are; the rest win nowhere."""
    truth = SceneDataset(difficulty="crowded", size=size, seed=0, length=1)[0].truth
    index = index_of_ids(truth.ids, [segment.id for segment in truth.segments])
    shares = torch.stack([F.avg_pool2d((index == channel).float()[None], 4, ceil_mode=True)[0] for channel in range(channels)])
    return LOGIT * shares + 0.1 * torch.randn(shares.shape)


def noise(size: Size, channels: int) -> Tensor:
    return torch.randn(channels, -(-size[0] // 4), -(-size[1] // 4))


def drawn_shares(size: Size) -> Tensor:
    """(9, 16, h, w): positive shares of the 3 x 3 cells around, no two cells' the same."""
    return torch.randn(9, 16, -(-size[0] // 4), -(-size[1] // 4)).softmax(0)


def plainly(logits: Tensor, network_size: Size, size: Size, shares: Tensor | None) -> Tensor:
    best, channel = at_size(logits[:CHUNK], network_size, size, shares).max(0)
    for start in range(CHUNK, len(logits), CHUNK):
        value, index = at_size(logits[start : start + CHUNK], network_size, size, shares).max(0)
        channel = torch.where(value > best, index + start, channel)
        best = torch.maximum(best, value)
    return channel


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured, differ = {}, 0
    for name, draw, convex in (("scenes", confident, False), ("scenes, convex", confident, True), ("noise", noise, False)):
        for network_size, size, channels in CASES:
            case = draw(network_size, channels), network_size, size, drawn_shares(network_size) if convex else None
            differ += int((best_channel(*case) != plainly(*case)).sum())
            seen, shown = (f"{height} x {width}" for height, width in (network_size, size))
            title = f"{name}, {seen}{f' for {shown}' if size != network_size else ''}, {channels} channels"
            ways = {"plainly": partial(plainly, *case), "unipan": partial(best_channel, *case)}
            measured[title] = interleaved(ways, rounds)
    record("bench_argmax", measured, note=f"{differ} pixels differed.")


if __name__ == "__main__":
    main()
