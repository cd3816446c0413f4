"""`cityscapes_r50` in float32 and in bf16 on a CPU, training and predicting: python benchmarks/bench_precision.py [ROUNDS].

One thread, one run, interleaved. bf16 pays where the processor multiplies it (avx512_bf16, amx_bf16 in /proc/cpuinfo).
"""

import sys
from collections.abc import Callable
from functools import partial

import torch
from peers import unipan_r50
from peers.scene import draw_scene
from record import interleaved, record

CASES = {"training step, 512 x 1024": ("training_step", (512, 1024)), "prediction, 800 x 1216": ("prediction", (800, 1216))}


def under_autocast(work: Callable[[], object], *, bf16: bool) -> None:
    """Call it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        work()


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    measured = {}
    for case, (kind, size) in CASES.items():
        torch.manual_seed(0)
        work = getattr(unipan_r50, kind)(draw_scene(size))
        ways = {name: partial(under_autocast, work, bf16=name == "bf16") for name in ("float32", "bf16")}
        measured[case] = interleaved(ways, rounds)
    record("bench_precision", measured)


if __name__ == "__main__":
    main()
