"""Time a backbone's forward and backward pass, its norms apart and folded: python benchmarks/bench_norms.py [ROUNDS].

One thread, one run, interleaved. Norms whose statistics are fine-tuned are never folded; in evaluation mode they do the same.
"""

import sys
from collections.abc import Callable

import torch
from record import interleaved, record

from unipan.models.backbone import LITE0, Backbone

CASES = {"resnet50": (1, 512, 1024), LITE0: (4, 128, 160)}
"""Backbones, and how many images of which size they are given."""
WAYS = {"norms apart": False, "norms folded": True}


def pass_both_ways(name: str, frozen: bool, images: torch.Tensor) -> Callable[[], None]:
    """Forward and backward."""
    backbone = Backbone(name=name, pretrained=False, freeze_batchnorm=frozen, checkpointing=False).eval()

    def run() -> None:
        backbone.zero_grad()
        torch.stack([feature.square().mean() for feature in backbone(images)]).sum().backward()

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured = {}
    for name, (number, height, width) in CASES.items():
        images = torch.randn(number, 3, height, width)
        ways = {way: pass_both_ways(name, frozen, images) for way, frozen in WAYS.items()}
        measured[f"{name}, {number} of {height} x {width}"] = interleaved(ways, rounds)
    record("bench_norms", measured)


if __name__ == "__main__":
    main()
