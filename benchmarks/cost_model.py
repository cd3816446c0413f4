"""What a step and a prediction cost in floating-point operations, part by part, and what follows for a whole training.

Operations are counted by PyTorch while the network runs on the scene of `bench_peers.py`; a multiplication with an addition
is two. Memory traffic, sorting and gathers are not among them, so the share of a device's peak that is reached must be measured.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from peers import torchvision_maskrcnn, unipan_r50, unipan_r50_fast, unipan_r50_shared
from peers.scene import class_table, draw_scene
from torch.utils.flop_counter import FlopCounterMode

from unipan.models.build import build_network

PARTS = ("backbone", "fpn", "shared_decoder", "semantic_head", "affinity_head", "detector", "potential", "panoptic_head")
WAYS = {
    "unipan": unipan_r50,
    "unipan, first block shared": unipan_r50_shared,
    "unipan, fast": unipan_r50_fast,
    "torchvision's Mask R-CNN": torchvision_maskrcnn,
}
TRAININGS = {
    "Cityscapes, 65,000 steps of 32 crops": (512 * 1024, 65_000 * 32),
    "COCO, 90,000 steps of 16": (800 * 1216, 90_000 * 16),
}
"""Pixels of an image, and how many images a training sees."""
DEVICE_TFLOPS = 300.0
"""What one current GPU is said to do in bf16, of which `REACHED` is assumed: neither was measured here."""
REACHED = 0.25
RESULT = Path(__file__).parent / "results" / "cost_model.json"


def operations(work: Callable[[], object]) -> dict[str, float]:
    """Giga-operations of one call, in all and by the network's parts (backward passes with the part that they belong to)."""
    work()  # what is made once is made
    with FlopCounterMode(display=False) as counter:
        work()
    found = {"total": counter.get_total_flops() / 1e9}
    for name, counts in counter.get_flop_counts().items():
        part = name.rpartition(".")[2]
        if name.count(".") == 1 and part in PARTS:
            found[part] = sum(counts.values()) / 1e9
    return found


def gradient_bytes() -> int:
    """Bytes of the gradients, which each step's all-reduce adds over the processes: four a parameter."""
    network = build_network(replace(unipan_r50.CONFIG.model, pretrained=False), class_table())
    return 4 * sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def device_days(step: Mapping[str, float], pixels: int) -> dict[str, float]:
    """Days of one GPU for each training; operations grow with the pixels."""
    rate = DEVICE_TFLOPS * 1000 * REACHED
    return {name: step["total"] * image / pixels * images / rate / 86_400 for name, (image, images) in TRAININGS.items()}


def main() -> None:
    """Count, and write the record that docs/cost.md quotes."""
    scene = draw_scene((512, 1024))
    counts: dict[str, dict[str, float]] = {}
    for kind in ("training_step", "prediction"):
        for name, way in WAYS.items():
            torch.manual_seed(0)  # how many regions match the truth follows from the random weights, and masks from these
            counts[f"{name}, {kind.replace('_', ' ')}"] = operations(getattr(way, kind)(scene))
    torch.manual_seed(0)
    with patch("unipan.ops.deform.made_again", lambda *_: nullcontext()):  # a CPU multiplies twice what a GPU has no use for
        on_gpu = counts["unipan, training step on a GPU"] = operations(unipan_r50.training_step(scene))
    content = {
        "giga_operations_512x1024": counts,
        "gradient_megabytes": gradient_bytes() / 1e6,
        "gpu_days_assumed": device_days(on_gpu, 512 * 1024),
        "assumed": {"tflops": DEVICE_TFLOPS, "reached": REACHED},
    }
    RESULT.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
