"""What a step and a prediction cost in floating-point operations, part by part, and what follows for a whole training.

Operations are counted while the network runs on the scene of `bench_peers.py` (`part_counts.py`); a multiplication with an
addition is two. Sorting and gathers are not among them, so the share of a device's peak that is reached must be measured.
"""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import torch
from part_counts import Counts, by_parts, totals
from peers import torchvision_maskrcnn, unipan_r50, unipan_r50_fast, unipan_r50_shared
from peers.scene import Scene, class_table, draw_scene
from record import provenance
from torch import nn

from unipan.models.build import build_network

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


def counted(way: ModuleType, kind: str, scene: Scene) -> Counts:
    """What one call takes, by the network's parts."""
    torch.manual_seed(0)  # how many regions match the truth follows from the random weights, and masks from these
    networks: list[nn.Module] = []
    with patch.object(unipan_r50, "build_network", lambda *given: networks.append(build_network(*given)) or networks[-1]):
        work = getattr(way, kind)(scene)
    work()  # what is made once is made
    with by_parts(networks[0] if networks else nn.Module()) as counts:
        work()
    return counts


def gradient_bytes() -> int:
    """Bytes of the gradients, which each step's all-reduce adds over the processes: four a parameter."""
    network = build_network(replace(unipan_r50.CONFIG.model, pretrained=False), class_table())
    return 4 * sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def device_days(step: float, pixels: int) -> dict[str, float]:
    """Days of one GPU for each training. step: giga-operations of an image of so many pixels, with which they grow."""
    rate = DEVICE_TFLOPS * 1000 * REACHED
    return {name: step * image / pixels * images / rate / 86_400 for name, (image, images) in TRAININGS.items()}


def main() -> None:
    """Count, and write the record that docs/cost.md quotes."""
    scene = draw_scene((512, 1024))
    counts = {
        f"{name}, {kind.replace('_', ' ')}": counted(way, kind, scene)
        for kind in ("training_step", "prediction")
        for name, way in WAYS.items()
    }
    with patch("unipan.ops.deform.made_again", lambda *_: nullcontext()):  # a CPU multiplies twice what a GPU has no use for
        on_gpu = counts["unipan, training step on a GPU"] = counted(unipan_r50, "training_step", scene)
    content = {
        **provenance(),
        "giga_operations_512x1024": {name: totals(found.operations, 1e9) for name, found in counts.items()},
        "gigabytes_512x1024": {name: totals(found.bytes, 1e9) for name, found in counts.items()},
        "gradient_megabytes": gradient_bytes() / 1e6,
        "gpu_days_assumed": device_days(sum(on_gpu.operations.values()) / 1e9, 512 * 1024),
        "assumed": {"tflops": DEVICE_TFLOPS, "reached": REACHED},
    }
    RESULT.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
