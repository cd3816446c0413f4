"""How good an answer of cells can be: `python benchmarks/resolution.py`.

The truth of held-out scenes, as the share of each cell that each segment has, goes to pixels as bilinear logits do, and the
highest wins. What its segments' IoU loses is lost to the cells' size. No strict limit: logits may say more than shares do.
"""

from argparse import ArgumentParser
from dataclasses import replace
from typing import get_args

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from unipan.choices import Difficulty
from unipan.data.build import validation_dataset
from unipan.presets import PRESETS

STRIDES = (2, 4, 8)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=500)
    given = parser.parse_args()
    table = Table("mean IoU", *(f"{kind}, stride {stride}" for kind in ("things", "stuff") for stride in STRIDES))
    for difficulty in get_args(Difficulty):
        data = replace(PRESETS["demo"]().data, difficulty=difficulty, val_seed=given.seed, val_scenes=given.scenes)
        scenes = validation_dataset(data)
        found: dict[tuple[bool, int], list[float]] = {}
        for index in range(len(scenes)):
            truth = scenes[index].truth
            for stride in STRIDES:
                overlaps = overlap_of_cells(torch.stack([truth.mask(segment) for segment in truth]), stride)
                for segment, overlap in zip(truth, overlaps.tolist(), strict=True):
                    found.setdefault((segment.is_thing, stride), []).append(100 * overlap)
        means = [sum(values) / len(values) for values in (found[is_thing, s] for is_thing in (True, False) for s in STRIDES)]
        table.add_row(difficulty, *(f"{mean:.1f}" for mean in means))
    Console().print(table)


def overlap_of_cells(masks: Tensor, stride: int) -> Tensor:
    """(S,) IoU of each of S segments, whose masks (S, H, W) leave no pixel out, with what is left of it; sides of whole cells."""
    cells = F.avg_pool2d(masks.double(), stride)
    pixels = F.interpolate(cells[None], scale_factor=stride, mode="bilinear", align_corners=False)[0]
    found = F.one_hot(pixels.argmax(0), len(masks)).movedim(-1, 0).bool()
    return (found & masks).flatten(1).sum(1) / (found | masks).flatten(1).sum(1)


if __name__ == "__main__":
    main()
