"""Confirm on a GPU what the CPU's tests hold, and time it: `make gpu`. Without a GPU it says so and ends well.

Writes benchmarks/results/gpu.json and docs/gpu.md. `--device cpu` goes the same road on the CPU, to try the road itself.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import gpu_checks
import torch
from peers import torchvision_maskrcnn, unipan_r50
from peers.scene import draw_scene

ROOT = Path(__file__).parents[1]
RESULT, PAGE = ROOT / "benchmarks" / "results" / "gpu.json", ROOT / "docs" / "gpu.md"
WAYS = {"unipan": unipan_r50, "torchvision's Mask R-CNN": torchvision_maskrcnn}
STEPS = 20


def confirmed(device: torch.device, size: tuple[int, int]) -> dict[str, Any]:
    """Every check on a scene of that size, in float32 without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    scene = draw_scene(size)
    return {
        "deformable forms": gpu_checks.deformable_forms(device),
        "losses and gradient norm, float32": gpu_checks.losses_and_gradients(scene, device),
        "losses and gradient norm, bf16": gpu_checks.losses_and_gradients(scene, device, torch.bfloat16),
        "pixels that differ": gpu_checks.answers(scene, device),
    }


def timed(device: torch.device, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Milliseconds of a step and a prediction by turns, and each one's peak memory in MiB."""
    scene = draw_scene(size).to(device)
    found: dict[str, Any] = {}
    for kind in ("training_step", "prediction"):
        found[kind] = {name: _times(getattr(way, kind)(scene), device, rounds) for name, way in WAYS.items()}
    return found


def _times(work: Callable[[], object], device: torch.device, rounds: int) -> dict[str, float]:
    cuda = device.type == "cuda"
    work()
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize(device)
        times.append(1000 * (perf_counter() - start))
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else float("nan")
    return {"median_ms": median(times), "slowest_ms": max(times), "peak_mib": peak}


def trained(device: torch.device, folder: Path) -> dict[str, Any]:
    """The demo on this device; with several GPUs also a short training that they share."""
    unipan = [sys.executable, "-m", "unipan"]
    subprocess.run([*unipan, "demo", "--train.device", device.type, "--out", str(folder / "demo")], check=True)
    found = {"demo": json.loads((folder / "demo" / "metrics.json").read_text())}
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if count > 1:
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m", "unipan", "train", "demo"]
        shared = ["--train.steps", str(STEPS), "--train.batch-size", str(4 * count), "--out", str(folder / "shared")]
        subprocess.run([*launch, *shared], check=True)
        found["nccl"] = (folder / "shared" / "log.jsonl").read_text().splitlines()[-1]
    return found


def page(content: dict[str, Any]) -> str:
    """The record as a page."""
    lines = [
        "# What a GPU confirmed",
        "",
        f"`make gpu` on {content['device']}, torch {content['torch']}. Largest differences:",
        "",
    ]
    lines += ["| what | | difference |", "|---|---|---:|"]
    for what, parts in content["confirmed"].items():
        lines += [f"| {what} | {part} | {value:.2g} |" for part, value in parts.items()]
    lines += ["", "| work | network | median, ms | slowest, ms | peak, MiB |", "|---|---|---:|---:|---:|"]
    for kind, ways in content["timed"].items():
        lines += [
            f"| {kind} | {way} | {t['median_ms']:.1f} | {t['slowest_ms']:.1f} | {t['peak_mib']:.0f} |" for way, t in ways.items()
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Every check, the times, then a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="where the demo trains; without it nothing is trained")
    parser.add_argument("--record", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here, so nothing was confirmed; `python benchmarks/gpu.py --device cpu` tries the road itself.")
        return
    device, size = torch.device(options.device), tuple(options.size)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU itself"
    content: dict[str, Any] = {"device": name, "torch": torch.__version__, "size": size, "confirmed": confirmed(device, size)}
    if device.type == "cuda":
        content["confirmed"]["torch.compile"] = {"backbone": gpu_checks.compiled_backbone(draw_scene(size), device)}
    content["timed"] = timed(device, size, options.rounds)
    if options.out:
        content["trained"] = trained(device, options.out)
    options.record.write_text(json.dumps(content, indent=2) + "\n")
    print(page(content))
    if device.type == "cuda":
        PAGE.write_text(page(content))


if __name__ == "__main__":
    main()
