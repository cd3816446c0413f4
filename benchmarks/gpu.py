"""Confirm on a GPU what the CPU's tests hold, and time it: `make gpu`. Without a GPU it says so and ends well.

Writes benchmarks/results/gpu.json and docs/gpu.md. `--device cpu` goes the same road on the CPU, to try the road itself.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import gpu_checks
import torch
from gpu_page import PAGE, RESULT, page
from gpu_runs import SHORT, resumed, short, trained
from gpu_times import deformable, profiled, timed
from peers.scene import draw_scene
from record import commit


def confirmed(device: torch.device, size: tuple[int, int]) -> dict[str, Any]:
    """Every check on a scene of that size, in float32 without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    scene = draw_scene(size)
    found: dict[str, Any] = {
        "deformable forms": gpu_checks.deformable_forms(device),
        "learnt upsampling": gpu_checks.convex_forms(device),
        "losses and gradient norm, float32": gpu_checks.losses_and_gradients(scene, device),
        "losses and gradient norm, bf16": gpu_checks.losses_and_gradients(scene, device, torch.bfloat16),
        "pixels that differ": gpu_checks.answers(scene, device),
    }
    if device.type == "cuda":
        found["losses and gradient norm, fp16"] = gpu_checks.losses_and_gradients(scene, device, torch.float16)
        found["CUDA graphs, against none"] = gpu_checks.graphed_losses_and_gradients(scene, device)
    return found


def cases(size: tuple[int, int]) -> dict[str, tuple[str, tuple[int, int]]]:
    """What is timed: a step on one image, a prediction at a Cityscapes image's size, twice as high and as wide."""
    height, width = size
    large = 2 * height, 2 * width
    return {
        f"training step, {height} x {width}": ("training_step", size),
        f"prediction, {large[0]} x {large[1]}": ("prediction", large),
    }


def main() -> None:
    """The parts that were asked for, all by default: equality, then times, then trainings. What an earlier call found is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="where trainings go; without it nothing is trained")
    parser.add_argument("--coco", type=Path, help="folder of COCO's panoptic data, for coco_small")
    parser.add_argument("--record", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here, so nothing was confirmed; `python benchmarks/gpu.py --device cpu` tries the road itself.")
        return
    device, size = torch.device(options.device), tuple(options.size)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU itself"
    content: dict[str, Any] = json.loads(options.record.read_text()) if options.record.exists() else {}
    content |= {"size": size, "resumed_steps": SHORT["train.steps"]}
    works = {
        "confirmed": lambda: confirmed(device, size),
        "compiled": lambda: {"backbone": gpu_checks.compiled_backbone(draw_scene(size), device)},
        "timed": lambda: timed(device, cases(size), options.rounds),
        "deformable": lambda: deformable(device, options.rounds),
        "profiled": lambda: profiled(device, cases(size)),
        **({"resumed": lambda: resumed(device, options.out)} if options.out else {}),
        **({"trained": lambda: trained(device, options.out, options.coco)} if options.out else {}),
        **({"short": lambda: short(device, options.out)} if options.out else {}),
    }
    for part in options.parts:
        if part in works:
            content[part] = works[part]()
            content.setdefault("runs", {})[part] = f"{name}, torch {torch.__version__}, commit {commit()}"
            options.record.write_text(json.dumps(content, indent=2) + "\n")
    print(page(content))
    if device.type == "cuda":
        PAGE.write_text(page(content))


PARTS = ("confirmed", "timed", "deformable", "profiled", "resumed", "short", "trained", "compiled")

if __name__ == "__main__":
    main()
