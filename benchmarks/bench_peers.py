"""A training step and a prediction beside the peers' on the same scene: processor seconds of one thread and peak memory.

Every measurement is a process of its own, so that peaks are its own; the networks take turns, so that a busy moment hits all.
Weights are random; at inference each keeps 100 detections. A peer that is not installed is named and left out. unipan's commands
keep freed memory for the next image, a program around a predictor does not by itself: both are measured, of Mask R-CNN too.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import process_time

from unipan.ops.freed_memory import KEPT_BYTES

CASES = {
    "training step, 512 x 1024": ("training_step", (512, 1024)),
    "prediction, 800 x 1216": ("prediction", (800, 1216)),
    "prediction, 1024 x 2048": ("prediction", (1024, 2048)),
}
PEERS = (
    "unipan_r50",
    "unipan_r50_fast",
    "torchvision_maskrcnn",
    "unipan_r50_shared",
    "detectron2_panoptic_fpn",
    "mask2former_r50",
)
KEEPING = ("unipan_r50", "unipan_r50_fast", "torchvision_maskrcnn")
"""Peers that are measured with freed memory kept too."""
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(KEPT_BYTES)}
"""glibc's names for what unipan's commands ask of it."""
WAYS = {peer: (peer, {}) for peer in PEERS} | {f"{peer}, freed memory kept": (peer, KEPT) for peer in KEEPING}
"""Peers, and what the environment of their process adds."""
ROUNDS = 3


def measure(way: str, case: str) -> dict[str, float]:
    """Milliseconds of processor time of the second call, and the process's peak in MiB; this process is used up by it."""
    import torch
    from peers.scene import draw_scene

    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind, size = CASES[case]
    work = getattr(importlib.import_module(f"peers.{way}"), kind)(draw_scene(size))
    work()
    start = process_time()
    work()
    return {"ms": 1000 * (process_time() - start), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured_apart(way: str, case: str, environment: Mapping[str, str] | None = None) -> dict[str, float] | None:
    """`measure` in a process of its own; None where the package is missing. environment: what its differs in from ours."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error", **(environment or {})}
    done = subprocess.run([sys.executable, __file__, way, case], capture_output=True, text=True, check=False, env=environment)
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """All cases and peers, by turns."""
    from record import record

    times: dict[str, dict[str, list[float]]] = {case: {} for case in CASES}
    peaks: dict[str, dict[str, float]] = {case: {} for case in CASES}
    for case in CASES:
        for _ in range(ROUNDS):
            for way, (peer, environment) in WAYS.items():
                found = measured_apart(peer, case, environment)
                if found is None:
                    print(f"{peer} is not installed: left out")
                    continue
                times[case].setdefault(way, []).append(found["ms"])
                peaks[case][way] = max(peaks[case].get(way, 0.0), found["peak"])
                print(f"{case}, {way}: {found['ms'] / 1000:.2f} s, {found['peak']:.0f} MiB", flush=True)
    note = " ".join(
        f"Peak memory, {case}: {', '.join(f'{way} {mib:.0f} MiB' for way, mib in ways.items())}." for case, ways in peaks.items()
    )
    record(Path(__file__).stem, times, note=note, threads=1)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(measure(*sys.argv[1:3])))
    else:
        main()
