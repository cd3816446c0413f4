"""Time a training step by the levels that go through the decoders' blocks: python benchmarks/bench_decoders.py [ROUNDS].

One thread, one run, interleaved (`training_step.py`). Settings are `--model.deformable-from`; 2 is the published network's.
"""

import sys

import torch
from record import interleaved, record
from training_step import training_step

CASES = {"demo": (128, 160), "coco_small": (256, 352)}
"""Presets, and the size of their four images."""
WAYS = {"blocks on every level": 2, "from P3 on": 3, "from P4 on": 4}


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measured = {}
    for preset, size in CASES.items():
        ways = {way: training_step(preset, 4, size, deformable_from=level) for way, level in WAYS.items()}
        measured[f"{preset}, 4 of {size[0]} x {size[1]}"] = interleaved(ways, rounds)
    record("bench_decoders", measured)


if __name__ == "__main__":
    main()
