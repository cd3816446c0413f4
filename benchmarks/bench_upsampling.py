"""Time a training step with convex upsampling against one with bilinear logits: python benchmarks/bench_upsampling.py [ROUNDS].

One thread, one run, interleaved: every round times both (`training_step.py`), of the demo's network.
"""

import sys

import torch
from record import interleaved, record
from training_step import training_step

from unipan.types import Size

CASES: tuple[tuple[int, Size], ...] = ((4, (128, 160)), (1, (512, 1024)))
"""Images at once, and their size."""


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured = {}
    for number, size in CASES:
        ways = {way: training_step("demo", number, size, upsampling=way) for way in ("convex", "bilinear")}
        measured[f"{number} of {size[0]} x {size[1]}"] = interleaved(ways, rounds)
    record("bench_upsampling", measured)


if __name__ == "__main__":
    main()
