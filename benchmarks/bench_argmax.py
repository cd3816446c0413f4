"""Time the arg max of upsampled logits against upsampling all and taking `max(0)`: python benchmarks/bench_argmax.py [ROUNDS].

One thread, one run, interleaved: every round times both. The logits are those of a confident network: the segments of procedural
scenes, averaged over the cells; and, the worst case, noise, where all neighbours differ. Both must find the same channels.
"""

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from unipan.data.scenes import SceneDataset
from unipan.ops.argmax import upsampled_argmax
from unipan.ops.segments import index_of_ids
from unipan.ops.upsample import upsample_logits
from unipan.types import Size

CASES = ((128, 160, 8), (512, 1024, 20), (1024, 2048, 20), (1024, 2048, 119))
"""Height, width, channels."""
CHUNK = 16
"""Channels that the plain way holds at full resolution at once."""
LOGIT = 8.0


def confident(size: Size, channels: int) -> Tensor:
    """Each channel's share of the cells, of as many segments as there are; the rest win nowhere."""
    truth = SceneDataset(difficulty="crowded", size=size, seed=0, length=1)[0].truth
    index = index_of_ids(truth.ids, [segment.id for segment in truth.segments])
    shares = [F.avg_pool2d((index == channel).float()[None], 4)[0] for channel in range(channels)]
    return LOGIT * torch.stack(shares) + 0.1 * torch.randn(channels, size[0] // 4, size[1] // 4)


def noise(size: Size, channels: int) -> Tensor:
    return torch.randn(channels, size[0] // 4, size[1] // 4)


def plainly(logits: Tensor, height: int, width: int) -> Tensor:
    best, channel = upsample_logits(logits[:CHUNK], (height, width)).max(0)
    for start in range(CHUNK, len(logits), CHUNK):
        value, index = upsample_logits(logits[start : start + CHUNK], (height, width)).max(0)
        channel = torch.where(value > best, index + start, channel)
        best = torch.maximum(best, value)
    return channel


def milliseconds(way: Callable[[Tensor, int, int], Tensor], logits: Tensor, size: Size) -> float:
    start = perf_counter()
    way(logits, *size)
    return 1000 * (perf_counter() - start)


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    table = Table("logits", "pixels", "channels", "plainly, ms", "unipan, ms", "ratio")
    for name, draw in (("confident", confident), ("noise", noise)):
        for height, width, channels in CASES:
            logits, size = draw((height, width), channels), (height, width)
            differ = (upsampled_argmax(logits, size) != plainly(logits, *size)).sum().item()
            assert not differ, f"{differ} pixels differ"
            times = [(milliseconds(plainly, logits, size), milliseconds(upsampled_argmax, logits, size)) for _ in range(rounds)]
            plain, ours = (median(column) for column in zip(*times, strict=True))
            table.add_row(name, f"{height} x {width}", str(channels), f"{plain:.2f}", f"{ours:.2f}", f"{plain / ours:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
